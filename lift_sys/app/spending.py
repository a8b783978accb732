"""What a job spends: what it leaves for its final table, what is told of it.

Owns the rule by which the search leaves something for the final table. Every call of the search
asks whether what is spent, and what the final table is expected to cost, reach the budget together.
A task of the final table is expected to cost what a task has cost on average so far in this job,
answers that were stored included. Programs that have been run on these tasks already are not
counted. So a search may end early, and the table can still be more expensive than the tasks before
it; then the job ends in the table, and goes on with a larger budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from lift_sys.app.ledger_file import Allowance
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent, ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.budget import Account
from lift_sys.inference.ledger import Ledger, Spend, amount
from lift_sys.record import Record
from lift_sys.tasks import Task
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
        parts = [
            f"{amount(getattr(spend, name), name)} by the {phase}"
            for phase, spend in self.phases.items()
        ]
        total = sum(self.phases.values(), Spend())
        return (
            f"{amount(getattr(total, name), name)} of {amount(getattr(self.budget, name), name)} "
            f"spent ({', '.join(parts)})"
        )


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
        self.account = Account(lambda: allowance().budget, ledger)
        for row in rows:
            self._count(row)

    def watch(self, then: Callable[[Row, bool], None]) -> Callable[[Row, bool], None]:
        """Return what takes note of each executed task's cost, and passes it on."""

        def note(row: Row, reused: bool) -> None:
            if not reused:
                self._count(row)
            then(row, reused)

        return note

    def _count(self, row: Row) -> None:
        self._seen += 1
        self._tokens += row.usage.total_tokens
        self._seconds += row.seconds

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
            least = self._total + self._expected(tasks)
            needed = ", ".join(amount(getattr(least, name), name) for name in self._limits)
            msg = (
                f"{refused}; no trial is complete yet, and a first one needs about {needed} in all"
            )
            raise BudgetSpent(msg) from refused

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


def check_budget(budget: Budget, models: Iterable[str], dev: Iterable[Task]) -> None:
    """Refuse a budget that cannot be kept, or that is too small for a single trial.

    Args:
        budget: Of a job.
        models: Ids of all models that it may ask.
        dev: The tasks of a trial.

    Raises:
        ConfigError: A model has no price by the token, or the tokens do not even hold the specs.
    """
    if budget.usd is not None:
        for info in (info for model_id in models for info in catalogue.answering(model_id)):
            if info.price is None or info.price.hour:
                why = "has no known price" if info.price is None else "is paid by the hour"
                msg = f"model {info.id} {why}, so no usd budget can be kept; cap tokens or seconds"
                raise ConfigError(msg)
    least = sum(len(task.spec.split()) + 1 for task in dev)
    if budget.tokens is not None and budget.tokens < least:
        msg = (
            f"a budget of {budget.tokens:,} tokens is below one trial, whose specs alone "
            f"have about {least:,}; give at least tokens={least}, and rather 100 times that"
        )
        raise ConfigError(msg)
