"""Running a program over tasks, one stored row per executed task.

Owns ``Row`` and its key. A row is content-addressed by everything that decides its outcome, so a
task that was paid for once is never paid for again: not after an interruption, and not when two
trials happen to be the same program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import dspy

from lift_sys.inference.usage import CallRecord, Usage, recording
from lift_sys.ir.models import SpecIR
from lift_sys.record import Record, Versioned, digest
from lift_sys.tasks import Task
from lift_sys.verdict import Score


class Step(Record):
    """What one predictor was given and what it answered.

    Attributes:
        predictor: Its path in the program.
        inputs: Field values.
        outputs: Field values.
    """

    predictor: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Row(Versioned):
    """One task, executed and scored.

    Attributes:
        key: Content address; see ``row_key``.
        label: What the program was called when it was run, e.g. ``trial 3``; not in the key.
        task_id: Of the task.
        category: Of the task.
        score: Of the answer.
        code: The answer.
        ir: The IR behind it.
        failure: Why there is no answer.
        attempts: Candidates drawn.
        calls: Every model call, in order.
        seconds: Wall time of program and metric, in seconds; calls whose stored answers were
            reused count with the time that they took when they were generated.
        trace: The chosen candidate's steps, from which demos are made.
    """

    key: str
    label: str
    task_id: str
    category: str
    score: Score
    code: str | None
    ir: SpecIR | None
    failure: str | None
    attempts: int
    calls: tuple[CallRecord, ...]
    seconds: float
    trace: tuple[Step, ...]

    @property
    def usage(self) -> Usage:
        """Tokens and engine seconds of all calls."""
        return Usage.of(self.calls)


class Rows(Protocol):
    """Where rows are kept. ``put`` returns only when the row would survive a crash."""

    def get(self, key: str) -> Row | None:
        """Return the row with this key, if there is one."""
        ...

    def put(self, row: Row) -> None:
        """Keep a row."""
        ...


Scorer = Callable[[Task, str | None, str | None], Score]
"""Scores (task, code, failure)."""


class Evaluator:
    """Runs programs over tasks with one model and one metric.

    Args:
        lm: Gives the language model every stage uses; asked only when a task must be executed.
        identity: What else decides an outcome: the model's weights and the code that runs.
        score: The metric.
        rows: Where rows are kept.
        on_row: Called with each row and whether it was reused.

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
    ) -> None:
        self._lm = lm
        self.identity = identity
        self._score = score
        self._rows = rows
        self._on_row = on_row

    def run(
        self, program: dspy.Module, tasks: Iterable[Task], label: str, rollout: int = 0
    ) -> Iterator[Row]:
        """Yield one row per task, in order; stored rows are reused.

        Raises:
            InfrastructureError: The backend or the sandbox failed; no row is written for it.
        """
        program_hash = digest(program.dump_state())
        for task in tasks:
            key = row_key(program_hash, self.identity, task, rollout)
            row = self._rows.get(key)
            reused = row is not None
            if row is None:
                row = self._execute(program, task, rollout, (key, label))
                self._rows.put(row)
            if self._on_row:
                self._on_row(row, reused)
            yield row

    def _execute(
        self, program: dspy.Module, task: Task, rollout: int, name: tuple[str, str]
    ) -> Row:
        view = task.view
        trace: list[Any] = []
        lm = self._lm()
        started = time.perf_counter()
        with recording() as calls, dspy.context(lm=lm, trace=trace):
            answer = program(
                spec=view.spec,
                entry_point=view.entry_point,
                visible=view.visible,
                rollout=rollout,
            )
        score = self._score(task, answer.code, answer.failure)
        return Row(
            key=name[0],
            label=name[1],
            task_id=task.id,
            category=task.category,
            score=score,
            code=answer.code,
            ir=answer.ir,
            failure=answer.failure,
            attempts=len(answer.attempts),
            calls=tuple(calls),
            seconds=time.perf_counter() - started + sum(c.seconds for c in calls if c.reused),
            trace=_steps(program, trace),
        )


def row_key(program_hash: str, identity: str, task: Task, rollout: int) -> str:
    """Return the content address of an executed task."""
    return digest([program_hash, identity, task.content_hash, rollout])


def _steps(program: dspy.Module, trace: list[Any]) -> tuple[Step, ...]:
    names = {id(predictor): name for name, predictor in program.named_predictors()}
    return tuple(
        Step(predictor=names[id(predictor)], inputs=inputs, outputs=prediction.toDict())
        for predictor, inputs, prediction in trace
    )
