"""A budget is passed by one call at most, and the ledger says what was paid."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from dspy.utils.exceptions import LMError

from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent, StoreError
from lift_sys.inference import catalogue
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.charge import Charge, most_tokens
from lift_sys.inference.failures import EngineError, TimedOutError
from lift_sys.inference.ledger import Fits, LedgerEntry, Spend
from lift_sys.inference.model_info import FREE, Price
from lift_sys.inference.replay import ReplayEngine, StoredCall
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import CallRecord, stage

DEAR = Price(million_input=3.0, million_output=15.0)
WORDS = 10


class Memory:
    """Answers and entries in the order in which they were kept."""

    poll = None

    def __init__(self) -> None:
        self.kept: list[LedgerEntry | StoredCall] = []
        self.in_flight: dict[str, LedgerEntry] = {}

    def get(self, key: str) -> LedgerEntry | None:
        return next((e for e in reversed(self.entries) if e.key == key), None)

    def put(self, entry: LedgerEntry | StoredCall) -> None:
        self.kept.append(entry)
        self.in_flight.pop(entry.key, None)

    def reserve(self, entry: LedgerEntry, *, charged: bool, fits: Fits) -> bool:
        if not fits(self.spent, sum((e.spend for e in self.in_flight.values()), Spend())):
            return False
        if charged:
            self.put(entry)
        self.in_flight[entry.key] = entry
        return True

    def release(self, key: str) -> None:
        self.in_flight.pop(key, None)

    def refusal(self, _: str, why: str | None = None) -> str | None:
        return why

    @property
    def running(self) -> float:
        return max((entry.running for entry in self.entries), default=0.0)

    def by_phase(self) -> Mapping[str, Spend]:
        last = {entry.key: entry for entry in self.entries if entry.key not in self.in_flight}
        spent = sum((entry.spend for entry in last.values()), Spend())
        return {"all": spent.model_copy(update={"seconds": self.running})}

    @property
    def entries(self) -> list[LedgerEntry]:
        return [entry for entry in self.kept if isinstance(entry, LedgerEntry)]

    @property
    def spent(self) -> Spend:
        return self.by_phase()["all"]


class Answers:
    """The stored answers of a ``Memory``."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def get(self, key: str) -> StoredCall | None:
        found = [e for e in self._memory.kept if isinstance(e, StoredCall) and e.key == key]
        return found[-1] if found else None

    def put(self, entry: StoredCall) -> None:
        self._memory.put(entry)


def ten_words(_: Request) -> str:
    return " ".join(["word"] * WORDS)


class Job:
    """A model that is paid for; ``ask(n)`` asks the question ``n`` of two words."""

    COST = 2 + WORDS

    def __init__(
        self,
        memory: Memory,
        budget: Budget,
        price: Price | None = FREE,
        answer: Callable[[Request], str] = ten_words,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.engine = ScriptedEngine(answer)
        self.account = Account(lambda: budget, memory, clock)
        self.account.enter("search")
        replaying = ReplayEngine(self.engine, "w", Answers(memory))
        self.lm = dspy.LM("local/x", engine=replaying, cache=False, num_retries=0)
        pay_from(self.account, self.lm, "x", price)

    def ask(self, number: int, max_tokens: int = WORDS) -> str:
        answer: str = self.lm(f"question {number}", max_tokens=max_tokens)[0]
        return answer


@pytest.mark.parametrize(("tokens", "answered"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3)])
def test_tokens_are_passed_by_one_call_at_most(tokens: int, answered: int) -> None:
    memory = Memory()
    job = Job(memory, Budget(tokens=tokens))
    for number in range(answered):
        job.ask(number)
    with pytest.raises(BudgetSpent, match=f"of {tokens} tokens is spent in the search phase"):
        job.ask(answered)

    assert len(job.engine.requests) == answered
    assert memory.spent.tokens == answered * job.COST


def test_a_stored_answer_costs_nothing_even_when_the_budget_is_spent() -> None:
    memory = Memory()
    job = Job(memory, Budget(tokens=1))
    first = job.ask(0)

    assert job.ask(0) == first
    assert memory.spent.tokens == job.COST


def test_what_a_call_cost_is_noted_before_its_answer_is_kept() -> None:
    memory = Memory()
    with stage("code"):
        Job(memory, Budget()).ask(0)
    entry, answer = memory.kept

    assert isinstance(entry, LedgerEntry)
    assert isinstance(answer, StoredCall)
    assert entry.key == answer.key
    assert (entry.state, entry.phase, entry.model, entry.stage) == ("spent", "search", "x", "code")
    assert (entry.prompt_tokens, entry.completion_tokens, entry.usd) == (2, WORDS, 0.0)


def test_an_answer_that_could_not_be_noted_is_not_kept() -> None:
    memory = Memory()
    job = Job(memory, Budget())
    job.ask(0)

    def refuse(_: object) -> None:
        msg = "the disk is full"
        raise StoreError(msg)

    memory.put = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(LMError, match="full"):
        job.ask(1)
    del memory.put

    assert len(memory.kept) == 2
    assert job.ask(1)


