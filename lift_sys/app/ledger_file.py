"""What a run may spend and has spent, as its directory keeps it.

Owns the allowance of a run, its ledger file, and beside it ``refusals.json``: a search that a
budget ended ends there again, though more of the final table is stored by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lift_sys.app.lines import KeyedLines
from lift_sys.config import Budget
from lift_sys.files import read_whole, write_atomically
from lift_sys.inference.ledger import Fits, LedgerEntry, Spend
from lift_sys.record import Versioned


class Allowance(Versioned):
    """What a job may spend.

    Attributes:
        budget: Its limits.
        final_tasks: Tasks of the final table whose rows are not stored, once for each program: the
            search leaves what they are expected to cost.
    """

    current_version: ClassVar[int] = 1

    budget: Budget = Budget()
    final_tasks: int = 0


class Refusals(Versioned):
    """Where a job was refused.

    Attributes:
        said: Why, by phase and budget.
    """

    current_version: ClassVar[int] = 1

    said: dict[str, str] = {}  # noqa: RUF012 (pydantic copies it)


class LedgerFile:
    """The ledger in a run directory, one line a call.

    Running time belongs to the phase of the call at whose end it is known.

    Args:
        path: The file; need not exist.

    Attributes:
        running: Running time of the job that is counted so far, in seconds.
        poll: No other process writes here.

    Raises:
        StoreError: The file, or that of the refusals, cannot be read.
    """

    poll: ClassVar[None] = None

    def __init__(self, path: Path) -> None:
        self._lines: KeyedLines[LedgerEntry] = KeyedLines(path, LedgerEntry)
        self._refusals_file = path.with_name("refusals.json")
        self._refusals = read_whole(self._refusals_file, Refusals) or Refusals()
        self.running = 0.0
        self._phases: dict[str, Spend] = {}
        self._in_flight: dict[str, tuple[LedgerEntry, bool]] = {}
        for entry in sorted(self._lines, key=lambda entry: entry.running):
            self._count(entry, entry.spend)

    def get(self, key: str) -> LedgerEntry | None:
        """Return the last entry with this key, if there is one."""
        return self._lines.get(key)

    def reserve(self, entry: LedgerEntry, *, charged: bool, fits: Fits) -> bool:
        """Reserve what a call can cost; it is on disk, if charged, when this returns.

        Raises:
            StoreError: The disk refused.
        """
        in_flight = sum((other.spend for other, _ in self._in_flight.values()), Spend())
        if not fits(sum(self._phases.values(), Spend()), in_flight):
            return False
        if charged:
            self._lines.put(entry)
            self._count(entry, Spend())
        self._in_flight[entry.key] = (entry, charged)
        return True

    def put(self, entry: LedgerEntry) -> None:
        """Append an entry; it is on disk when this returns.

        Raises:
            StoreError: The disk refused.
        """
        replaced = self._lines.get(entry.key)
        self._lines.put(entry)
        reservation, charged = self._in_flight.pop(entry.key, (None, False))
        if replaced and not (reservation and charged):
            self._add(replaced.phase, Spend() - replaced.spend)
        self._count(entry, entry.spend)

    def release(self, key: str) -> None:
        """End a reservation."""
        entry, charged = self._in_flight.pop(key, (None, False))
        if entry and charged:
            self._add(entry.phase, entry.spend)

    def by_phase(self) -> Mapping[str, Spend]:
        """Return what each phase has spent, in the order in which they began."""
        return self._phases

    def refusal(self, place: str, why: str | None = None) -> str | None:
        """Return why nothing more is spent in a place, as it was said first.

        Raises:
            StoreError: The disk refused.
        """
        said = self._refusals.said
        if why and place not in said:
            self._refusals = Refusals(said={**said, place: why})
            write_atomically(self._refusals_file, self._refusals.model_dump_json(indent=2) + "\n")
        return self._refusals.said.get(place)

    def _count(self, entry: LedgerEntry, spend: Spend) -> None:
        since = max(0.0, entry.running - self.running)
        self.running += since
        self._add(entry.phase, spend + Spend(seconds=since))

    def _add(self, phase: str, spend: Spend) -> None:
        self._phases[phase] = self._phases.get(phase, Spend()) + spend
