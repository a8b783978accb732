"""What executes tasks in the place of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lift_sys.tasks import Task
    from optimizers.evaluate import Prepared
    from optimizers.rows import Row


class Executor(Protocol):
    """Executes tasks elsewhere; called from as many threads as it has slots."""

    @property
    def slots(self) -> int:
        """How many tasks it executes at the same time, at least 1."""
        ...

    def execute(self, prepared: Prepared, task: Task, key: str) -> Row:
        """Return the row of a task, with this key, as this process would have made it.

        Raises:
            BudgetSpent: The job may ask nothing more.
            InfrastructureError: The task could not be executed; nothing is known of its answer.
        """
        ...
