"""What a user wishes of a search: the best program, or the cheapest that is good enough.

Owns the costs that a search may keep low and the words of a wish. Which program fulfils it is the
business of ``optimizers.objectives``.
"""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, model_serializer, model_validator

from lift_sys.record import Record

Cost = Literal["tokens", "usd", "seconds"]
"""What a program costs per task: generated tokens, USD, or time in seconds."""

_COST = r"(?P<cost>tokens|usd|seconds)"
_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_FORMS = (
    re.compile(r"best"),
    re.compile(rf"best under {_COST} ?= ?(?P<limit>{_NUMBER})"),
    re.compile(rf"cheapest within (?P<points>{_NUMBER}) points?(?: in {_COST})?"),
    re.compile(rf"cheapest with at least (?P<percent>{_NUMBER}) ?%(?: in {_COST})?"),
)


class Wish(Record):
    """What is wanted; in JSON it is its words.

    At most one of ``limit``, ``points`` and ``percent`` is there. With none, or with ``limit``, the
    program that passes most is wanted; otherwise the cheapest.

    Attributes:
        cost: What is limited or kept low; ``None`` for the first cost that the search keeps low.
        limit: Most of ``cost`` per task.
        points: How far the program may be behind the best, in percentage points.
        percent: Least share of tasks that it passes, in percent.
    """

    cost: Cost | None = None
    limit: float | None = Field(default=None, gt=0)
    points: float | None = Field(default=None, ge=0, le=100)
    percent: float | None = Field(default=None, gt=0, le=100)

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        words = " ".join(value.lower().split())
        found = next((m for form in _FORMS if (m := form.fullmatch(words))), None)
        if found is None:
            msg = (
                f"the wish {value!r} is not understood; say 'best', 'best under tokens=300' (or "
                "usd=, seconds=; per task), 'cheapest within 2 points' or 'cheapest with at least "
                "85 %', the last two also with 'in tokens', 'in usd' or 'in seconds'"
            )
            raise ValueError(msg)
        return found.groupdict()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [x for x in (self.limit, self.points, self.percent) if x is not None]
        limits_nothing = self.limit is not None and self.cost is None
        if len(given) > 1 or limits_nothing or (self.cost and not given):
            msg = "a wish has one of limit (of a cost), points and percent, or nothing at all"
            raise ValueError(msg)
        return self

    @property
    def for_cheapest(self) -> bool:
        """Whether the cheapest program that is good enough is wanted."""
        return self.points is not None or self.percent is not None

    @model_serializer
    def _words(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.limit is not None:
            return f"best under {self.cost}={_number(self.limit)}"
        unit = f" in {self.cost}" if self.cost else ""
        if self.points is not None:
            return f"cheapest within {_number(self.points)} points{unit}"
        if self.percent is not None:
            return f"cheapest with at least {_number(self.percent)} %{unit}"
        return "best"


BEST = Wish()
"""The program that passes most."""


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
