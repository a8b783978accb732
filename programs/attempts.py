"""What selection rules look at: the attempts of one answer, and what is fixed while they are drawn.

Owns these records, and that an execution is asked for once while one answer is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lift_sys.ir.models import SpecIR
from lift_sys.ir.schema import MAX_ASSERTIONS
from lift_sys.record import Record
from lift_sys.sandbox.base import Execution, Limits, Sandbox, Submission
from lift_sys.tasks import TaskView
from programs.agreement import Agreement
from programs.critique import Issue, Part


class Iteration(Record):
    """One state of a candidate that was refined.

    Attributes:
        ir: The IR, where there is one.
        code: The code, where it was written by then.
        agreement: How IR and code agree, where there is code.
        quality: The critic's, 0 to 10, where it read the IR.
        issues: What was then to be repaired.
        blamed: Which part was given to a stage to repair; ``None`` where none was.
    """

    ir: SpecIR | None = None
    code: str | None = None
    agreement: Agreement | None = None
    quality: int | None = None
    issues: tuple[Issue, ...] = ()
    blamed: Part | None = None


class Attempt(Record):
    """One candidate, as far as it got.

    Attributes:
        index: 0 for the first drawn.
        ir: The IR, where one was made.
        code: The code, where it was written.
        agreement: How IR and code agree, where that was checked.
        failure: Why it ended early, e.g. a truncated answer.
        iterations: Every state that it went through, where it was refined; ``ir`` and ``code`` are
            those of the best.
    """

    index: int
    ir: SpecIR | None = None
    code: str | None = None
    agreement: Agreement | None = None
    failure: str | None = None
    iterations: tuple[Iteration, ...] = ()


@dataclass(frozen=True)
class Draw:
    """What is fixed while the candidates of one answer are drawn.

    Attributes:
        view: The task, without hidden cases.
        n: Most candidates that will be drawn.
        sandbox: Where a rule may run candidates; it remembers, so asking again costs nothing.
        assertions: Most that an IR stage may write.
        stop_at: Posterior from which a candidate is taken without drawing another.
    """

    view: TaskView
    n: int
    sandbox: Sandbox
    assertions: int = MAX_ASSERTIONS
    stop_at: float = 0.8


class Remembering:
    """A sandbox that executes equal submissions once."""

    def __init__(self, inner: Sandbox) -> None:
        self._inner = inner
        self._known: dict[tuple[Submission, Limits | None], Execution] = {}

    @property
    def description(self) -> str:
        """That of the sandbox behind it."""
        return self._inner.description

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Execute what was not executed before.

        Raises:
            SandboxError: The sandbox failed; the candidate was not judged.
        """
        key = (submission, limits)
        execution = self._known.get(key)
        if execution is None:
            execution = self._known[key] = self._inner.execute(submission, limits)
        return execution

    def close(self) -> None:
        """Forget; the sandbox behind it is borrowed and stays open."""
        self._known.clear()


def usable(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts that did not fail."""
    return [a for a in attempts if a.failure is None]
