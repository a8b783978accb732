"""Running a program over tasks, one stored row per executed task.

Rows are content-addressed, so a task that was paid for once is never paid for again: not after an
interruption, not when two trials happen to be the same program, and not when they are so at the
same time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import dspy
from pydantic_core import to_jsonable_python

from lift_sys.errors import ConfigError, LiftError
from lift_sys.inference.leases import Alone, Leases, once
from lift_sys.inference.lm import concurrency_of, in_turn
from lift_sys.inference.usage import recording
from lift_sys.record import digest
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from optimizers.ahead import Ahead, Begun, Threads
from optimizers.executor import Executor
from optimizers.metric_errors import metric_raised, name_of
from optimizers.rows import Row, Rows, Step, row_key
from optimizers.sharing import Sharing

Scorer = Callable[[Task, dspy.Prediction], Score]
"""Scores an answer to a task."""


class Evaluator:
    """Runs programs over tasks with one model and one metric.

    Args:
        lm: Gives the language model every stage uses; asked only when a task must be executed, or
            how many slots there are.
        identity: What else decides an outcome: the model's weights and the code that runs.
        score: The metric; called from several threads where the model has several slots.
        rows: Where rows are kept; likewise.
        on_row: Called with each row and whether it was reused, in the order of the rows.
        sharing: With other processes; by default there are none.

    Attributes:
        identity: As given.
    """

    def __init__(
        self,
        lm: Callable[[], dspy.LM],
        identity: str,
        score: Scorer,
        rows: Rows,
        on_row: Callable[[Row, bool], None] | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self._lm = lm
        self._sharing = sharing
        self._leases: Leases = sharing.leases if sharing else Alone()
        self.identity = identity
        self._score = score
        self._rows = rows
        self._on_row = on_row
        self._threads = Threads[Row]()
        self._executor: Executor | None = None

    def execute_elsewhere(self, executor: Executor) -> None:
        """Let an executor execute what is begun from now on; rows are kept here as before."""
        self._executor = executor

    @property
    def slots(self) -> int:
        """Tasks to execute at the same time: as many as the model answers, or all processes."""
        if self._executor:
            return self._executor.slots
        return self._sharing.slots if self._sharing else concurrency_of(self._lm())

    def run(
        self, program: dspy.Module, tasks: Iterable[Task], label: str, rollout: int = 0
    ) -> Iterator[Row]:
        """Yield one row per task, in order; stored rows are reused.

        Raises:
            InfrastructureError: The backend or the sandbox failed; no row is written for it.
            ConfigError: The metric raised, or returned no number.
        """
        prepared = self.prepare(program, label, rollout)
        begun: deque[Begun[Row]] = deque()
        with self.settled():
            for task in tasks:
                begun.append(prepared.begin(task))
                if len(begun) >= (1 if begun[0].reused else Ahead(self.slots).of_all):
                    yield self.take(begun)
            while begun:
                yield self.take(begun)

    def prepare(self, program: dspy.Module, label: str, rollout: int = 0) -> Prepared:
        """Return a program that is ready to run; its state must not change any more."""
        names = {id(predictor): name for name, predictor in program.named_predictors()}
        return Prepared(self, program, names, digest(program.dump_state()), label, rollout)

    def take(self, begun: deque[Begun[Row]]) -> Row:
        """Return the row of the first of these tasks, and take it out.

        Raises:
            Exception: As ``run`` does.
        """
        first = begun[0]
        row = first.take()
        begun.popleft()
        if self._on_row:
            self._on_row(row, first.reused)
        return row

    def settled(self) -> AbstractContextManager[None]:
        """Leave no task running behind; see ``Threads.settled``."""
        return self._threads.settled()

    def begin(self, prepared: Prepared, task: Task) -> Begun[Row]:
        """Begin a task of a program; with one slot it is executed when its row is taken."""
        key = prepared.key(task)
        return self._threads.begin(
            key,
            stored=lambda: self._rows.get(key),
            work=lambda: self._row(prepared, task, key),
            slots=lambda: self.slots,
        )

    def _row(self, prepared: Prepared, task: Task, key: str) -> Row:
        """Return a row that is stored by then: of an equal task that was executed, or of this."""

        def execute() -> Row:
            row = self._execute(prepared, task, key)
            self._rows.put(row)
            # If a lease ran out, another process may have been first.
            return (self._sharing and self._rows.get(key)) or row

        return once(self._leases, f"row/{key}", lambda: self._rows.get(key), execute)

    def ask(self, program: dspy.Module, task: Task, rollout: int) -> dspy.Prediction:
        """Run a program on what it may see of a task; one that takes less needs a subclass.

        Raises:
            InfrastructureError: The backend or the sandbox failed.
        """
        view = task.view
        return program(
            spec=view.spec, entry_point=view.entry_point, visible=view.visible, rollout=rollout
        )

    def kept(self, answer: dspy.Prediction) -> dspy.Prediction:
        """Return an answer as a row keeps it; a subclass may read other fields."""
        return answer

    def _execute(self, prepared: Prepared, task: Task, key: str) -> Row:
        if self._executor:
            return self._executor.execute(prepared, task, key)
        trace: list[Any] = []
        lm = self._lm()
        started = time.perf_counter()
        # What a job asked is in its stored answers; DSPy's history would keep it all in memory.
        settings = dspy.context(lm=lm, trace=trace, disable_history=True)
        with recording() as calls, settings, in_turn():
            answer = self.ask(prepared.program, task, prepared.rollout)
        score, kept = self._scored(task, answer), self.kept(answer)
        return Row(
            key=key,
            label=prepared.label,
            task_id=task.id,
            category=task.category,
            score=score,
            code=kept.get("code"),
            ir=kept.get("ir"),
            failure=kept.get("failure"),
            attempts=len(kept.get("attempts", (kept,))),
            calls=tuple(calls),
            seconds=time.perf_counter() - started + sum(c.seconds for c in calls if c.reused),
            trace=_steps(prepared.names, trace),
        )

    def _scored(self, task: Task, answer: dspy.Prediction) -> Score:
        try:
            score = self._score(task, answer)
        except LiftError:
            raise
        except Exception as error:
            raise metric_raised(self._score, task.id, error) from error
        if not math.isfinite(score.value):
            msg = (
                f"the metric {name_of(self._score)!r} returned {score.value} for the task "
                f"{task.id!r}, which cannot be compared; return a number from 0 to 1"
            )
            raise ConfigError(msg)
        return score


@dataclass(frozen=True)
class Prepared:
    """A program that an evaluator runs.

    Attributes:
        evaluator: Runs it.
        program: Not changed any more.
        names: Of its predictors, by identity.
        program_hash: SHA-256 of its state.
        label: What it is called.
        rollout: Another number draws other samples.
    """

    evaluator: Evaluator
    program: dspy.Module
    names: Mapping[int, str]
    program_hash: str
    label: str
    rollout: int

    def key(self, task: Task) -> str:
        """Return the content address of a task's row."""
        return row_key(self.program_hash, self.evaluator.identity, task, self.rollout)

    def begin(self, task: Task) -> Begun[Row]:
        """Begin a task; see ``Evaluator.begin``."""
        return self.evaluator.begin(self, task)


def _steps(names: Mapping[int, str], trace: list[Any]) -> tuple[Step, ...]:
    return tuple(
        Step(
            predictor=names[id(predictor)],
            inputs=_plain(inputs),
            outputs=_plain(prediction.toDict()),
        )
        for predictor, inputs, prediction in trace
        if id(predictor) in names  # a program may ask predictors that are no part of it
    )


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return field values as JSON has them; what it has not, as text."""
    plain: dict[str, Any] = to_jsonable_python(fields, fallback=str)
    return plain
