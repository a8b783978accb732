"""What a job spends, call by call, and in which units.

Owns the records of the ledger and what it must do; how it is kept is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, Protocol

from lift_sys.record import Record, Versioned


class Spend(Record):
    """What something costs, in the units of a budget.

    Attributes:
        tokens: Of prompts, cached ones included, and generated ones.
        usd: US dollars.
        seconds: Running time of the job, in seconds.
    """

    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            tokens=self.tokens + other.tokens,
            usd=self.usd + other.usd,
            seconds=self.seconds + other.seconds,
        )

    def __sub__(self, other: Spend) -> Spend:
        return Spend(
            tokens=self.tokens - other.tokens,
            usd=self.usd - other.usd,
            seconds=self.seconds - other.seconds,
        )


class LedgerEntry(Versioned):
    """A call that was paid, or is about to be.

    Attributes:
        key: Content address of the call; a call that is charged again has a number behind it. A
            later entry with a key replaces an earlier one.
        state: ``reserved`` with the most that the call can cost, or ``spent``.
        phase: Of the job.
        model: Its id.
        stage: What the call was for.
        prompt_tokens: Of the whole prompt.
        cached_tokens: Those of them that came from the prefix cache.
        completion_tokens: Generated.
        usd: US dollars.
        seconds: That the call took.
        running: Seconds that the job had been running when this was written, in all its starts. In
            a ledger that processes share each of them counts on from where it joined.
    """

    current_version: ClassVar[int] = 1

    key: str
    state: Literal["reserved", "spent"]
    phase: str
    model: str
    stage: str
    prompt_tokens: int
    cached_tokens: int = 0
    completion_tokens: int
    usd: float
    seconds: float = 0.0
    running: float

    @property
    def spend(self) -> Spend:
        """Its tokens and US dollars; running time is the job's."""
        return Spend(tokens=self.prompt_tokens + self.completion_tokens, usd=self.usd)


Fits = Callable[[Spend, Spend], bool]
"""Whether a call may be made, told what is spent and what calls in flight may cost."""


class Ledger(Protocol):
    """Where entries are kept, for one process or for many."""

    @property
    def running(self) -> float:
        """Running time, in seconds, up to which this process has counted its own."""
        ...

    @property
    def poll(self) -> float | None:
        """Seconds after which others may have ended a call; ``None``: there are no others."""
        ...

    def get(self, key: str) -> LedgerEntry | None:
        """Return the last entry with this key, if there is one."""
        ...

    def reserve(self, entry: LedgerEntry, *, charged: bool, fits: Fits) -> bool:
        """Reserve the most that a call can cost, if it fits: one step, whoever else reserves.

        Args:
            entry: The reservation.
            charged: Whether somebody charges for the call. If its end is never noted it counts in
                full then, and as nothing otherwise.
            fits: Decides; what it raises leaves nothing reserved.
        """
        ...

    def put(self, entry: LedgerEntry) -> None:
        """Keep what a call cost; it would survive a crash when this returns."""
        ...

    def release(self, key: str) -> None:
        """End a reservation; one whose cost was not put is that of a call nobody saw the end of."""
        ...

    def by_phase(self) -> Mapping[str, Spend]:
        """Return what each phase has spent, whoever spent it, without the calls in flight."""
        ...

    def refusal(self, place: str, why: str | None = None) -> str | None:
        """Return why nothing more is spent in a place, as the first that was refused there said it.

        Args:
            place: A phase under a budget.
            why: Said now, unless it was said before.
        """
        ...


def amount(value: float, name: str, limit: float) -> str:
    """Return an amount in the words of a budget's limit: tokens, USD or seconds.

    Args:
        value: The amount.
        name: Of the limit.
        limit: More than 0; a small one is told with two digits at least, and so is what it limits.
    """
    if name == "tokens":
        return f"{value:,.0f} tokens"
    ordinary, unit = (2, "USD") if name == "usd" else (0, name)
    digits = max(ordinary, 1 - math.floor(math.log10(limit)))
    return f"{value:,.{digits}f} {unit}"
