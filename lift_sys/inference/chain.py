"""Several models in order: the next one is asked where one does not give a usable answer.

Owns the order, the reasons to move on, and what is noted of it. Each answer is noted as its own
member's call, the unusable ones as well, so their tokens count. The engines of the members stay
what they are: stored answers, budgets and leases are theirs, and an answer that a member gave when
it was asked alone is one that it gives here.

A greedy answer that cannot be used is not asked for again, since it would be the same one; a
sampled one is drawn again with another seed. The budget of a job is no reason to move on: it ends
the job, as it does for any model. ``ModelInfo.cap`` of a member is one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from dspy.lm15 import Request, Response

from lift_sys.errors import ProviderError
from lift_sys.inference.breaker import Breaker, RestingError
from lift_sys.inference.chat import SUPPORTED_PARAMS
from lift_sys.inference.deadline import within
from lift_sys.inference.failures import (
    CancelledError,
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
)
from lift_sys.inference.flaws import Flaw, flaw_of
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.replay import Engine
from lift_sys.inference.usage import CallRecord, note, recording
from lift_sys.record import digest

Reason = Flaw | Literal["too long", "timeout", "resting", "refused", "unavailable", "cap reached"]
"""Why a member did not answer."""


@dataclass(frozen=True)
class Member:
    """A model of a chain.

    Attributes:
        info: What is known of it.
        engine: Answers for it.
        name: What requests call it.
        breaker: Tells whether it is worth asking.
    """

    info: ModelInfo
    engine: Engine
    name: str
    breaker: Breaker


class ChainEngine:
    """A DSPy engine over the engines of several models.

    Args:
        info: The chain: the tries of each member, and the seconds that one answer may take.
        members: In the order in which they are asked.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, info: ModelInfo, members: Sequence[Member]) -> None:
        self.info = info
        self.members = tuple(members)
        self.caps = Caps()

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time: as many as by the first member."""
        return self.members[0].engine.concurrency

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Where no member gives a usable answer, the last unusable one is the answer.

        Raises:
            PromptTooLongError: The prompt does not fit into any member's context.
            EngineError: No member answered; the message says why of each.
            RefusedError: The budget of the job is spent.
        """
        with _Course(self, request) as course:
            for member, asked in course.steps():
                with course.asking(member):
                    course.take(member.engine.complete(asked))
            return course.answer()

    def for_await(self) -> AsyncChainEngine:
        """Return the same engine as DSPy takes it for ``await``."""
        return AsyncChainEngine(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return what identifies the chain; its members are not saved."""
        return {"model": self.info.id}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse: which engines answer is not part of a saved program.

        Raises:
            EngineError: Always.
        """
        msg = f"the chain {state.get('model')} is not part of a saved program; set it again"
        raise EngineError(msg)


class AsyncChainEngine:
    """The same chain for ``await``; a member that only waits is asked in a thread of its own."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, chain: ChainEngine) -> None:
        self._chain = chain

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as ``ChainEngine.complete`` does."""
        with _Course(self._chain, request) as course:
            for member, asked in course.steps():
                with course.asking(member):
                    course.take(await _awaited(member.engine, asked))
            return course.answer()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return the wrapped engine's state."""
        return self._chain.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse, as ``ChainEngine.load_state`` does."""
        return cls(ChainEngine.load_state(state))


async def _awaited(engine: Any, request: Request) -> Response:
    if hasattr(engine, "for_await"):
        response: Response = await engine.for_await().complete(request)
        return response
    return await asyncio.to_thread(engine.complete, request)


class Caps:
    """What a chain has spent on each member in this process; threads may share it."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, info: ModelInfo, record: CallRecord) -> None:
        """Count a call; an answer that was stored costs nothing again."""
        if record.reused or info.price is None:
            return
        usd = info.price.of(record.prompt_tokens, record.completion_tokens, record.machine_seconds)
        with self._lock:
            self._spent[info.id] = self._spent.get(info.id, 0.0) + usd

    def reached(self, info: ModelInfo) -> bool:
        """Tell whether nothing more may be spent on a member."""
        return info.cap is not None and self._spent.get(info.id, 0.0) >= info.cap


class _Course:
    """One request on its way along a chain; at its end every call is noted."""

    def __init__(self, chain: ChainEngine, request: Request) -> None:
        self._chain = chain
        self._request = request
        self._answer: Response | None = None
        self._unusable: Response | None = None
        self._flaw: Flaw | None = None
        self._lost = False
        self._records: list[CallRecord] = []
        self._reasons: dict[int, tuple[str, Reason, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for record in self._records:
            note(record)

    def steps(self) -> Iterator[tuple[Member, Request]]:
        """Give whom to ask what, until there is an answer or nobody is left."""
        for position, member in enumerate(self._chain.members):
            self._position, self._lost = position, False
            if self._chain.caps.reached(member.info):
                self._pass_on(member, "cap reached", f"{member.info.cap:g} USD are spent on it")
                continue
            for number in range(self._tries):
                yield member, _drawn(self._request, member.name, number)
                if self._answer is not None:
                    return
                if self._lost:
                    break

    @contextmanager
    def asking(self, member: Member) -> Iterator[None]:
        """Ask a member; what goes wrong is kept as a reason."""
        self._flaw = None
        earlier = self._passed_on(self._position)
        with recording(detached=True) as made:
            try:
                with within(self._chain.info.timeout), member.breaker.watch():
                    yield
            except CancelledError:
                raise
            except ProviderError as error:
                self._lost = True
                self._pass_on(member, _reason(error), str(error))
        if self._flaw is not None:
            self._pass_on(member, self._flaw, f"its answer is {self._flaw}")
        for record in made:
            self._chain.caps.count(member.info, record)
            told = {"model": member.info.id, "asked": self._chain.info.id, "passed_on": earlier}
            self._records.append(record.model_copy(update=told | {"rejected": self._flaw or ""}))

    def take(self, response: Response) -> None:
        """Take a member's answer, if it is usable."""
        self._flaw = flaw_of(self._request, response)
        if self._flaw is None:
            self._answer = response
        else:
            self._unusable = response

    def answer(self) -> Response:
        """Return the answer, or the last unusable one.

        Raises:
            EngineError: There is neither.
        """
        if self._answer is not None:
            return self._answer
        if self._unusable is not None:
            last = self._records[-1].model_copy(update={"passed_on": self._passed_on()})
            self._records[-1] = last
            return self._unusable
        whys = "; ".join(f"{model}: {why}" for model, _, why in self._reasons.values())
        msg = f"no model of the chain {self._chain.info.id} answered: {whys}"
        if all(reason == "too long" for _, reason, _ in self._reasons.values()):
            raise PromptTooLongError(msg)
        raise EngineError(msg)

    @property
    def _tries(self) -> int:
        return self._chain.info.tries if self._request.config.temperature else 1

    def _pass_on(self, member: Member, reason: Reason, why: str) -> None:
        self._reasons[self._position] = (member.info.id, reason, why)

    def _passed_on(self, end: int | None = None) -> tuple[str, ...]:
        """Return the reasons of the members before a position, or of all."""
        kept = [why for at, why in self._reasons.items() if end is None or at < end]
        return tuple(f"{model}: {reason}" for model, reason, _ in kept)


def _drawn(request: Request, name: str, number: int) -> Request:
    """Return the request to a member, with another seed for each time that it is asked again."""
    config = request.config
    if number:
        seed = int(digest([config.seed or 0, number])[:8], 16) & 0x7FFFFFFF
        config = replace(config, seed=seed)
    return replace(request, model=name, config=config)


def _reason(error: ProviderError) -> Reason:
    kinds: dict[type[ProviderError], Reason] = {
        PromptTooLongError: "too long",
        TimedOutError: "timeout",
        RestingError: "resting",
        StatusError: "refused",
    }
    found = (reason for kind, reason in kinds.items() if isinstance(error, kind))
    return next(found, "unavailable")
