"""What a job spends, call by call, and in which units.

Owns the records of the ledger and what it must do; how it is kept is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        running: Seconds that the job had been running when this was written, in all its starts.
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


class Ledger(Protocol):
    """Where entries are kept."""

    def get(self, key: str) -> LedgerEntry | None:
        """Return the last entry with this key, if there is one."""
        ...

    def put(self, entry: LedgerEntry) -> None:
        """Keep an entry; it would survive a crash when this returns."""
        ...

    def by_phase(self) -> Mapping[str, Spend]:
        """Return what each phase has spent, whoever spent it, reservations of the dead included."""
        ...


def amount(value: float, name: str) -> str:
    """Return an amount in the words of a budget's limit: tokens, USD or seconds."""
    return f"{value:,.2f} USD" if name == "usd" else f"{value:,.0f} {name}"
