"""Never generating the same answer twice.

Owns the content address of a call: what the model receives, its weights included. An answer
depends on nothing else, so a stored one may stand for a new one. Trials that differ only in a late
stage share their early ones, and a task that was interrupted continues behind its last call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dspy.lm15 import Request, Response

from lift_sys.inference.chat import SUPPORTED_PARAMS, Answer, chat_body, to_response
from lift_sys.inference.leases import Alone, Leases, once
from lift_sys.inference.usage import CallRecord, current_stage, note, recording
from lift_sys.record import Versioned, digest

LEFT_OPEN = ("temperature", "max_tokens")
"""Settings whose default is the engine's, where a request has none."""

OF_PROVIDERS = (
    "tool_choice", "reasoning", "cache", "service_tier", "user_id", "store", "logprobs",
    "probabilities", "extensions",
)  # fmt: skip
"""Settings that no engine of ours reads, and a provider that DSPy asks may."""


class StoredCall(Versioned):
    """An answer and what it cost when it was generated.

    Attributes:
        key: Content address; see ``call_key``.
        text: The generated text.
        record: Its cost; ``reused`` where another run generated it, and this one took it.
    """

    key: str
    text: str
    record: CallRecord


class Calls(Protocol):
    """Where answers are kept. ``put`` returns only when the answer would survive a crash."""

    def get(self, key: str) -> StoredCall | None:
        """Return the answer with this key, if there is one."""
        ...

    def put(self, entry: StoredCall) -> None:
        """Keep an answer."""
        ...


class Engine(Protocol):
    """The part of a DSPy engine that is wrapped."""

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time."""
        ...

    def complete(self, request: Request) -> Response:
        """Answer one request."""
        ...


class ReplayEngine:
    """A DSPy engine that asks another one only for what it has not answered before.

    Of equal requests that come at the same time, one is generated and the others wait for it.

    Args:
        engine: Generates; its answers depend on the request alone.
        weights: What identifies its model, e.g. a SHA-256.
        calls: Where answers are kept.

    Attributes:
        leases: Of all who share the kept answers; by default of this process alone.
    """

    supports_function_calling = False
    supports_reasoning = False

    def __init__(self, engine: Engine, weights: str, calls: Calls) -> None:
        self._asked = self._engine = engine
        self._weights = weights
        self._calls = calls
        self.leases: Leases = Alone()

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time: as many as the engine behind it."""
        return self._engine.concurrency

    @property
    def supports_response_schema(self) -> bool:
        """Whether the engine behind it says that it enforces a JSON schema."""
        return bool(getattr(self._asked, "supports_response_schema", False))

    @property
    def supported_params(self) -> frozenset[str]:
        """Request settings of which the engine behind it says that they reach the model."""
        return frozenset(getattr(self._asked, "supported_params", SUPPORTED_PARAMS))

    def put_before(self, wrap: Callable[[Engine, str], Engine]) -> None:
        """Let new answers come through another engine from now on.

        Args:
            wrap: Makes that engine from the one behind this and what identifies its model.
        """
        self._engine = wrap(self._engine, self._weights)

    def complete(self, request: Request) -> Response:
        """Answer one request from the store, or else from the engine.

        Raises:
            EngineError: The engine could not answer.
            RefusedError: The budget is spent.
            StoreError: The answer could not be kept.
        """
        key = call_key(request, self._weights)
        made: list[StoredCall] = []

        def generate() -> StoredCall:
            made.append(self._generate(request, key))
            return made[0]

        stored = once(self.leases, f"call/{key}", lambda: self._calls.get(key), generate)
        if made:
            note(stored.record)
        else:
            note(stored.record.model_copy(update={"reused": True, "stage": current_stage()}))
        return to_response(request, _answer(stored))

    def _generate(self, request: Request, key: str) -> StoredCall:
        with recording(detached=True) as made:
            response = self._engine.complete(request)
        record = made[-1].model_copy(update={"key": key})
        stored = StoredCall(key=key, text=response.message.text or "", record=record)
        self._calls.put(stored)
        return stored

    def __deepcopy__(self, memo: dict[int, Any]) -> ReplayEngine:
        return self


def call_key(request: Request, weights: str) -> str:
    """Return the content address of a request to a model.

    A greedy answer does not depend on the seed or on ``top_p``, so these are left out of a greedy
    request. What a request leaves open is for the engine to say: it may sample.
    """
    body, config = chat_body(request), request.config
    body |= {name: None for name in LEFT_OPEN if getattr(config, name) is None}
    if body["temperature"] == 0:
        del body["seed"]
        body.pop("top_p", None)
    more = {name: repr(value) for name in OF_PROVIDERS if (value := getattr(config, name))}
    return digest([body, weights, *([more] if more else [])])


def _answer(stored: StoredCall) -> Answer:
    record = stored.record
    return Answer(
        text=stored.text,
        finish_reason=record.finish_reason,
        prompt_tokens=record.prompt_tokens,
        cached_tokens=record.cached_tokens,
        completion_tokens=record.completion_tokens,
    )
