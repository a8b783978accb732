"""What a call of a strategy costs outside its model, on real specs.

Usage: ``python benchmarks/calls.py RUN [RUN ...] [--data dev] [--preset adaptive]``, where the RUNs
are run directories in which the strategy has written code for these tasks, as ``lift eval --preset
adaptive --data dev`` leaves one. Their stored answers are given again, so every call makes the
requests and draws the candidates of that run, and nothing is generated. Tasks of which an answer
is missing are left out.

Of all tasks, and by how many candidates were drawn: requests to the model and executions in the
sandbox per call, and processor time of this process outside both, which is DSPy and this project,
in milliseconds per call. Beside it the mean of as many requests by a bare ``dspy.Predict``, made in
turn with the calls. The goal goes by the mean of all calls.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from dspy.lm15 import Request, Response

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.program import (  # noqa: E402
    GOAL_MS,
    WARM_UP,
    Clock,
    Timed,
    answer,
    bare,
    ninth_decile,
    script,
)
from benchmarks.stored import task_file, whole_lines  # noqa: E402
from lift_sys.app import environment  # noqa: E402
from lift_sys.app.container import MemoryCalls  # noqa: E402
from lift_sys.errors import LiftError, ProviderError  # noqa: E402
from lift_sys.inference import catalogue  # noqa: E402
from lift_sys.inference.chat import SUPPORTED_PARAMS  # noqa: E402
from lift_sys.inference.failures import EngineError  # noqa: E402
from lift_sys.inference.replay import ReplayEngine, StoredCall  # noqa: E402
from lift_sys.inference.samples import SampledLM  # noqa: E402
from lift_sys.sandbox import Sandbox, create_sandbox  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from programs.presets import make_program  # noqa: E402


class Absent:
    """Stands for a model that is not asked."""

    concurrency = 1

    def complete(self, request: Request) -> Response:
        """Refuse.

        Raises:
            EngineError: Always.
        """
        msg = f"no run holds the answer to a request to {request.model}"
        raise EngineError(msg)


class TimedEngine:
    """An engine that counts requests and adds up their processor time, in milliseconds."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS
    concurrency = 1

    def __init__(self, inner: ReplayEngine) -> None:
        self._inner = inner
        self.requests = 0
        self.spent = 0.0

    def complete(self, request: Request) -> Response:
        """Answer from what is stored."""
        self.requests += 1
        start = Clock.now()
        try:
            return self._inner.complete(request)
        finally:
            self.spent += Clock.now().since(start).cpu

    def __deepcopy__(self, memo: dict[int, Any]) -> TimedEngine:
        return self


class Call(NamedTuple):
    """What one call cost.

    Attributes:
        candidates: Drawn.
        requests: To the model.
        executions: In the sandbox.
        outside: Milliseconds of processor time outside both.
        alone: Milliseconds that the requests take DSPy alone.
    """

    candidates: int
    requests: int
    executions: int
    outside: float
    alone: float


def stored_answers(runs: Iterable[Path]) -> MemoryCalls:
    """Return the answers of run directories; a line that is still being written is left out."""
    calls = MemoryCalls()
    for run in runs:
        for line in whole_lines(run / "calls.jsonl"):
            calls.put(StoredCall.model_validate_json(line))
    return calls


def measure(
    tasks: Sequence[Task], preset: str, model: str, answers: MemoryCalls, sandbox: Sandbox
) -> list[Call]:
    """Call a preset on every task whose answers are stored."""
    engine = TimedEngine(ReplayEngine(Absent(), catalogue.get(model).identity, answers))
    timed, other = Timed(sandbox), script(answer(right=True))
    program = make_program(preset, timed)
    program.set_lm(script(answer(right=False)))
    for number in range(WARM_UP):
        program(spec=f"Add 3, e.g. add(1) == 4. Call {number}.", entry_point="add")
    program.set_lm(SampledLM(f"local/{model}", engine=engine, cache=False, num_retries=0))
    gc.collect()  # what importing left behind is no call's
    calls: list[Call] = []
    for number, task in enumerate(tasks):
        view, requests, executions = task.view, engine.requests, timed.executions
        inside, start = engine.spent + timed.spent.cpu, Clock.now()
        with suppress(ProviderError):  # an answer is missing
            made = program(spec=view.spec, entry_point=view.entry_point, visible=view.visible)
            whole = Clock.now().since(start).cpu
            outside = whole - (engine.spent + timed.spent.cpu - inside)
            requests = engine.requests - requests
            executions = timed.executions - executions
            alone = bare(number, requests, other)
            calls.append(Call(len(made.attempts), requests, executions, outside, alone))
    return calls


def line(name: str, calls: Sequence[Call]) -> str:
    """Return a row of the table."""
    times = [call.outside for call in calls]
    parts = [
        f"{len(calls)}",
        f"{statistics.mean(c.requests for c in calls):.1f}",
        f"{statistics.mean(c.executions for c in calls):.1f}",
        f"{statistics.mean(times):.2f}",
        f"{statistics.median(times):.2f}",
        f"{ninth_decile(times):.2f}",
        f"{max(times):.2f}",
        f"{statistics.mean(c.alone for c in calls):.2f}",
    ]
    return f"| {name} | {' | '.join(parts)} |"


def main() -> None:
    """Measure every task and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run directory")
    parser.add_argument("--data", default="dev", help="a shipped set or a task file")
    parser.add_argument("--preset", default="adaptive")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    asked = parser.parse_args()
    environment.prepare()
    try:
        tasks, answers = load_tasks(task_file(asked.data)), stored_answers(asked.runs)
        with closing(create_sandbox()) as sandbox:
            calls = measure(tasks, asked.preset, asked.model, answers, sandbox)
    except (LiftError, OSError) as error:
        sys.exit(str(error))
    if not calls:
        sys.exit(f"no run holds the answers of {asked.preset} to a task of {asked.data}")
    print(f"{asked.preset}: {len(calls)} of {len(tasks)} tasks; milliseconds a call\n")
    columns = "calls requests executions mean median 90_% most DSPy_alone".split()
    print(f"| candidates | {' | '.join(c.replace('_', ' ') for c in columns)} |")
    print(f"|---|{'---:|' * len(columns)}")
    mean = statistics.mean(call.outside for call in calls)
    print(line(f"all (above {GOAL_MS:.0f})" if mean > GOAL_MS else "all", calls))
    for count in sorted({call.candidates for call in calls}):
        print(line(str(count), [call for call in calls if call.candidates == count]))


if __name__ == "__main__":
    main()