@pytest.mark.parametrize("price", [FREE, DEAR])
def test_threads_pass_the_budget_by_one_call_together(price: Price) -> None:
    running: list[int] = []
    lock, most = threading.Lock(), [0]

    def slow(_: Request) -> str:
        with lock:
            running.append(1)
            most[0] = max(most[0], len(running))
        time.sleep(0.01)
        with lock:
            running.pop()
        return ten_words(_)

    memory = Memory()
    cap = 20 * Job.COST - 5
    job = Job(memory, Budget(tokens=cap), price, slow)

    def ask(number: int) -> bool:
        try:
            job.ask(number)
        except BudgetSpent:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        contexts = [copy_context() for _ in range(40)]
        answered = list(threads.map(lambda n: contexts[n].run(ask, n), range(40)))

    assert most[0] > 1  # calls did overlap
    assert sum(answered) == 20  # none was refused while something was left
    assert cap <= memory.spent.tokens < cap + Job.COST


def test_only_what_is_paid_for_is_reserved_in_the_ledger() -> None:
    states = []
    for price in (FREE, DEAR, None):
        memory = Memory()
        Job(memory, Budget(), price).ask(0)
        states.append([entry.state for entry in memory.entries])

    assert states == [["spent"], ["reserved", "spent"], ["reserved", "spent"]]


def test_dollars_are_those_of_the_catalogue() -> None:
    price = catalogue.get("claude").price
    memory = Memory()
    job = Job(memory, Budget(usd=0.0003), price)
    job.ask(0)
    job.ask(1)
    with pytest.raises(BudgetSpent, match="USD is spent"):
        job.ask(2)

    assert memory.spent.usd == pytest.approx(2 * (2 * 3 + WORDS * 15) / 1e6)


def test_a_failed_call_is_not_charged() -> None:
    memory = Memory()

    def fail(_: Request) -> str:
        msg = "no connection"
        raise EngineError(msg)

    for price in (FREE, DEAR):
        with pytest.raises(EngineError):
            Job(memory, Budget(tokens=1), price, fail).ask(0)

    assert memory.spent.tokens == 0
    assert Job(memory, Budget(tokens=1), DEAR).ask(0)


def test_an_interrupted_call_counts_in_full_where_somebody_charges_for_it() -> None:
    def interrupt(_: Request) -> str:
        raise KeyboardInterrupt

    spent = []
    for price in (FREE, DEAR):
        memory = Memory()
        with pytest.raises(KeyboardInterrupt):
            Job(memory, Budget(), price, interrupt).ask(0)
        left = memory.spent.tokens
        Job(memory, Budget(), price).ask(0)
        spent.append((left, memory.spent.tokens - left))

    assert spent[0] == (0, Job.COST)
    assert spent[1][0] >= Job.COST
    assert spent[1][1] == Job.COST


def test_a_call_that_took_too_long_counts_in_full_where_somebody_charges_for_it() -> None:
    def late(_: Request) -> str:
        msg = "too late"
        raise TimedOutError(msg)

    spent = []
    for price in (FREE, DEAR):
        memory = Memory()
        with pytest.raises(TimedOutError):
            Job(memory, Budget(), price, late).ask(0)
        spent.append(memory.spent.tokens)

    assert spent[0] == 0
    assert spent[1] >= Job.COST


def test_a_call_pays_for_its_share_of_the_machine() -> None:
    memory = Memory()
    account = Account(Budget, memory, lambda: 7.0)
    record = CallRecord(model="m", prompt_tokens=5, completion_tokens=2, seconds=36.0, share=9.0)
    with account.paying(Charge("k", "m", Price(hour=4.0), 9, 9)) as note:
        note(record)
    assert memory.entries[-1].usd == pytest.approx(0.01)
    assert memory.entries[-1].seconds == 36.0


def test_a_reservation_is_at_least_what_a_call_costs() -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "x = [1, 2]; y = ä"}]}
    body["max_tokens"] = 100
    charge = Charge("k", "m", DEAR, *most_tokens(body))

    memory = Memory()
    with Account(Budget, memory).paying(charge):
        pass
    (entry,) = memory.entries

    assert entry.state == "reserved"
    assert entry.spend.tokens >= 12 + 100
    assert entry.usd == DEAR.of(charge.prompt_tokens, 100)


def test_running_time_of_earlier_starts_counts() -> None:
    memory, now = Memory(), [0.0]
    first = Job(memory, Budget(seconds=60), clock=lambda: now[0])
    now[0] = 40.0
    first.ask(0)
    now[0] = 1_000.0
    again = Job(memory, Budget(seconds=60), clock=lambda: now[0])
    now[0] = 1_019.0
    again.ask(1)
    now[0] = 1_021.0
    with pytest.raises(BudgetSpent, match="60 seconds is spent in the search phase: 61 seconds"):
        again.ask(2)

    assert [entry.running for entry in memory.entries] == [40.0, 59.0]


def test_what_is_set_aside_is_left_for_a_later_phase() -> None:
    memory = Memory()
    job = Job(memory, Budget(tokens=3 * Job.COST))
    job.account.enter("search", lambda: Spend(tokens=2 * Job.COST))
    job.ask(0)
    with pytest.raises(BudgetSpent, match="about 24 tokens are kept for what follows"):
        job.ask(1)
    job.account.enter("final table")
    job.ask(1)
    job.ask(2)

    assert [entry.phase for entry in memory.entries] == ["search", "final table", "final table"]


def test_an_entry_says_what_the_call_took() -> None:
    memory = Memory()
    account = Account(Budget, memory, lambda: 7.0)
    record = CallRecord(
        model="m", prompt_tokens=5, cached_tokens=3, completion_tokens=2, seconds=1.5
    )
    with account.paying(Charge("k", "m", FREE, 9, 9)) as note:
        note(record)
    (entry,) = memory.entries

    assert (entry.cached_tokens, entry.seconds, entry.running) == (3, 1.5, 0.0)
