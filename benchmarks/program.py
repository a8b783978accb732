"""What a compiled program costs a call outside its model.

Usage: ``python benchmarks/program.py [--calls 200]``. The model is a script that answers at once,
so that all time is the program's own or the sandbox's. Of each program: requests to the model per
call, and milliseconds per call: in all, in the sandbox, and the rest, which is DSPy and this
project; of the rest also the processor's time, which a busy machine does not change and by which
the goal goes. The median and the 90th percentile are over calls, each with another spec, since
equal ones are remembered in places. Time in the engine counts as rest: a real one also spends it,
on translating a request and its answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
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
from programs.demos import make_demos  # noqa: E402
from programs.hypers import set_hypers  # noqa: E402
from programs.presets import make_program  # noqa: E402

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
        cpu: Of the processor, in this process: the sandbox's own processes are not in it.
    """

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Clock:
        """Read both clocks."""
        return cls(time.perf_counter() * 1000, time.process_time() * 1000)

    def since(self, start: Clock) -> Clock:
        """Return what has passed."""
        return Clock(self.wall - start.wall, self.cpu - start.cpu)


class Timed:
    """A sandbox that adds up its time."""

    description = "timed"

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.spent = Clock(0.0, 0.0)

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Execute in the sandbox behind it."""
        start = Clock.now()
        try:
            return self.inner.execute(submission, limits)
        finally:
            took = Clock.now().since(start)
            self.spent = Clock(self.spent.wall + took.wall, self.spent.cpu + took.cpu)

    def close(self) -> None:
        """Leave the sandbox behind it open."""


def answer(*, right: bool) -> ScriptedEngine:
    """Return a model that is always right, or wrong in as many ways as there are seeds."""

    def give(request: Request) -> str:
        if request.config.response_format:
            return json.dumps(IR)
        return RIGHT if right else WRONG.format(10 + request.config.seed % 1000)

    return ScriptedEngine(give)


PARTS = ("in all", "sandbox", "rest", "rest, CPU")


def measure(name: str, calls: int, sandbox: Sandbox) -> tuple[float, dict[str, list[float]]]:
    """Return a program's requests per call, and the milliseconds of each call by part."""
    preset, hypers, right = PROGRAMS[name]
    timed, engine = Timed(sandbox), answer(right=right)
    program = make_program(preset, timed)
    if hypers:
        tasks = load_tasks(environment.data_file("train"))
        pool = build_pool(tasks, {}, make_demos, size=2, seed=0, kinds=("bank",))
        pool["gold-bank"].apply(program)
        set_hypers(program, hypers)
    program.set_lm(dspy.LM("local/script", engine=engine, cache=False, num_retries=0))
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(-WARM_UP, calls):
        if number == 0:
            engine.requests.clear()
        inside, start = timed.spent, Clock.now()
        made = program(spec=f"Add 3, e.g. add(1) == 4. Call {number}.", entry_point="add")
        whole, inside = Clock.now().since(start), timed.spent.since(inside)
        if made.code is None:
            sys.exit(f"{name} wrote no code: {made.failure}")
        if number >= 0:
            rest = whole.since(inside)
            found = (whole.wall, inside.wall, rest.wall, rest.cpu)
            for part, value in zip(PARTS, found, strict=True):
                times[part].append(value)
    return len(engine.requests) / calls, times


def main() -> None:
    """Measure every program and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    environment.quiet_libraries()
    print("milliseconds a call, median (90th percentile)")
    print(f"{'program':34}{'requests':>8}" + "".join(f"{part:>17}" for part in PARTS))
    with closing(create_sandbox()) as sandbox:
        for name in PROGRAMS:
            requests, times = measure(name, calls, sandbox)
            cells = [
                f"{statistics.median(t):.2f} ({statistics.quantiles(t, n=10)[-1]:.2f})"
                for t in times.values()
            ]
            above = statistics.median(times["rest, CPU"]) > GOAL_MS
            line = f"{name:34}{requests:>8.1f}" + "".join(f"{cell:>17}" for cell in cells)
            print(line + (f"  above {GOAL_MS:.0f}" if above else ""))


if __name__ == "__main__":
    main()
