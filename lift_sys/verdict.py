"""What executing and scoring a candidate can say.

Owns the vocabulary of outcomes. A failure of the infrastructure is an exception
(``lift_sys.errors``), never a verdict.
"""

from __future__ import annotations

from enum import StrEnum

from lift_sys.record import Record


class Status(StrEnum):
    """How one case, or a whole candidate, ended."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    UNSERIALISABLE = "unserialisable"
    SYNTAX_ERROR = "syntax_error"
    NO_ENTRY_POINT = "no_entry_point"
    PROTOCOL = "protocol"


class FailureCategory(StrEnum):
    """Why an attempt failed. ``metrics.failures`` says how each is told from the others."""

    WRONG_LITERAL = "wrong_literal"
    TYPE_QUIRK = "type_quirk"
    BOUNDARY_OR_LOGIC = "boundary_or_logic"
    EXCEPTION_HANDLING = "exception_handling"
    SYNTAX = "syntax"
    IR_NOT_PARSED = "ir_not_parsed"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    ENTRY_POINT_OR_ARITY = "entry_point_or_arity"
    OTHER = "other"


def no_answer(category: FailureCategory, reason: str) -> str:
    """Return the text by which a program says why it gives no code.

    It begins with the category, so that ``category_of`` need not guess from the words.
    """
    return f"{category}: {reason}"


def category_of(failure: str | None) -> FailureCategory:
    """Return the category that ``no_answer`` wrote; ``OTHER`` for what others wrote."""
    begins = (failure or "").partition(":")[0]
    return FailureCategory(begins) if begins in set(FailureCategory) else FailureCategory.OTHER


class CaseResult(Record):
    """How one case ended.

    Attributes:
        index: Position of the case in what was asked.
        status: Its outcome.
        actual: ``repr`` of the returned value, shortened; ``None`` where nothing came back.
        exception: Name of the exception's type, where one was raised.
        message: Why it did not pass, for a person.
        seconds: Time spent in the call, in seconds.
    """

    index: int
    status: Status
    actual: str | None = None
    exception: str | None = None
    message: str = ""
    seconds: float = 0.0


class Verdict(Record):
    """How a candidate did on a list of cases.

    Attributes:
        status: ``PASSED`` if every case passed, else the status of the first case that did not,
            or of the candidate as a whole (e.g. ``SYNTAX_ERROR``), in which case ``cases`` holds
            that status for every case.
        cases: One result per case, in order.
        message: Why it did not pass, for a person; empty when it did.
        seconds: Wall time in the sandbox, in seconds.
    """

    status: Status
    cases: tuple[CaseResult, ...]
    message: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return self.status is Status.PASSED

    @property
    def fraction(self) -> float:
        """Share of cases that passed, in [0, 1]; 0 when there are none."""
        if not self.cases:
            return 0.0
        return sum(c.status is Status.PASSED for c in self.cases) / len(self.cases)


class Score(Record):
    """A metric's answer; higher is better.

    Attributes:
        value: In [0, 1].
        passed: Whether every hidden case passed.
        status: The verdict's status; ``None`` where there was no code to run.
        feedback: What went wrong, in words a reflective optimizer can use.
        category: Of the failure; ``None`` where it passed, and in rows of earlier releases.
    """

    value: float
    passed: bool
    status: Status | None
    feedback: str
    category: FailureCategory | None = None
