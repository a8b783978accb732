"""What a search knows of the programs that it tried.

Owns the records of a trial, of what a study keeps of it and of its re-evaluation, and what a trial
is worth.
"""

from __future__ import annotations

from typing import Any, Literal

from lift_sys.record import Record
from lift_sys.wish import Cost

TOKEN_WEIGHT = 1e-7
"""Success a trial gives up per generated token and task: only a tie-break, since even 10,000 tokens
weigh less than one task in 900."""

Dropped = Literal["hopeless", "racing", "budget", "unpaid"]
"""Why a trial was given up: it exactly cannot win, it lost its race, the tokens of the search are
spent, or the budget of the job."""


class Tried(Record):
    """A program on tasks: what it passed and what that cost.

    Attributes:
        number: Of its trial: the position among the finished ones, from 0.
        passed: Tasks that passed.
        tried: Tasks that were executed.
        tokens: Generated tokens of the tried tasks, shared with other trials or not.
        usd: What their calls cost, in USD, likewise; those whose price is not known cost nothing.
        seconds: Time in the model, in seconds, likewise; calls that overlap count twice. It was
            kept with each answer, so a resumed search sees the same times.
        outcomes: Pass or fail of each tried task, in the order in which trials run them.
    """

    number: int
    passed: int
    tried: int
    tokens: int
    usd: float = 0.0
    seconds: float = 0.0
    outcomes: tuple[bool, ...] = ()

    @property
    def value(self) -> float:
        """What it is worth on the tasks that were tried."""
        return worth(self.passed, self.tokens, self.tried)

    @property
    def success(self) -> float:
        """Share of the tried tasks that passed, in [0, 1]."""
        return self.passed / self.tried

    def total(self, cost: Cost) -> float:
        """Return a cost of all tried tasks together."""
        return float(getattr(self, cost))

    def per_task(self, cost: Cost) -> float:
        """Return the mean of a cost over the tried tasks."""
        return self.total(cost) / self.tried

    def at_best(self, tasks: int) -> Tried:
        """Return what it would be if every other one of ``tasks`` passed at no cost."""
        passed = self.passed + tasks - self.tried
        return self.model_copy(update={"passed": passed, "tried": tasks})


class Trial(Tried):
    """A finished trial.

    Attributes:
        point: What was tried.
        complete: Whether every task was executed; otherwise the trial was given up.
        dropped: Why it was given up; ``None`` for a complete one.
    """

    point: dict[str, Any]
    complete: bool
    dropped: Dropped | None = None


class Told(Record):
    """A finished trial with all that the trials after it depend on: what a study keeps.

    Attributes:
        trial: The trial.
        answers: The generated answers that no earlier trial had, as ``Answers`` knows them.
        spent: Generated tokens of these answers.
    """

    trial: Trial
    answers: tuple[str, ...]
    spent: int


class Reevaluation(Tried):
    """A complete trial, run once more on every task with fresh samples.

    Attributes:
        repeated: Whether there are answers, and each is one that the search had already: nothing is
            sampled, so this time can tell nothing that the first did not.
    """

    repeated: bool


def worth(passed: int, tokens: int, tasks: int) -> float:
    """Return the value that a search maximizes; at most 1.

    Args:
        passed: Of the tasks.
        tokens: Generated for all of them.
        tasks: At least 1.
    """
    return passed / tasks - TOKEN_WEIGHT * tokens / tasks
