"""What a compiled program costs a call outside its model.

Usage: ``python benchmarks/program.py [--calls 200]``. The model is a script that answers at once,
so that all time is the program's own or the sandbox's. Of each program: requests to the model and
executions in the sandbox per call, and milliseconds per call. Wall time is given in all, inside the
sandbox, and outside it, which is DSPy and this project; processor time, which a busy machine
changes least, inside the sandbox (this process alone), outside, and of as many requests by a bare
``dspy.Predict``, made in turn with the calls: what no DSPy program with these requests can undercut
on the machine as it is then.

While a call waits for the sandbox others get the processor, and what it does afterwards takes
longer: up to a third on a shared machine. So the calls are made once more with a sandbox that
remembers, which shows what the program itself costs ("undisturbed"). The goal goes by this: how
candidates are executed has a benchmark of its own. The last column divides its median by the
requests of a call, so that strategies that ask often can be set beside those that ask once. The
median and the 90th percentile are over calls, each with another spec, since equal ones are
remembered in places. Time in the engine counts as outside: a real one also spends it, on
translating a request and its answer.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import dspy
from dspy.lm15 import Request

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app import environment  # noqa: E402
from lift_sys.inference.scripted import ScriptedEngine  # noqa: E402
from lift_sys.sandbox import Execution, Limits, Sandbox, Submission, create_sandbox  # noqa: E402
from lift_sys.tasks import load_tasks  # noqa: E402
from optimizers.pools import build_pool  # noqa: E402
from programs.adapters import CodeAdapter  # noqa: E402
from programs.demos import make_demos  # noqa: E402
from programs.hypers import set_hypers  # noqa: E402
from programs.presets import make_program  # noqa: E402
from programs.signatures import WriteCode  # noqa: E402

GOAL_MS = 5.0
WARM_UP = 20
IR = {
    "summary": "Adds a number",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add the number to x", "return the sum"],
    "assertions": ["add(1) == 4", "add(2) == 5", "add(-3) == 0"],
}
RIGHT = "```python\ndef add(x):\n    return x + 3\n```"
WRONG = "```python\ndef add(x):\n    return x + {}\n```"
PROGRAMS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "direct": ("direct", {}, True),
    "single": ("single", {}, True),
    "adaptive, first candidate right": ("adaptive", {}, True),
    "adaptive, all candidates drawn": ("adaptive", {}, False),
    "single, all quirks, IR of checks, 8 demos": (
        "single",
        {"ir_detail": "checks", "quirks": "all"},
        True,
    ),
    "single, 8 nearest of a bank": (
        "single",
        {"ir_generator.demo_choice": "nearest", "code_generator.demo_choice": "nearest"},
        True,
    ),
}
"""Preset, other hypers, and whether the model's code is right, by what the table calls it."""


class Clock(NamedTuple):
    """Times so far, in milliseconds.

    Attributes:
        wall: Of the wall clock.
        cpu: Of the processor, in this thread, which is the only one that works: the scripted model
            answers one request at a time, and the sandbox's processes are not in it.
    """

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Clock:
        """Read both clocks."""
        return cls(time.perf_counter() * 1000, time.thread_time() * 1000)

    def since(self, start: Clock) -> Clock:
        """Return what has passed."""
        return Clock(self.wall - start.wall, self.cpu - start.cpu)


class Timed:
    """A sandbox that counts executions and adds up their time."""

    description = "timed"

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.executions = 0
        self.spent = Clock(0.0, 0.0)

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Execute in the sandbox behind it."""
        self.executions += 1
        start = Clock.now()
        try:
            return self.inner.execute(submission, limits)
        finally:
            took = Clock.now().since(start)
            self.spent = Clock(self.spent.wall + took.wall, self.spent.cpu + took.cpu)

    def close(self) -> None:
        """Leave the sandbox behind it open."""


class Repeating:
    """A sandbox that executes in one call of a program what it answers from memory in the others.

    Args:
        inner: Executes.

    Attributes:
        place: How many executions the call has asked for.
    """

    description = "repeating"

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.place = 0
        self._known: dict[tuple[int, int], Execution] = {}

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Return what as many calls of other code gave at the same place."""
        key = (self.place, len(submission.calls))
        self.place += 1
        if key not in self._known:
            self._known[key] = self.inner.execute(submission, limits)
        return self._known[key]

    def close(self) -> None:
        """Leave the sandbox behind it open."""


