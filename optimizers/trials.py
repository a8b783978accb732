"""What a search knows of the programs that it tried.

Owns the records of a trial, of what a study keeps of it and of its re-evaluation, and what a trial
is worth.
"""

from __future__ import annotations

from typing import Any, Literal

from lift_sys.record import Record

TOKEN_WEIGHT = 1e-7
"""Success a trial gives up per generated token and task: only a tie-break, since even 10,000 tokens
weigh less than one task in 900."""

Dropped = Literal["hopeless", "racing", "budget"]
"""Why a trial was given up: it exactly cannot win, it lost its race, or the tokens are spent."""


class Trial(Record):
    """A finished trial.

    Attributes:
        number: Position among the finished trials, from 0.
        point: What was tried.
        passed: Tasks that passed.
        tried: Tasks that were executed; fewer than all when the trial was given up.
        tokens: Generated tokens of the tried tasks, shared with other trials or not.
        complete: Whether every task was executed.
        dropped: Why it was given up; ``None`` for a complete one.
    """

    number: int
    point: dict[str, Any]
    passed: int
    tried: int
    tokens: int
    complete: bool
    dropped: Dropped | None = None

    @property
    def value(self) -> float:
        """What it is worth on the tasks that were tried."""
        return worth(self.passed, self.tokens, self.tried)


class Told(Record):
    """A finished trial with all that the trials after it depend on: what a study keeps.

    Attributes:
        trial: The trial.
        outcomes: Pass or fail of the tasks that were tried, in order.
        answers: The generated answers that no earlier trial had, as ``Answers`` knows them.
        spent: Generated tokens of these answers.
    """

    trial: Trial
    outcomes: tuple[bool, ...]
    answers: tuple[str, ...]
    spent: int


class Reevaluation(Record):
    """A complete trial, run once more on every task with fresh samples.

    Attributes:
        number: Of the trial.
        passed: Tasks that passed this time.
        tried: All tasks.
        tokens: Generated tokens of this time.
        repeated: Whether every answer was one that the search had already: nothing is sampled, so
            this time can tell nothing that the first did not.
    """

    number: int
    passed: int
    tried: int
    tokens: int
    repeated: bool

    @property
    def value(self) -> float:
        """What the trial is worth on fresh samples."""
        return worth(self.passed, self.tokens, self.tried)


def worth(passed: int, tokens: int, tasks: int) -> float:
    """Return the value that a search maximizes; at most 1.

    Args:
        passed: Of the tasks.
        tokens: Generated for all of them.
        tasks: At least 1.
    """
    return passed / tasks - TOKEN_WEIGHT * tokens / tasks
