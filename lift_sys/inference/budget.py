"""What a job has spent on models, and whether it may ask them anything more.

Owns the account of a job and the engine that every new answer is paid through. It lies between
the stored answers and the real engine, so a stored answer costs nothing. A call goes three steps:

1. The most that it can cost is reserved. If what is spent reaches the budget, the call is refused.
   If only calls in flight may still reach it, the call waits until they have ended, so a budget is
   passed by one call at most. Calls in flight are those of all processes that share the ledger, and
   once one of them is refused in a phase, all are.
2. The engine answers.
3. What it cost is written to the ledger, before the answer is stored.

A process that dies in between asks again. For an embedded model the two calls count once, since
nobody charged for the first; so the ledger of an interrupted job says what that of any other says.
For a model that is paid for, the reservation is in the ledger as well: a call whose end nobody saw
counts in full, and the next one on top.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import dspy
from dspy.lm15 import Request, Response

from lift_sys.config import Budget
from lift_sys.errors import ProviderError
from lift_sys.inference.charge import Charge, most_tokens
from lift_sys.inference.chat import SUPPORTED_PARAMS, chat_body
from lift_sys.inference.engine import turns_of
from lift_sys.inference.failures import RefusedError, TimedOutError
from lift_sys.inference.ledger import Ledger, LedgerEntry, Spend, amount
from lift_sys.inference.limits import reached, share_of
from lift_sys.inference.model_info import FREE, Price
from lift_sys.inference.replay import Engine, ReplayEngine, call_key
from lift_sys.inference.usage import CallRecord, current_stage, recording, stage


def nothing() -> Spend:
    """Set nothing aside."""
    return Spend()


class Account:
    """What a job has spent and may still spend; threads may share it.

    Args:
        limits: Tells the budget in force; it may change while the job runs.
        ledger: What was spent so far, and where what comes is noted.
        clock: Tells seconds.
    """

    def __init__(
        self,
        limits: Callable[[], Budget],
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._clock = clock
        self._started = clock() - ledger.running
        self._phase = ""
        self._aside: Callable[[], Spend] = nothing
        self._changed = threading.Condition()

    def enter(self, phase: str, aside: Callable[[], Spend] = nothing) -> None:
        """Begin a phase of the job.

        Args:
            phase: What its calls are noted under.
            aside: Tells what a later phase is expected to cost, which this one must leave.
        """
        self._phase, self._aside = phase, aside

    @property
    def _running(self) -> float:
        return self._clock() - self._started

    @contextmanager
    def paying(self, charge: Charge) -> Iterator[Callable[[CallRecord], None]]:
        """Reserve the cost of a call; what is yielded notes the real one.

        Of a call that fails nothing is charged; one that is interrupted, or that took too long, may
        have been.

        Raises:
            RefusedError: The budget is spent.
            StoreError: The ledger could not be written.
        """
        key = self._reserve(charge)
        try:
            yield lambda record: self._settle(charge, key, record)
        except TimedOutError:
            raise
        except ProviderError:
            if charge.charged:
                free = CallRecord(
                    model=charge.model, prompt_tokens=0, completion_tokens=0, seconds=0.0
                )
                self._settle(charge, key, free)
            raise
        finally:
            self._release(key)

    @contextmanager
    def entrusting(self, task: str, expected: Callable[[], int]) -> Iterator[Budget]:
        """Reserve for a task that is done elsewhere, and yield what it may spend there.

        Args:
            task: Its key.
            expected: Tells how many tokens to reserve, now; 0 reserves all that the job has.

        Raises:
            RefusedError: The budget is spent.
        """
        taken: list[Spend] = []
        with self._changed:
            while True:
                budget = self._limits()
                most = expected() or budget.tokens or 0
                if self._reserved(Charge(task, "", FREE, 0, most), task, taken.append):
                    break
                self._changed.wait(self._ledger.poll)
        try:
            yield share_of(budget, taken[-1], most)
        finally:
            self._release(task)

    def book(self, charge: Charge, record: CallRecord) -> None:
        """Note a call that was made elsewhere; a free one that is noted already counts once.

        Raises:
            StoreError: The ledger could not be written.
        """
        with self._changed, stage(record.stage):
            if charge.charged or not self._ledger.get(charge.call):
                self._ledger.put(self._entry(charge, self._key(charge), record))

    def _reserve(self, charge: Charge) -> str:
        """Wait until the call may be made, and return the key of its entry."""
        with self._changed:
            key = self._key(charge)
            while not self._reserved(charge, key):
                self._changed.wait(self._ledger.poll)
            return key

    def _reserved(self, charge: Charge, key: str, tell: Callable[[Spend], object] = bool) -> bool:
        """Reserve the call; say whether that was possible, and tell what is taken without it."""
        budget, aside = self._limits(), self._aside()
        place = f"{self._phase}/{budget.model_dump_json()}"

        def fits(spent: Spend, in_flight: Spend) -> bool:
            self._refuse_if_reached(budget, spent, aside)
            now = Spend(seconds=self._running - self._ledger.running)
            taken = spent + now + aside + in_flight
            tell(taken)
            return not reached(budget, taken)

        why = self._ledger.refusal(place)
        if why is not None:
            raise RefusedError(why)
        entry = self._entry(charge, key, None)
        try:
            return self._ledger.reserve(entry, charged=charge.charged, fits=fits)
        except RefusedError as refused:
            self._ledger.refusal(place, str(refused))
            raise

    def _settle(self, charge: Charge, key: str, record: CallRecord) -> None:
        with self._changed:
            self._ledger.put(self._entry(charge, key, record))
            self._release(key)

    def _release(self, key: str) -> None:
        with self._changed:
            self._ledger.release(key)
            self._changed.notify_all()

    def _refuse_if_reached(self, budget: Budget, spent: Spend, aside: Spend) -> None:
        """Refuse a call if what is surely spent, by now, reaches a limit."""
        spent = spent + Spend(seconds=self._running - self._ledger.running)
        if name := reached(budget, spent + aside):
            raise RefusedError(self._refusal(budget, name, spent, aside))

    def _refusal(self, budget: Budget, name: str, spent: Spend, aside: Spend) -> str:
        """Return why a call is refused once a limit is reached."""
        limit, kept = getattr(budget, name), getattr(aside, name)
        return (
            f"the budget of {amount(limit, name, limit)} is spent in the {self._phase} "
            f"phase: {amount(getattr(spent, name), name, limit)} so far"
            + (f", and about {amount(kept, name, limit)} are kept for what follows" if kept else "")
            + "; what was done is kept, and the same job with a larger budget goes on from here"
        )

    def _key(self, charge: Charge) -> str:
        """Return the key of a call's entry: a new one for every time that it is charged."""
        key, number = charge.call, 1
        while charge.charged and self._ledger.get(key):
            number += 1
            key = f"{charge.call}/{number}"
        return key

    def _entry(self, charge: Charge, key: str, record: CallRecord | None) -> LedgerEntry:
        """Return what was spent, or, where there is no record, the reservation."""
        known, seconds = record or charge, record.seconds if record else 0.0
        machine = record.machine_seconds if record else 0.0
        return LedgerEntry(
            key=key,
            state="spent" if record else "reserved",
            phase=self._phase,
            model=charge.model,
            stage=current_stage(),
            prompt_tokens=known.prompt_tokens,
            cached_tokens=record.cached_tokens if record else 0,
            completion_tokens=known.completion_tokens,
            usd=charge.usd(known.prompt_tokens, known.completion_tokens, machine),
            seconds=seconds,
            running=self._running,
        )


