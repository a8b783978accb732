"""What every ledger must do, and what one that processes share must do on top."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lift_sys.app.database import Database
from lift_sys.app.ledger_file import LedgerFile
from lift_sys.app.sql_ledger import SqlLedger
from lift_sys.app.sql_store import SqlLeases
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent
from lift_sys.inference.budget import Account
from lift_sys.inference.charge import Charge
from lift_sys.inference.ledger import Ledger, LedgerEntry, Spend
from lift_sys.inference.model_info import FREE, Price
from lift_sys.inference.usage import CallRecord

DEAR = Price(million_output=1e6)
Open = Callable[..., Ledger]


def entry(
    key: str,
    tokens: int,
    running: float = 0.0,
    phase: str = "search",
    state: Literal["reserved", "spent"] = "spent",
) -> LedgerEntry:
    return LedgerEntry(
        key=key,
        state=state,
        phase=phase,
        model="m",
        stage="code",
        prompt_tokens=tokens,
        completion_tokens=1,
        usd=0.25,
        running=running,
    )


def in_flight(ledger: Ledger) -> tuple[int, int]:
    """Return the tokens that are spent and those that calls in flight may cost."""
    told: list[Spend] = []

    def refuse(spent: Spend, flying: Spend) -> bool:
        told.extend((spent, flying))
        return False

    assert not ledger.reserve(entry("none", 0), charged=True, fits=refuse)
    return told[0].tokens, told[1].tokens


def reserve(ledger: Ledger, key: str, tokens: int, *, charged: bool = True) -> None:
    reserved = entry(key, tokens, state="reserved")
    assert ledger.reserve(reserved, charged=charged, fits=lambda *_: True)


def total(ledger: Ledger) -> Spend:
    return sum(ledger.by_phase().values(), Spend())


@contextmanager
def opened_in(url: str) -> Iterator[Open]:
    """Give what opens the ledger of a study in a database as another process would."""
    with ExitStack() as opened:
        database = opened.enter_context(closing(Database(url)))

        def join(study: str = "s") -> SqlLedger:
            leases = opened.enter_context(closing(SqlLeases(database)))
            return opened.enter_context(closing(SqlLedger(database, study, leases)))

        yield join


@pytest.fixture
def shared(storage: str) -> Iterator[Open]:
    with opened_in(storage) as join:
        yield join


@pytest.fixture(params=["file", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a ledger, each time as a new process would; a name gives it a place of its own."""
    if request.param == "file":
        yield lambda name="s": LedgerFile(tmp_path / f"{name}.jsonl")
        return
    url = f"sqlite:///{tmp_path}/study.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    with opened_in(url) as join:
        yield join


CALLS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(["pool", "search"])),
    max_size=8,
)
PLACES = itertools.count()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_each_key_counts_once_and_running_time_belongs_to_phases(
    reopen: Open, calls: list[tuple[str, int, str]]
) -> None:
    place = f"place{next(PLACES)}"
    ledger = reopen(place)
    for number, (key, tokens, phase) in enumerate(calls):
        ledger.put(entry(key, tokens, number + 1.0, phase))
    last = {key: (tokens, phase) for key, tokens, phase in calls}
    again = reopen(place)
    for phase in ("pool", "search"):
        spend = ledger.by_phase().get(phase, Spend())
        paid = [tokens + 1 for tokens, where in last.values() if where == phase]
        assert (spend.tokens, spend.usd) == (sum(paid), 0.25 * len(paid))
        assert (again.by_phase().get(phase, Spend()).tokens) == spend.tokens
    assert total(ledger).seconds == float(len(calls))
    assert total(again).seconds == again.running == float(len(calls))


def test_an_entry_comes_back_as_it_was(reopen: Open) -> None:
    reopen().put(entry("k", 7, 1.5))

    assert reopen().get("k") == entry("k", 7, 1.5)
    assert reopen().get("other") is None
    assert reopen("elsewhere").get("k") is None


def test_phases_are_in_the_order_in_which_they_began(reopen: Open) -> None:
    ledger = reopen()
    for number, phase in enumerate(("pool", "a search", "pool")):
        ledger.put(entry(f"k{number}", 1, float(number), phase))

    assert list(ledger.by_phase()) == ["pool", "a search"]


@pytest.mark.parametrize("charged", [True, False])
def test_a_call_in_flight_is_not_spent_and_then_counts_what_it_cost(
    reopen: Open, charged: bool
) -> None:
    ledger = reopen()
    reserve(ledger, "k", 99, charged=charged)
    before = in_flight(ledger)
    ledger.put(entry("k", 9))
    ledger.release("k")

    assert before == (0, 100)
    assert in_flight(ledger) == (10, 0)
    assert total(reopen()).tokens == 10


