"""What crosses to a container and back: one task of one program, and its row. Nothing but JSON."""

from __future__ import annotations

from typing import ClassVar

from lift_sys.app.export import Artifact
from lift_sys.config import Budget
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.replay import StoredCall
from lift_sys.record import Versioned
from lift_sys.tasks import Task
from optimizers.rows import Row


class TaskJob(Versioned):
    """One task of one program.

    Attributes:
        key: The content address that its row must have.
        program: As an artifact keeps it, with its models.
        task: The whole of it, hidden cases included: they are scored where it is executed.
        label: What the program is called.
        rollout: Another number draws other samples.
        unsafe: Whether generated code may run where no sandbox layer holds.
        budget: What the calls there may spend; the one that reaches it is the last.
        known: Answers that were generated for it before a budget ended it.
        own_models: The user's own entries, without addresses: a model may be one of them, and its
            row's address depends on all that may be named.
    """

    current_version: ClassVar[int] = 1

    key: str
    program: Artifact
    task: Task
    label: str
    rollout: int
    unsafe: bool
    budget: Budget = Budget()
    known: tuple[StoredCall, ...] = ()
    own_models: tuple[ModelInfo, ...] = ()


class TaskAnswer(Versioned):
    """What came of a job.

    Attributes:
        row: Of the task, or ``None`` where it could not be executed.
        calls: Answers that were generated now, also where there is no row.
        error: Why there is no row, in one sentence.
        infrastructure: Whether that is a failure there, which another try may not have, and no
            fault of the job.
        spent: Whether the budget that was sent ended it.
    """

    current_version: ClassVar[int] = 1

    row: Row | None = None
    calls: tuple[StoredCall, ...] = ()
    error: str = ""
    infrastructure: bool = True
    spent: bool = False
