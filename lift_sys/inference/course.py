"""The way of one request along a chain of models: whom to ask next, why, and what to note.

Owns the reasons to move on. Who waits for an answer, and how, is ``chain``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Self

from dspy.lm15 import Request, Response

from lift_sys.errors import ProviderError
from lift_sys.inference.breaker import Breaker, RestingError
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


class Caps:
    """What chains have spent on each of their members; threads may share it."""

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


PROCESS_CAPS = Caps()
"""What all chains of this process have spent."""


class Course:
    """One request on its way along a chain; when its context ends every call is noted.

    Args:
        info: The chain: the tries of each member, and the seconds that one answer may take.
        members: In the order in which they are asked.
        caps: What was spent on them.
        request: As it was made of the chain.
    """

    def __init__(
        self, info: ModelInfo, members: Sequence[Member], caps: Caps, request: Request
    ) -> None:
        self._info = info
        self._members = members
        self._caps = caps
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
        for position, member in enumerate(self._members):
            self._position, self._lost = position, False
            if self._caps.reached(member.info):
                self._pass_on(member, "cap reached", f"{member.info.cap:g} USD are spent on it")
                continue
            for number in range(self._tries):
                if not self._admitted(member):
                    break
                yield member, _drawn(self._request, member.name, number)
                if self._decided:
                    break
            if self._answer is not None:
                return

    @contextmanager
    def asking(self, member: Member) -> Iterator[None]:
        """Ask a member; what goes wrong is kept as a reason."""
        self._flaw = None
        earlier = self._passed_on(self._position)
        with recording(detached=True) as made:
            try:
                with within(self._info.timeout), self._watch:
                    yield
            except CancelledError:
                raise
            except ProviderError as error:
                self._lost = True
                self._pass_on(member, _reason(error), str(error))
        flaw = self._found()
        if flaw is not None:
            self._pass_on(member, flaw, f"its answer is {flaw}")
        for record in made:
            self._caps.count(member.info, record)
            told = {"model": member.info.id, "asked": self._info.id, "passed_on": earlier}
            self._records.append(record.model_copy(update=told | {"rejected": flaw or ""}))

    def take(self, response: Response) -> None:
        """Take a member's answer, if it is usable."""
        self._flaw = flaw_of(self._request, response)
        if self._flaw is None:
            self._answer = response
        else:
            self._unusable = response

    def _found(self) -> Flaw | None:
        """Return what is wrong with the answer that was taken last."""
        return self._flaw

    def answer(self) -> Response:
        """Return the answer, or the last unusable one.

        Raises:
            PromptTooLongError: There is neither, and the prompt does not fit into any context.
            EngineError: There is neither, for any other reason.
        """
        if self._answer is not None:
            return self._answer
        if self._unusable is not None:
            last = self._records[-1].model_copy(update={"passed_on": self._passed_on()})
            self._records[-1] = last
            return self._unusable
        whys = "; ".join(f"{model}: {why}" for model, _, why in self._reasons.values())
        msg = f"no model of the chain {self._info.id} answered: {whys}"
        if all(reason == "too long" for _, reason, _ in self._reasons.values()):
            raise PromptTooLongError(msg)
        raise EngineError(msg)

    def _admitted(self, member: Member) -> bool:
        """Tell whether a member may be asked now."""
        try:
            self._watch = member.breaker.watch()
        except RestingError as error:
            self._pass_on(member, "resting", str(error))
            return False
        return True

    @property
    def _decided(self) -> bool:
        """Whether the member that was asked last is not to be asked again."""
        return self._lost or self._answer is not None

    @property
    def _tries(self) -> int:
        return self._info.tries if self._request.config.temperature else 1

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
        StatusError: "refused",
    }
    found = (reason for kind, reason in kinds.items() if isinstance(error, kind))
    return next(found, "unavailable")
