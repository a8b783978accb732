"""A DSPy engine over any backend that answers chat requests concurrently.

Owns the path of one call: translate the request, wait for the backend in the shared event loop
(interruptibly, never with more calls in flight than the backend takes), translate back, and note
what it cost. What a backend itself is, is one coroutine function: ``Send``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self

from dspy.lm15 import Request, Response

from lift_sys.inference.chat import SUPPORTED_PARAMS, Answer, chat_body, to_response
from lift_sys.inference.deadline import left, one_call
from lift_sys.inference.failures import EngineError, TimedOutError
from lift_sys.inference.loop import submit
from lift_sys.inference.usage import CallRecord, current_stage, note

Send = Callable[[dict[str, Any]], Awaitable[Answer]]
"""Answers an OpenAI-style chat body. Raises ``EngineError``; is cancelled when the caller gives up.
"""


def turns_of(backend: object) -> int:
    """Return the most requests of a backend, or of an engine, that become one answer of a form."""
    turns: int = getattr(backend, "turns", 1)  # most have none
    return turns


@dataclass(frozen=True, slots=True)
class Connected:
    """A backend that keeps connections open between calls.

    Attributes:
        send: The backend.
        close: Closes its connections; the next call opens new ones.
    """

    send: Send
    close: Callable[[], Coroutine[Any, Any, None]]

    @property
    def turns(self) -> int:
        """Most requests that become one answer."""
        return turns_of(self.send)

    async def __call__(self, body: dict[str, Any]) -> Answer:
        """Answer a chat body."""
        return await self.send(body)


@dataclass(frozen=True, slots=True)
class Timed:
    """A backend whose calls end after some time, however many requests one takes.

    Attributes:
        send: The backend.
        seconds: That a call may take.
    """

    send: Send
    seconds: float

    @property
    def turns(self) -> int:
        """Most requests that become one answer."""
        return turns_of(self.send)

    async def __call__(self, body: dict[str, Any]) -> Answer:
        """Answer a chat body."""
        with one_call(self.seconds):
            return await self.send(body)


class Meter:
    """Divides the time in which a backend is busy among the calls in flight.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._each = 0.0
        self._since = 0.0

    def begin(self) -> float:
        """Note that a call begins, and return what ``end`` needs."""
        with self._lock:
            self._advance()
            self._in_flight += 1
            return self._each

    def end(self, began: float) -> float:
        """Note that a call has ended, and return its share of the busy time, in seconds."""
        with self._lock:
            self._advance()
            self._in_flight -= 1
            return self._each - began

    def _advance(self) -> None:
        now = self._clock()
        if self._in_flight:
            self._each += (now - self._since) / self._in_flight
        self._since = now


class ChatEngine:
    """A DSPy engine that lets a backend answer, for callers that wait and for ``await``.

    Args:
        send: The backend.
        model: Id under which calls are recorded.
        concurrency: Most calls in flight; the others wait for their turn.

    Attributes:
        model: As given.
        concurrency: As given.
        turns: Most requests that become one answer where it has a form.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, send: Send, model: str, *, concurrency: int = 16) -> None:
        self.model = model
        self.concurrency = concurrency
        self.turns = turns_of(send)
        self._send = send
        self._meter = Meter()
        self._turn: asyncio.Semaphore | None = None

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            PromptTooLongError: The prompt does not fit into the context.
            TimedOutError: There was no answer ``within`` the time that the caller gave.
            EngineError: The backend could not answer.
        """
        pending = submit(self._answer(chat_body(request)))
        try:
            made = pending.result(left())
        except TimeoutError as error:
            raise TimedOutError(self._late) from error
        finally:
            pending.cancel()  # without effect on one that has ended
        return self._finish(request, *made)

    async def answer(self, request: Request) -> Response:
        """Answer one request from any event loop; raises as ``complete`` does."""
        pending = submit(self._answer(chat_body(request)))
        try:
            made = await asyncio.wait_for(asyncio.wrap_future(pending), left())
        except TimeoutError as error:
            raise TimedOutError(self._late) from error
        finally:
            pending.cancel()  # without effect on one that has ended
        return self._finish(request, *made)

    def close(self) -> None:
        """Close the connections of the backend; the next call opens new ones."""
        if isinstance(self._send, Connected):
            submit(self._send.close()).result()

    def for_await(self) -> AsyncChatEngine:
        """Return the same engine as DSPy takes it for ``await``."""
        return AsyncChatEngine(self)

    @property
    def _late(self) -> str:
        return f"model {self.model} did not answer in the time that it was given"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return what identifies the model; servers and keys are not saved."""
        return {"model": self.model}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse: which servers answer is not part of a saved program.

        Raises:
            EngineError: Always.
        """
        msg = f"the model {state.get('model')} is not part of a saved program; set it again"
        raise EngineError(msg)

    async def _answer(self, body: dict[str, Any]) -> tuple[Answer, float, float]:
        """Return the answer, the seconds of the call, and its share of the backend's time."""
        if self._turn is None:
            self._turn = asyncio.Semaphore(self.concurrency)
        async with self._turn:
            began, mark = time.perf_counter(), self._meter.begin()
            try:
                answer = await self._send(body)
            finally:
                share = self._meter.end(mark)
            return answer, time.perf_counter() - began, share

    def _finish(self, request: Request, answer: Answer, seconds: float, share: float) -> Response:
        record = CallRecord(
            model=self.model,
            stage=current_stage(),
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached_tokens,
            completion_tokens=answer.completion_tokens,
            seconds=seconds,
            share=share,
            prompt_seconds=answer.prompt_seconds,
            generation_seconds=answer.generation_seconds,
            finish_reason=answer.finish_reason,
        )
        note(record)
        return to_response(request, answer)


class AsyncChatEngine:
    """The same engine as DSPy takes it for ``await``."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, engine: ChatEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as ``ChatEngine.complete`` does."""
        return await self._engine.answer(request)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return the wrapped engine's state."""
        return self._engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse, as ``ChatEngine.load_state`` does."""
        return cls(ChatEngine.load_state(state))