class PaidEngine:
    """A DSPy engine whose every answer is paid from an account.

    Args:
        engine: Answers.
        weights: What identifies its model, as ``ReplayEngine`` is told.
        account: Pays.
        model: Id of the model.
        price: What it costs; ``None`` where that is not known.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(
        self, engine: Engine, weights: str, account: Account, model: str, price: Price | None
    ) -> None:
        self._engine = engine
        self._weights = weights
        self._account = account
        self._model = model
        self._price = price

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time: as many as the engine behind it."""
        return self._engine.concurrency

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            RefusedError: The budget is spent.
            EngineError: The engine could not answer.
            StoreError: The ledger could not be written.
        """
        body = chat_body(request)
        turns = turns_of(self._engine) if "response_format" in body else 1
        prompt_tokens, completion_tokens = most_tokens(body, turns)
        charge = Charge(
            call=call_key(request, self._weights),
            model=self._model,
            price=self._price,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
        with self._account.paying(charge) as note, recording() as made:
            response = self._engine.complete(request)
            note(charge.paid(made[-1]))
        return response

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def pay_from(account: Account, lm: dspy.LM, model: str, price: Price | None) -> None:
    """Let the new answers of a model be paid from an account.

    Args:
        account: Pays.
        lm: With stored answers; any other is left as it is.
        model: Id of the model.
        price: What it costs; ``None`` where that is not known.
    """
    if isinstance(lm.engine, ReplayEngine):
        lm.engine.put_before(lambda e, weights: PaidEngine(e, weights, account, model, price))
