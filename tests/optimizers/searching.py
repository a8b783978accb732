"""A search without a model: a program, a pool and a job that can be interrupted."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dspy
import optuna
from optuna.storages.journal import JournalFileBackend

from lift_sys.inference.usage import CallRecord, note
from lift_sys.record import canonical_json
from lift_sys.tasks import Case, Task
from lift_sys.verdict import Score, Status
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch, SearchConfig
from optimizers.objectives import directions
from optimizers.pools import DemoSet, Pool
from optimizers.rows import Row
from optimizers.space import make_space
from optimizers.trials import TOKEN_WEIGHT, Trial
from programs.hypers import Hyper, hypers_of, set_hypers

TASKS = tuple(
    Task(
        id=f"t{n}",
        spec=f"s{n}",
        entry_point="f",
        category="c",
        split="dev",
        source="",
        hidden=(Case(args="()", expected="1"),),
    )
    for n in range(4)
)
EXAMPLES = [dspy.Example(task_id=task.id) for task in TASKS]
POOL = Pool(
    sets=(
        DemoSet(name="none", tasks=(), demos={}),
        DemoSet(name="gold", tasks=("x",), demos={"write": ({"spec": "s", "code": "c"},)}),
    )
)
SPACE = {"mode": ("a", "b", "c"), "temperature": (0.0, 0.7), "n": (1, 2, 3)}
CONFIG = SearchConfig(
    space=make_space({"demos": POOL.names, **SPACE}, {"n": {"temperature": (0.7,)}}),
    first_points=(
        {"demos": "none", "mode": "a", "temperature": 0.0, "n": 1},
        {"demos": "gold", "mode": "c", "temperature": 0.7, "n": 3},
    ),
    trials=9,
    tokens=10**9,
    seed=5,
    tasks={task.id: task for task in TASKS},
)


FRESH = "/again"


def outcome(table: int, point: str, spec: str) -> tuple[bool, int]:
    """Return whether a point passes a task, and its tokens: fixed, and different per table."""
    value = hashlib.sha256(f"{table}/{point}/{spec}".encode()).digest()
    return value[0] < 150, 1 + value[1]


def verdict(*, passed: bool) -> Score:
    status = Status.PASSED if passed else Status.WRONG_ANSWER
    return Score(value=float(passed), passed=passed, status=status, feedback="")


class Fake(dspy.Module):
    """Answers with its own point, without a model; another rollout changes what is sampled."""

    def __init__(self, table: int) -> None:
        super().__init__()
        self.table = table
        self.write = dspy.Predict("spec -> code")
        self.mode = Hyper("mode", "a", "b", "c")
        self.temperature = Hyper("temperature", 0.0, 0.7)
        self.n = Hyper("n", 1, 2, 3)

    def forward(self, spec: str, rollout: int, **_: Any) -> dspy.Prediction:
        values = {path: hyper.value for path, hyper in hypers_of(self).items()}
        point = canonical_json(values | {"demos": "gold" if self.write.demos else "none"})
        tokens = outcome(self.table, point, spec)[1]
        code = point + FRESH * (rollout > 0 and self.temperature.value != 0)
        key = f"{code}/{spec}"
        note(CallRecord(model="m", prompt_tokens=1, completion_tokens=tokens, seconds=0.0, key=key))
        return dspy.Prediction(code=code, ir=None, failure=None, attempts=())


class InterruptionError(BaseException):
    """Stands for kill -9 in the middle of a task."""


@dataclass
class Job:
    """One search that can be run again on what it left behind.

    Attributes:
        table: Which outcomes.
        storage: Optuna's, made anew for each run.
        rows: What was paid for.
        executed: Tasks executed.
        stop_at: Execution at which it is interrupted, from 1; 0 for never.
        slots: Requests that the model, which is never asked, would answer at once.
    """

    table: int
    storage: Callable[[], optuna.storages.BaseStorage | None]
    rows: dict[str, Row] = field(default_factory=dict)
    executed: int = 0
    stop_at: int = 0
    slots: int = 1
    killed: bool = False
    lock: Any = field(default_factory=threading.Lock)

    def get(self, key: str) -> Row | None:
        return self.rows.get(key)

    def put(self, row: Row) -> None:
        self.rows[row.key] = row

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        with self.lock:
            self.executed += 1
            self.killed = self.killed or self.executed == self.stop_at
            if self.killed:
                raise InterruptionError
        return verdict(passed=outcome(self.table, str(answer.code), task.spec)[0])

    def run(
        self,
        config: SearchConfig = CONFIG,
        on_trial: Callable[[Trial], None] | None = None,
        study: optuna.Study | None = None,
    ) -> tuple[JointSearch, Mapping[str, Any]]:
        self.killed = False
        study = study or optuna.create_study(
            study_name="s",
            storage=self.storage(),
            directions=directions(config.costs),
            load_if_exists=True,
        )
        model: Any = SimpleNamespace(engine=SimpleNamespace(concurrency=self.slots))
        evaluator = Evaluator(lambda: model, "m", self.score, self)
        search = JointSearch(config, POOL, evaluator, study, set_hypers, on_trial)
        winner = search.compile(Fake(self.table), valset=EXAMPLES)
        return search, winner.dump_state()


def in_memory() -> None:
    return None


def full_value(trial: Trial, table: int) -> float:
    """Return what a trial would be worth if every task were run."""
    results = [outcome(table, canonical_json(trial.point), task.spec) for task in TASKS]
    passed, tokens = sum(ok for ok, _ in results), sum(t for _, t in results)
    return passed / len(TASKS) - TOKEN_WEIGHT * tokens / len(TASKS)


def journal(path: Path) -> Callable[[], optuna.storages.BaseStorage]:
    return lambda: optuna.storages.JournalStorage(JournalFileBackend(str(path)))