@pytest.mark.parametrize(("charged", "lost"), [(True, 100), (False, 0)])
def test_a_call_whose_end_nobody_saw_counts_in_full_where_somebody_charges(
    reopen: Open, charged: bool, lost: int
) -> None:
    ledger = reopen()
    reserve(ledger, "k", 99, charged=charged)
    ledger.release("k")

    assert in_flight(ledger) == (lost, 0)
    assert total(reopen()).tokens == lost


def test_what_refuses_leaves_nothing_reserved(reopen: Open) -> None:
    ledger = reopen()

    def refuse(*_: Spend) -> bool:
        msg = "spent"
        raise BudgetSpent(msg)

    with pytest.raises(BudgetSpent):
        ledger.reserve(entry("k", 9), charged=True, fits=refuse)

    assert in_flight(ledger) == (0, 0)
    assert ledger.get("k") is None


def test_all_see_what_each_spends_and_may_spend(shared: Open) -> None:
    a, b = shared(), shared()
    reserve(a, "k", 99, charged=False)
    assert in_flight(b) == (0, 100)
    a.put(entry("k", 9, 5.0, "pool"))
    b.put(entry("l", 19, 7.0))

    assert in_flight(a) == in_flight(b) == (30, 0)
    assert total(a) == Spend(tokens=30, usd=0.5, seconds=12.0)  # running times of both
    assert in_flight(shared("other")) == (0, 0)


def test_who_is_refused_first_says_it_for_all(shared: Open) -> None:
    a, b = shared(), shared()

    assert a.refusal("search/5") is None
    assert a.refusal("search/5", "first") == "first"
    assert b.refusal("search/5", "second") == "first"
    assert b.refusal("search/6") is None


@pytest.mark.parametrize(("charged", "lost"), [(True, 100), (False, 0)])
def test_reservations_of_the_dead_end_with_their_lease(
    storage: str, shared: Open, charged: bool, lost: int
) -> None:
    other = shared()
    with closing(Database(storage)) as database:
        leases = SqlLeases(database, seconds=0.6)
        dying = SqlLedger(database, "s", leases)
        reserve(dying, "k", 99, charged=charged)
        time.sleep(1.5)  # longer than a lease lasts: it is renewed
        assert in_flight(other) == (0, 100)
        leases.close()  # no sign of life from here on
        time.sleep(0.8)

        assert in_flight(other) == (lost, 0)
        dying.close()


class Spender:
    """One process's account, whose calls cost 10 tokens each and may cost 20."""

    COST = 10

    def __init__(self, ledger: Ledger, limits: Callable[[], Budget], price: Price = FREE) -> None:
        self._account = Account(limits, ledger)
        self._account.enter("search")
        self._price = price
        self.paid = 0

    def call(self, key: str) -> None:
        with self._account.paying(Charge(key, "m", self._price, 10, 10)) as note:
            time.sleep(0.005)
            note(CallRecord(model="m", prompt_tokens=5, completion_tokens=5, seconds=0.005))
        self.paid += 1

    def spend(self, name: str) -> str:
        """Ask until it is refused, and return why."""
        for number in range(1000):
            try:
                self.call(f"{name}{number}")
            except BudgetSpent as refused:
                return str(refused)
        return "never refused"


@pytest.mark.parametrize("price", [FREE, DEAR])
def test_many_pass_a_budget_by_one_call_together(shared: Open, price: Price) -> None:
    cap = 40 * Spender.COST - 5
    spenders = [Spender(shared(), lambda: Budget(tokens=cap), price) for _ in range(4)]
    for n, spender in enumerate(spenders):  # all take part: SQLite's lock is not fair
        spender.call(f"first{n}")
    with ThreadPoolExecutor(4) as pool:
        reasons = list(pool.map(lambda n: spenders[n].spend(f"s{n}-"), range(4)))

    assert sum(spender.paid for spender in spenders) == 40
    assert total(shared()).tokens == 40 * Spender.COST
    assert len(set(reasons)) == 1
    assert f"of {cap} tokens is spent in the search phase" in reasons[0]
    assert min(spender.paid for spender in spenders) > 0


def test_one_waits_for_the_calls_of_another(shared: Open) -> None:
    other = shared()
    reserve(other, "slow", 99, charged=False)
    spender = Spender(shared(), lambda: Budget(tokens=100))
    waiting = threading.Thread(target=spender.call, args=("k",))
    waiting.start()
    time.sleep(0.4)
    before = spender.paid
    other.put(entry("slow", 9))
    waiting.join(timeout=10)

    assert (before, spender.paid) == (0, 1)


def test_a_budget_that_is_raised_holds_at_once(shared: Open) -> None:
    limits = [Budget(tokens=1)]
    spender = Spender(shared(), lambda: limits[0])
    spender.call("first")
    with pytest.raises(BudgetSpent):
        spender.call("second")
    limits[0] = Budget(tokens=11)
    spender.call("second")

    assert spender.paid == 2
