"""What a search leaves for the final table: nothing for rows that are stored already."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dspy.lm15 import Request

from lift_sys.app import affordable, models, spending
from lift_sys.app.ledger_file import Allowance, LedgerFile
from lift_sys.app.lines import KeyedLines
from lift_sys.app.report import Report
from lift_sys.app.run import Outcome
from lift_sys.app.spending import Aside, Spending
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent
from lift_sys.inference.budget import Account
from lift_sys.inference.ledger import Spend
from lift_sys.inference.usage import CallRecord
from lift_sys.sandbox import Sandbox
from optimizers import evaluate
from tests.app.test_budget_job import Model, run
from tests.app.test_store import row

SECONDS = 10.0
"""What each answer takes, by the clock of these tests."""


class Slow(Model):
    """A model that takes its time, by a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def _answer(self, request: Request) -> str:
        self.now += SECONDS
        return super()._answer(request)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Slow:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(affordable, "shipped_rates", dict)
    made = Slow()
    monkeypatch.setattr(models, "build_lm", made.build)
    monkeypatch.setattr(spending, "Account", partial(Account, clock=lambda: made.now))
    monkeypatch.setattr(evaluate, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def second(folder: Path, sandbox: Sandbox, budget: Budget | None = None) -> Outcome:
    """Run a job of which all but the baselines of the final table is new to the folder."""
    space = {"code_sees": ("ir", "spec"), "temperature": (0.0,), "quirks": ("all",)}
    return run(folder, sandbox, budget, space=space, trials=3)


def costs(done: Outcome) -> tuple[Spend, int]:
    """Return what a job without a budget has spent, and the tasks that it has executed."""
    ledger = LedgerFile(done.run / "ledger.jsonl")
    lines = (done.run / "rows.jsonl").read_text().splitlines()
    return sum(ledger.by_phase().values(), Spend()), len(lines)


def results(report: Report) -> list[Any]:
    return [report.search, [(r.name, r.outcomes, r.usage.total_tokens) for r in report.results]]


@pytest.mark.parametrize("limit", ["tokens", "seconds"])
def test_what_a_run_beside_has_stored_is_not_kept_back(
    slow: Slow, sandbox: Sandbox, tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("free", "capped", "in full")]
    for folder in folders:
        folder.mkdir()
        run(folder, sandbox)
    free = second(folders[0], sandbox)
    spent, tasks = costs(free)
    # The winner's two tasks fit between that and the cap; with those of the baselines, six do not.
    total, executed = getattr(spent, limit), tasks - 4
    budget = Budget.model_validate({limit: int(total + 3.5 * total / executed)})
    capped = second(folders[1], sandbox, budget)
    with monkeypatch.context() as nothing_known:
        nothing_known.setattr(KeyedLines, "known", lambda *_: set())
        in_full = second(folders[2], sandbox, budget)

    assert capped.report.budget is not None
    assert not capped.report.budget.ended_search
    assert results(capped.report) == results(free.report)
    assert in_full.report.budget is not None
    assert in_full.report.budget.ended_search


def test_of_calls_in_flight_together_each_has_its_share_of_the_seconds(tmp_path: Path) -> None:
    record = CallRecord(model="m", prompt_tokens=1, completion_tokens=1, seconds=4.0, share=0.5)
    done = row("k").model_copy(update={"calls": (record, record), "seconds": 9.0})
    allowance = Allowance(budget=Budget(seconds=100), final_tasks=2)
    kept = Spending(lambda: allowance, LedgerFile(tmp_path / "ledger.jsonl"), [done])

    with pytest.raises(BudgetSpent, match="needs about 6 seconds in all"), kept.search("s", 1):
        raise BudgetSpent("spent")


def test_less_is_kept_back_with_each_row_of_the_table_that_a_trial_stores(tmp_path: Path) -> None:
    told: list[Allowance] = []
    kept = Spending(Allowance, LedgerFile(tmp_path / "ledger.jsonl"), [])
    kept.set_aside(Aside(Budget(tokens=9), {"a", "b"}, 3, told.append))
    note = kept.watch(lambda *_: None)
    for key in ("a", "other", "a"):
        note(row(key), True)
    with kept.final("final table", lambda: None):
        note(row("b"), False)

    assert told == [Allowance(budget=Budget(tokens=9), final_tasks=n) for n in (5, 4)]