def answer(*, right: bool) -> ScriptedEngine:
    """Return a model that is always right, or wrong in as many ways as there are seeds."""

    @functools.cache
    def filled(*keys: str) -> str:
        return json.dumps({key: IR[key] for key in keys})

    def give(request: Request) -> str:
        if form := request.config.response_format:
            return filled(*form["schema"]["properties"])
        return RIGHT if right else WRONG.format(10 + request.config.seed % 1000)

    return ScriptedEngine(give)


UNDISTURBED = "CPU, undisturbed"
PARTS = (
    "wall", "wall, sandbox", "wall, outside", "CPU, sandbox", "CPU, outside", "CPU, DSPy alone",
)  # fmt: skip


class Measured(NamedTuple):
    """What calls of one program cost.

    Attributes:
        requests: To the model, per call.
        executions: In the sandbox, per call.
        times: Milliseconds of each call, by part.
    """

    requests: float
    executions: float
    times: dict[str, list[float]]


def ninth_decile(times: Sequence[float]) -> float:
    """Return the 90th percentile; of a few times it is the longest, never more."""
    longest = max(times)
    return min(statistics.quantiles(times, n=10)[-1], longest) if len(times) > 1 else longest


def compiled(name: str, sandbox: Sandbox) -> dspy.Module:
    """Return a program of the table."""
    preset, hypers, _ = PROGRAMS[name]
    program = make_program(preset, sandbox)
    if hypers:
        tasks = load_tasks(environment.data_file("train"))
        pool = build_pool(tasks, {}, make_demos, size=2, seed=0, kinds=("bank",))
        pool["gold-bank"].apply(program)
        set_hypers(program, hypers)
    return program


def bare(number: int, requests: int, lm: dspy.LM) -> float:
    """Return the processor time of requests by a predictor alone, in milliseconds."""
    predict, config = dspy.Predict(WriteCode), {"temperature": 0.7, "seed": 1, "max_tokens": 512}
    with dspy.context(adapter=CodeAdapter("add"), lm=lm):
        start = Clock.now()
        for step in range(requests):
            spec = f"Add 3, e.g. add(1) == 4. Call {number}, request {step}."
            predict(name="add", spec=spec, config=config)
        return Clock.now().since(start).cpu


def script(engine: ScriptedEngine) -> dspy.LM:
    """Return a model that a script answers for."""
    return dspy.LM("local/script", engine=engine, cache=False, num_retries=0)


def measure(name: str, calls: int, sandbox: Sandbox) -> Measured:
    """Call a program, each time with another spec, and again with executions remembered."""
    found = called(name, calls, sandbox)
    again = called(name, calls, Repeating(sandbox))
    return found._replace(times={**found.times, UNDISTURBED: again.times["CPU, outside"]})


def called(name: str, calls: int, sandbox: Sandbox) -> Measured:
    """Call a program, each time with another spec."""
    timed, engine = Timed(sandbox), answer(right=PROGRAMS[name][2])
    program, other = compiled(name, timed), script(answer(right=True))
    program.set_lm(script(engine))
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(-WARM_UP, calls):
        if number == 0:
            engine.requests.clear()
            timed.executions = 0
        if isinstance(sandbox, Repeating):
            sandbox.place = 0
        asked, inside, start = len(engine.requests), timed.spent, Clock.now()
        made = program(spec=f"Add 3, e.g. add(1) == 4. Call {number}.", entry_point="add")
        whole, inside = Clock.now().since(start), timed.spent.since(inside)
        if made.code is None:
            sys.exit(f"{name} wrote no code: {made.failure}")
        alone = bare(number, len(engine.requests) - asked, other)
        if number >= 0:
            rest = whole.since(inside)
            found = (whole.wall, inside.wall, rest.wall, inside.cpu, rest.cpu, alone)
            for part, value in zip(PARTS, found, strict=True):
                times[part].append(value)
    return Measured(len(engine.requests) / calls, timed.executions / calls, times)


def main() -> None:
    """Measure every program and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    if calls < 1:
        parser.error("--calls: at least one")
    environment.prepare()
    print(f"Milliseconds a call, median (90th percentile) of {calls} calls\n")
    columns = ["requests", "executions", *PARTS, UNDISTURBED, "a request"]
    print(f"| program | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    with closing(create_sandbox()) as sandbox:
        for name in PROGRAMS:
            requests, executions, times = measure(name, calls, sandbox)
            cells = [f"{statistics.median(t):.2f} ({ninth_decile(t):.2f})" for t in times.values()]
            own = statistics.median(times[UNDISTURBED])
            marked = f"{name} (above {GOAL_MS:.0f})" if own > GOAL_MS else name
            cells.append(f"{own / requests:.2f}")
            print(f"| {marked} | {requests:.1f} | {executions:.1f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
