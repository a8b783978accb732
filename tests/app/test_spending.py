"""The ledger in the run directory, and what is told of a budget."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lift_sys.app.spending import BudgetUse, check_prices
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget
from lift_sys.errors import ConfigError
from lift_sys.inference.ledger import LedgerEntry, Spend

ROOT = Path(__file__).parent.parent.parent
SMALL = "qwen2.5-coder-0.5b"


def test_what_was_spent_is_said_by_phase() -> None:
    phases = {
        "demo pool": Spend(tokens=1_000, seconds=5),
        "search": Spend(tokens=2_500, usd=0.5, seconds=10),
    }
    use = BudgetUse(budget=Budget(tokens=5_000, usd=2), phases=phases)

    assert str(use) == (
        "Budget: 3,500 tokens of 5,000 tokens spent (1,000 tokens by the demo pool, 2,500 tokens "
        "by the search), and 0.50 USD of 2.00 USD spent (0.00 USD by the demo pool, 0.50 USD by "
        "the search)."
    )
    ended = use.model_copy(update={"ended_search": True})
    assert "the search ended when no more than the final table was left of it." in str(ended)


def test_dollars_cannot_be_kept_where_hours_are_paid() -> None:
    with pytest.raises(ConfigError, match="paid by the hour"):
        check_prices(Budget(usd=1), (SMALL, "qwen2.5-coder-7b"))


def test_a_model_without_a_price_has_no_dollar_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    from lift_sys.inference import catalogue

    unpriced = catalogue.get(SMALL).model_copy(update={"price": None})
    monkeypatch.setattr(catalogue, "get", lambda _: unpriced)
    with pytest.raises(ConfigError, match="has no known price"):
        check_prices(Budget(usd=1), (SMALL,))
    check_prices(Budget(tokens=6, seconds=1), (SMALL,))


@pytest.mark.parametrize("budget", [Budget(), Budget(usd=1, tokens=6), Budget(seconds=1)], ids=str)
def test_any_other_budget_is_taken(budget: Budget) -> None:
    check_prices(budget, (SMALL, "claude"))


KILLED = """
import os, signal, sys
import dspy
from pathlib import Path
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.model_info import FREE, Price
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

folder, dear, at = Path(sys.argv[1]), sys.argv[2] == "dear", sys.argv[3]
run = RunDirectory(folder)
calls, ledger = run.calls(), run.ledger()

def die(point):
    if point == at:
        os.kill(os.getpid(), signal.SIGKILL)

def answer(request):
    die("reserved" if "b" in str(request.messages) else "")
    return "one two three"

def put(entry, keep=ledger.put):
    keep(entry)
    die("spent" if len(calls) == 1 else "")

ledger.put = put

class Calls:
    get = calls.get
    def put(self, entry):
        calls.put(entry)
        die("stored" if len(calls) == 2 else "")

account = Account(Budget, ledger)
lm = dspy.LM("local/x", engine=ReplayEngine(ScriptedEngine(answer), "w", Calls()), cache=False)
pay_from(account, lm, "x", Price(million_output=1e6) if dear else FREE)
for text in "abc":
    lm(text, max_tokens=7)
"""


def killed(folder: Path, kind: str, at: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), kind, at],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def paid(folder: Path) -> dict[str, tuple[str, int, float]]:
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    entries = [LedgerEntry.model_validate_json(line) for line in lines]
    return {e.key: (e.state, e.completion_tokens, e.usd) for e in entries}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert killed(folder, "free", "never") == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("at", ["reserved", "spent", "stored"])
def test_a_ledger_killed_anywhere_ends_as_any_other(tmp_path: Path, whole: Path, at: str) -> None:
    run = tmp_path / "run"  # alone in its folder: runs take answers from their neighbours
    assert killed(run, "free", at) == -signal.SIGKILL
    assert killed(run, "free", "never") == 0

    assert paid(run) == paid(whole)
    assert answers(run) == answers(whole)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "lost"), [("reserved", 7.0), ("spent", 3.0), ("stored", 0.0)])
def test_what_a_provider_may_charge_for_is_never_forgotten(
    tmp_path: Path, at: str, lost: float
) -> None:
    run = tmp_path / "run"
    assert killed(run, "dear", at) == -signal.SIGKILL
    assert killed(run, "dear", "never") == 0

    total = sum(RunDirectory(run).ledger().by_phase().values(), Spend())
    assert total.usd == pytest.approx(9.0 + lost)


def answers(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "calls.jsonl").read_text().splitlines()
    return [(json.loads(line)["key"], json.loads(line)["text"]) for line in lines]
