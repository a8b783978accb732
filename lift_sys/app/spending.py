"""What a job spends: what it leaves for its final table, what is told of it.

Owns the rule by which the search leaves something for the final table. Every call of the search
asks whether what is spent, and what the final table is expected to cost, reach the budget together.
A task of the final table is expected to cost what a task has cost on average so far in this job,
answers that were stored included. Tasks whose rows are stored, in this run or one whose rows it
takes, cost nothing. So a search may end early, and the table can still be more expensive than the
tasks before it; then the job ends in the table, and goes on with a larger budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lift_sys.app.ledger_file import Allowance
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent, ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.budget import Account
from lift_sys.inference.ledger import Ledger, Spend, amount
from lift_sys.record import Record
from optimizers.rows import Row


class BudgetUse(Record):
    """What a job has spent of its budget.

    Attributes:
        budget: The limits.
        phases: What each phase has spent, in order.
        ended_search: Whether the budget ended the search.
    """

    budget: Budget
    phases: dict[str, Spend]
    ended_search: bool = False

    def __str__(self) -> str:
        """Say it in one sentence."""
        limits = [name for name, limit in self.budget.model_dump().items() if limit is not None]
        ended = "; the search ended when no more than the final table was left of it"
        return f"Budget: {', and '.join(map(self._limit, limits))}" + (
            f"{ended if self.ended_search else ''}."
        )

    def _limit(self, name: str) -> str:
        limit = getattr(self.budget, name)
        parts = [
            f"{amount(getattr(spend, name), name, limit)} by the {phase}"
            for phase, spend in self.phases.items()
        ]
        total = amount(getattr(sum(self.phases.values(), Spend()), name), name, limit)
        return f"{total} of {amount(limit, name, limit)} spent ({', '.join(parts)})"


@dataclass(frozen=True)
class Aside:
    """What a search leaves for the final table, which is less with each of its rows that is stored.

    Attributes:
        budget: Of the job.
        missing: Keys of rows of the table that are not stored.
        for_winner: Tasks that the winner, which nobody knows yet, is to be run on.
        allow: Sets what the job may spend.
    """

    budget: Budget
    missing: set[str]
    for_winner: int
    allow: Callable[[Allowance], None]

    def tell(self) -> None:
        """Let the job know what is left."""
        left = len(self.missing) + self.for_winner
        self.allow(Allowance(budget=self.budget, final_tasks=left))

    def stored(self, key: str) -> None:
        """Take note of a row that is stored."""
        if key in self.missing:
            self.missing.remove(key)
            self.tell()


class Spending:
    """What one job spends.

    Args:
        allowance: Tells what it may spend, now.
        ledger: What it has spent.
        rows: That were stored before the final table.

    Attributes:
        account: What models are paid from.

    Raises:
        StoreError: The ledger cannot be read.
    """

    def __init__(
        self, allowance: Callable[[], Allowance], ledger: Ledger, rows: Iterable[Row]
    ) -> None:
        self._allowance = allowance
        self._ledger = ledger
        self._seen = 0
        self._tokens = 0
        self._seconds = 0.0
        self._aside: Aside | None = None
        self.account = Account(lambda: allowance().budget, ledger)
        for row in rows:
            self._count(row)

    def set_aside(self, aside: Aside) -> None:
        """Let the search leave something for the final table."""
        self._aside = aside
        aside.tell()

    def watch(self, then: Callable[[Row, bool], None]) -> Callable[[Row, bool], None]:
        """Return what takes note of each executed task's cost, and passes it on."""

        def note(row: Row, reused: bool) -> None:
            if not reused:
                self._count(row)
            if self._aside:
                self._aside.stored(row.key)
            then(row, reused)

        return note

    def _count(self, row: Row) -> None:
        # A budget in seconds counts the clock: of calls in flight together, each has its share.
        overlapped = sum(call.seconds - call.machine_seconds for call in row.calls)
        self._seen += 1
        self._tokens += row.usage.total_tokens
        self._seconds += max(0.0, row.seconds - overlapped)

    @contextmanager
    def search(self, phase: str, tasks: int) -> Iterator[None]:
        """Run the search, which leaves something for the final table.

        Args:
            phase: Its name.
            tasks: Of a trial.

        Raises:
            BudgetSpent: Before a trial was complete; it says about how much a first one needs.
        """
        self.account.enter(phase, self._expected)
        try:
            yield
        except BudgetSpent as refused:
            needed = ", ".join(self._least(phase, tasks, name) for name in self._limits)
            msg = (
                f"{refused}; no trial is complete yet, and a first one needs about {needed} in all"
            )
            raise BudgetSpent(msg) from refused

    def _least(self, phase: str, tasks: int, name: str) -> str:
        """Return what a job with a first trial needs, of which the search has paid a part."""
        final, both = self._expected(), self._expected(tasks)
        trial = both - final - self._ledger.by_phase().get(phase, Spend())
        needed = getattr(self._total + final, name) + max(0, getattr(trial, name))
        return amount(needed, name, getattr(self._allowance().budget, name))

    @contextmanager
    def final(self, phase: str, save: Callable[[], object]) -> Iterator[None]:
        """Run the final table.

        Args:
            phase: Its name.
            save: Called where the budget ends it, so that the winner is not lost.

        Raises:
            BudgetSpent: In the table.
        """
        self.account.enter(phase)
        self._aside = None
        try:
            yield
        except BudgetSpent:
            save()
            raise

    def use(self, *, ended_search: bool) -> BudgetUse | None:
        """Return what was spent of the budget; ``None`` where there is none."""
        budget = self._allowance().budget
        if budget == Budget():
            return None
        phases = dict(self._ledger.by_phase())
        return BudgetUse(budget=budget, phases=phases, ended_search=ended_search)

    @property
    def _limits(self) -> list[str]:
        limits = self._allowance().budget.model_dump()
        return [name for name, limit in limits.items() if limit is not None]

    @property
    def _total(self) -> Spend:
        return sum(self._ledger.by_phase().values(), Spend())

    def _expected(self, more: int = 0) -> Spend:
        """Return what the final table, and some more tasks, are expected to cost.

        That is nothing while no task has been run.
        """
        if not self._seen:
            return Spend()
        total, share = self._total, (self._allowance().final_tasks + more) / self._seen
        tokens = self._tokens * share
        usd = tokens * total.usd / total.tokens if total.tokens else 0.0
        return Spend(tokens=round(tokens), usd=usd, seconds=self._seconds * share)


def check_prices(budget: Budget, models: Iterable[str]) -> None:
    """Refuse a budget in USD that nobody can keep.

    Args:
        budget: Of a job.
        models: Ids of all models that it may ask.

    Raises:
        ConfigError: A model has no price by the token.
    """
    if budget.usd is None:
        return
    for info in (info for model_id in models for info in catalogue.answering(model_id)):
        if info.price is None or info.price.hour:
            why = "has no known price" if info.price is None else "is paid by the hour"
            msg = f"model {info.id} {why}, so no usd budget can be kept; cap tokens or seconds"
            raise ConfigError(msg)
