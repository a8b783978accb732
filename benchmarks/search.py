"""What a joint search costs outside its model: time, memory, a new start, and idle slots.

Usage: ``python benchmarks/search.py [--trials 10000] [--tasks 8] [--slots 32] [--real]``. The model
is a script; run directory, study and space are those of a job, the program is as light as one can
be, or with ``--real`` ``single``. It prints a Markdown table:

- overhead: what the search costs a trial, without the executions of its tasks. The model answers
  at once and takes requests in turn.
- memory: by how much the process grows in the second half of the trials.
- resume: opening the rows and the study, restoring all trials, and one trial more.
- first miss: a row that no run has; the first time, the keys of all runs in the folder are read.
- slots: the share of time in which the slots of a model that takes ``--latency`` seconds for each
  answer are busy. One process of Python makes at most so many requests a second as the last line
  says; a model that takes more needs several workers.

Times are also given as the processor's, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import dspy
import optuna
from dspy.lm15 import Config, Message, Request

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app.journal import open_journal  # noqa: E402
from lift_sys.app.store import RunDirectory  # noqa: E402
from lift_sys.inference.scripted import ScriptedEngine  # noqa: E402
from lift_sys.tasks import Case, Task  # noqa: E402
from lift_sys.verdict import Score, Status  # noqa: E402
from optimizers.evaluate import Evaluator  # noqa: E402
from optimizers.joint import JointSearch, SearchConfig  # noqa: E402
from optimizers.pools import DemoSet, Pool  # noqa: E402
from optimizers.rows import Row  # noqa: E402
from optimizers.space import Point, make_space  # noqa: E402
from optimizers.trials import Trial  # noqa: E402
from programs.hypers import Hyper, set_hypers  # noqa: E402
from programs.presets import make_program  # noqa: E402

IR = {
    "summary": "Adds a number",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add the number to x", "return the sum"],
    "assertions": [],
}


class Light(dspy.Module):
    """A program with all dimensions that does nothing but ask the model once."""

    def __init__(self) -> None:
        super().__init__()
        self.hypers = {path: Hyper(path, *choices) for path, choices in SPACE.items()}

    def forward(self, spec: str, rollout: int, **_: Any) -> dspy.Prediction:
        """Return the answer to a prompt that shows the point and the spec."""
        values = [hyper.value for hyper in self.hypers.values()]
        message = Message.user(f"{values} {rollout} {spec}")
        request = Request(model="script", messages=(message,), config=Config(max_tokens=512))
        answer = dspy.settings.lm.engine.complete(request)
        code = answer.message.text
        return dspy.Prediction(code=code, ir=None, failure=None, attempts=(code,))


def set_light(program: dspy.Module, point: Point) -> None:
    """Set the hypers of a light program, which has them all in one place."""
    set_hypers(program, {f"hypers[{path!r}]": value for path, value in point.items()})


POOL = Pool(sets=(DemoSet(name="none", tasks=(), demos={}),))
SPACE: dict[str, tuple[Any, ...]] = {
    "code_sees": ("ir", "spec_and_ir", "spec"),
    "reason": (False, True),
    "temperature": (0.0, 0.3, 0.7),
    "n": (1, 2),
    "quirks": ("off", "all", "triggered"),
    "select": ("first", "quality"),
    "assertions": (5, 3, 8),
    "ir_from": (0, 1),
    "code_generator.temperature": ("program", 0.0, 0.5, 1.0),
    "ir_generator.top_p": ("model", 0.8, 0.9),
}


class Engine(ScriptedEngine):
    """A model whose code depends on the request, and which measures how long it was busy.

    Args:
        latency: Seconds of each answer.
        slots: Requests that it answers at the same time.
    """

    def __init__(self, latency: float, slots: int) -> None:
        super().__init__(self._give, concurrency=slots)
        self._latency = latency
        self._free = threading.Semaphore(slots)
        self.calls = 0
        self.busy = 0.0

    def _give(self, request: Request) -> str:
        with self._free:
            started = time.perf_counter()
            time.sleep(self._latency)
            self.busy += time.perf_counter() - started
        self.calls += 1
        self.requests.clear()
        self.bodies.clear()
        if request.config.response_format:
            return json.dumps(IR)
        text = repr((request.system, request.messages, request.config.seed))
        return (
            f"```python\ndef add(x):\n    return '{hashlib.sha256(text.encode()).hexdigest()}'\n```"
        )


def score(task: Task, answer: dspy.Prediction) -> Score:  # noqa: ARG001
    """Pass three answers in five, whatever they are."""
    passed = hashlib.sha256(str(answer.code).encode()).digest()[0] < 154
    status = Status.PASSED if passed else Status.WRONG_ANSWER
    return Score(value=float(passed), passed=passed, status=status, feedback="")


Line = tuple[str, str, str]
"""What was measured, the figure, and the goal."""


class Clock(NamedTuple):
    """Times so far, in seconds: of the wall clock, and of the processor in this process."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Clock:
        """Read both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: Clock) -> Clock:
        """Return what has passed."""
        return Clock(self.wall - start.wall, self.cpu - start.cpu)


def resident() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


@dataclass
class Search:
    """A search in a run directory.

    Attributes:
        folder: The run directory.
        tasks: How many tasks a trial runs.
        engine: The model.
        real: Whether the program is one of ours.
        executed: Seconds in executions.
    """

    folder: Path
    tasks: int
    engine: Engine
    real: bool
    executed: float = field(default=0.0)

    def run(self, trials: int, on_trial: Callable[[Trial], None] | None = None) -> JointSearch:
        """Open what is there, and go on until there are so many trials."""
        run = RunDirectory(self.folder)
        study = optuna.create_study(
            study_name="joint",
            storage=open_journal(self.folder / "study.journal"),
            direction="maximize",
            load_if_exists=True,
        )
        case = Case(args="(1,)", expected="4")
        tasks = {
            f"t{n}": Task(
                id=f"t{n}", spec=f"Add 3. Task {n}.", entry_point="add", category="c", split="dev",
                source="benchmark", hidden=(case,),
            )
            for n in range(self.tasks)
        }  # fmt: skip
        space = make_space({"demos": POOL.names, **SPACE}, {"n": {"temperature": (0.3, 0.7)}})
        config = SearchConfig(space, (), trials, 10**12, 0, tasks, drop_alpha=0.05)
        lm = dspy.LM("local/script", engine=self.engine, cache=False, num_retries=0)
        evaluator = Evaluator(lambda: lm, "benchmark", score, run.rows(), self._count)
        setter = set_hypers if self.real else set_light
        search = JointSearch(config, POOL, evaluator, study, setter, on_trial)
        unused: Any = None
        examples = [dspy.Example(task_id=name) for name in tasks]
        program = make_program("single", unused) if self.real else Light()
        search.compile(program, valset=examples)
        return search

    def _count(self, row: Row, reused: bool) -> None:
        if not reused:
            self.executed += row.seconds


def measure_long(folder: Path, trials: int, tasks: int, *, real: bool) -> list[Line]:
    """Return the lines on overhead, memory and resume."""
    memory: dict[int, float] = {}

    def note(trial: Trial) -> None:
        if (trial.number + 1) % (trials // 2) == 0:
            memory[trial.number + 1] = resident()

    search, start = Search(folder, tasks, Engine(0.0, 1), real), Clock.now()
    search.run(trials, note)
    whole = Clock.now().since(start)
    again, start = Search(folder, tasks, Engine(0.0, 1), real), Clock.now()
    again.run(trials + 1)
    resumed = Clock.now().since(start)
    overhead = (whole.wall - search.executed) / trials * 1000
    half, end = memory[trials // 2], memory[trials // 2 * 2]
    return [
        (
            f"overhead at {trials:,} trials of {tasks} tasks",
            f"{overhead:.1f} ms a trial ({whole.cpu / trials * 1000:.1f} ms of CPU, with "
            f"{search.engine.calls / trials:.1f} executions)",
            "50 ms",
        ),
        (f"memory, second {trials // 2:,} trials", f"{end - half:+.1f} MB of {end:.0f}", "+60 MB"),
        (
            f"start of a resumed study of {trials:,} trials",
            f"{resumed.wall:.2f} s ({resumed.cpu:.2f} s of CPU)",
            "3 s",
        ),
    ]


def measure_miss(run: Path) -> list[Line]:
    """Return the line on the first row that a new run beside this one has to execute."""
    beside, rows, start = RunDirectory(run), RunDirectory(run.parent / "new").rows(), Clock.now()
    rows.get("0" * 64)
    took = Clock.now().since(start)
    figure = f"{took.wall * 1000:.0f} ms ({took.cpu * 1000:.0f} ms of CPU)"
    return [(f"first miss beside {len(beside.rows()):,} rows of another run", figure, "none")]


def measure_slots(folder: Path, options: argparse.Namespace) -> list[Line]:
    """Return the lines on slots."""
    slots, latency = options.slots, options.latency
    engine, start = Engine(latency, slots), Clock.now()
    Search(folder, options.tasks, engine, options.real).run(options.slot_trials)
    took = Clock.now().since(start)
    return [
        (
            f"{slots} slots, {latency * 1000:.0f} ms an answer, {options.slot_trials} trials, "
            f"{engine.calls:,} answers",
            f"{engine.busy / (slots * took.wall):.0%} busy",
            "90 %",
        ),
        (
            "requests that one process makes",
            f"{engine.calls / took.cpu:.0f} a second of CPU",
            f"{slots / latency:.0f}",
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--slot-trials", type=int, default=300)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        slots = measure_slots(Path(folder, "slots"), options)
        path = Path(folder, "long")
        lines = measure_long(path, options.trials, options.tasks, real=options.real)
        lines += measure_miss(path)
    print("| what | measured | goal |\n|---|---|---|")
    for what, measured, goal in [*lines, *slots]:
        print(f"| {what} | {measured} | {goal} |")


if __name__ == "__main__":
    main()
