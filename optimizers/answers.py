"""What a search has spent on generated answers, each of them counted once.

Several trials may share an answer, and an interrupted search may find it stored. Counted so, what
was spent depends on neither.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lift_sys.inference.catalogue import usd
from lift_sys.record import digest
from optimizers.rows import Row
from optimizers.trials import Reevaluation, Trial, Tried


class Answers:
    """The answers of a search.

    Attributes:
        tokens: Generated tokens of all of them.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._known: set[str] = set()

    def __contains__(self, answer: object) -> bool:
        return answer in self._known

    def count(self, row: Row) -> list[str]:
        """Count a row's answers, and return what those are known by that were not counted yet."""
        tokens = dict(zip(answers_of(row), (c.completion_tokens for c in row.calls), strict=True))
        new = [answer for answer in tokens if answer not in self._known]
        self.restore(new, sum(tokens[answer] for answer in new))
        return new

    def restore(self, answers: Collection[str], tokens: int) -> None:
        """Count answers that are known from before, with their tokens together."""
        self._known.update(answers)
        self.tokens += tokens


def answers_of(row: Row) -> list[str]:
    """Return what a row's answers are known by: 64 bits of a hash of their content address."""
    return [digest(c.key or f"{row.key}/{i}")[:16] for i, c in enumerate(row.calls)]


def reevaluation(trial: Trial, rows: Sequence[Row], known: Answers) -> Reevaluation:
    """Return what a trial did when it ran again.

    Args:
        trial: The trial.
        rows: Of all tasks.
        known: The answers that the search had before.
    """
    tried = Tried(number=trial.number, passed=0, tried=0, tokens=0)
    for row in rows:
        tried = with_row(tried, row)
    answers = [answer for row in rows for answer in answers_of(row)]
    repeated = bool(answers) and all(answer in known for answer in answers)
    return Reevaluation(**dict(tried), repeated=repeated)


def with_row(tried: Tried, row: Row) -> Tried:
    """Return what a program did and cost, with one task more."""
    return tried.model_copy(
        update={
            "passed": tried.passed + row.score.passed,
            "tried": tried.tried + 1,
            "tokens": tried.tokens + sum(c.completion_tokens for c in row.calls),
            "usd": tried.usd + sum(usd(c) or 0.0 for c in row.calls),
            "seconds": tried.seconds + sum(c.seconds for c in row.calls),
            "outcomes": (*tried.outcomes, row.score.passed),
        }
    )
