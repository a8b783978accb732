"""The plan's decision tree: which rung is measured next, where the climb ends, and why.

Owns the order of the rungs and every rule of the tree, as pure functions of what was measured.
What a rung runs, what it costs and how the answer is said are not known here.

The tree: prompts come first (zero-shot, then few-shot with quirks). Where both stay below the
floor, the plan skips to Claude; elsewhere it tries a larger model (Option A), then best-of-N on the
small one (Option B), then the hybrid of reasoning and best-of-N on the better of the two, then
Claude. Fine-tuned weights come last. Where Claude cannot be asked after the skip, what was skipped
is tried all the same: nothing else is left.

A rung ends the climb when the lower end of its interval clears the target. One that is above the
target without showing it ends the climb as well: a dearer rung would be chosen on noise, so it
takes more tasks. The floor goes by the rate itself, as in the plan, because a wrong turn there
costs money and no promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

SOME_USES = 1_000
"""Uses a month above which the plan considers fine-tuning."""

MANY_USES = 10_000
"""Uses a month above which the plan fine-tunes to lower the ongoing cost."""


class Rung(StrEnum):
    """A step of the ladder, in the order in which the report shows them."""

    ZERO_SHOT = "zero-shot"
    FEW_SHOT = "few-shot + quirks"
    LARGER = "larger model"
    BEST_OF_N = "best-of-N"
    HYBRID = "hybrid"
    CLAUDE = "Claude"
    TUNED = "fine-tuned"


PROMPTS = (Rung.ZERO_SHOT, Rung.FEW_SHOT)
"""Rungs that change nothing but what the small model is told."""

UPGRADES = (Rung.LARGER, Rung.BEST_OF_N, Rung.HYBRID)
"""Rungs that the plan skips below the floor."""


class Reason(StrEnum):
    """Why a rung is next, or why the climb ends at one."""

    FIRST = "first"
    PROMPTS_NEXT = "prompts next"
    OPTION_A = "option A"
    OPTION_B = "option B"
    COMBINED = "combined"
    BELOW_FLOOR = "below the floor"
    NO_CLAUDE = "no Claude"
    FELL_SHORT = "fell short"
    LAST = "last"
    REACHED = "reached"
    MORE_TASKS = "more tasks"
    EXHAUSTED = "exhausted"
    BUDGET = "budget"


class Standing(Protocol):
    """How a rung did: passed tasks and the interval of the rate, both ends in [0, 1]."""

    @property
    def passed(self) -> int:
        """Tasks that passed."""
        ...

    @property
    def total(self) -> int:
        """Tasks that were run, at least 1."""
        ...

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        ...

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        ...


Found = Mapping[Rung, Standing | None]
"""The rungs so far, in the order in which they were tried; ``None``: it could not be run."""


@dataclass(frozen=True)
class Thresholds:
    """What the plan decides by, as shares of tasks; 0 < floor ≤ target < 1.

    Attributes:
        target: What a rung must show.
        floor: Below it, better prompts are not enough and the plan skips to Claude.
    """

    target: float = 0.85
    floor: float = 0.78


@dataclass(frozen=True)
class Climb:
    """A rung to run next, and why."""

    rung: Rung
    reason: Reason


@dataclass(frozen=True)
class End:
    """Why the climb ends, and at which rung; ``None`` where none could be measured."""

    reason: Reason
    rung: Rung | None


@dataclass(frozen=True)
class Cost:
    """What a rung costs per task.

    Attributes:
        usd: US dollars; ``None`` where a price is not known.
        seconds: Wall time.
    """

    usd: float | None
    seconds: float

    def is_below(self, other: Cost) -> bool:
        """Tell whether this is cheaper: in USD where both have a price, else in time."""
        mine, theirs = self.usd, other.usd
        if mine is not None and theirs is not None and mine != theirs:
            return mine < theirs
        return self.seconds < other.seconds


def share(standing: Standing) -> float:
    """Return the rate, in [0, 1]."""
    return standing.passed / standing.total


def next_step(found: Found, thresholds: Thresholds) -> Climb | End:
    """Return which rung to run next, or that the climb ends and where."""
    measured = {rung: standing for rung, standing in found.items() if standing is not None}
    for rung, standing in measured.items():
        if standing.low >= thresholds.target:
            return End(Reason.REACHED, rung)
    for rung, standing in measured.items():
        if share(standing) > thresholds.target:
            return End(Reason.MORE_TASKS, rung)
    for rung, reason in _path(found, thresholds):
        if rung not in found:
            return Climb(rung, reason)
    return End(Reason.EXHAUSTED, best(found))


def _path(found: Found, thresholds: Thresholds) -> Iterator[tuple[Rung, Reason]]:
    """Yield the rungs in the order of the tree, as far as it is decided."""
    yield Rung.ZERO_SHOT, Reason.FIRST
    yield Rung.FEW_SHOT, Reason.PROMPTS_NEXT
    if is_below_floor(found, thresholds):
        yield Rung.CLAUDE, Reason.BELOW_FLOOR
        if Rung.CLAUDE in found and found[Rung.CLAUDE] is None:
            yield from ((rung, Reason.NO_CLAUDE) for rung in UPGRADES)
    else:
        reasons = (Reason.OPTION_A, Reason.OPTION_B, Reason.COMBINED)
        yield from zip(UPGRADES, reasons, strict=True)
        yield Rung.CLAUDE, Reason.FELL_SHORT
    yield Rung.TUNED, Reason.LAST


def is_below_floor(found: Found, thresholds: Thresholds) -> bool:
    """Tell whether prompts were measured and none of them passes the floor's share of tasks."""
    shares = [share(s) for rung in PROMPTS if (s := found.get(rung)) is not None]
    return bool(shares) and max(shares) < thresholds.floor


def best(found: Found) -> Rung | None:
    """Return the rung that passed most, the earliest of equal ones; ``None`` where none was run."""
    measured = {rung: share(s) for rung, s in found.items() if s is not None}
    return max(measured, key=measured.__getitem__, default=None)


def prompts_to_keep(found: Found) -> Rung:
    """Return the prompts that later rungs stand on: few-shot, unless zero-shot passed more."""
    plain, shown = (found.get(rung) for rung in PROMPTS)
    if plain is not None and (shown is None or share(shown) < share(plain)):
        return Rung.ZERO_SHOT
    return Rung.FEW_SHOT


def option(found: Found, costs: Mapping[Rung, Cost], *, shown_better: bool) -> Rung:
    """Return what the hybrid is put on: the larger model (A), or the small one of best-of-N (B).

    Option A comes first, as in the plan. B is taken where A could not be run, where B is shown to
    be better, or where it passed at least as many tasks for less.

    Args:
        found: What was measured.
        costs: Of the measured rungs.
        shown_better: Whether a paired test shows B better than A.
    """
    larger, several = found.get(Rung.LARGER), found.get(Rung.BEST_OF_N)
    if larger is None:
        return Rung.BEST_OF_N
    if several is None:
        return Rung.LARGER
    as_good = share(several) >= share(larger)
    cheaper = costs[Rung.BEST_OF_N].is_below(costs[Rung.LARGER])
    return Rung.BEST_OF_N if shown_better or (as_good and cheaper) else Rung.LARGER


def tuning(uses: int | None) -> Literal["no", "consider", "yes"]:
    """Return what the plan says of fine-tuning at so many uses a month; unknown counts as few."""
    if uses is None or uses <= SOME_USES:
        return "no"
    return "yes" if uses > MANY_USES else "consider"
