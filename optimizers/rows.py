"""One task, executed and scored: what is kept of it, and by which key.

Owns ``Row`` and its key. A row is content-addressed by everything that decides its outcome.
"""

from __future__ import annotations

from typing import Any, Protocol

from lift_sys.inference.usage import CallRecord, Usage
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


def row_key(program_hash: str, identity: str, task: Task, rollout: int) -> str:
    """Return the content address of an executed task."""
    return digest([program_hash, identity, task.content_hash, rollout])
