"""An engine that answers from a script: for tests of everything that is not the model.

Owns nothing but determinism: the same requests in the same order get the same answers, from any
thread. Token counts are word counts, so usage adds up without a tokenizer.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from dspy.lm15 import Request, Response

from lift_sys.inference.chat import SUPPORTED_PARAMS, Answer, chat_body, to_response
from lift_sys.inference.failures import EngineError
from lift_sys.inference.usage import CallRecord, current_stage, note


class ScriptedEngine:
    """A DSPy engine with prepared answers.

    Args:
        answers: A function of the request, or answers given in turn.
        cut_at: Words after which an answer is cut off and reported as ``length``, where the
            request's ``max_tokens`` does not say so first.
        concurrency: How many requests it says it answers at the same time.

    Attributes:
        concurrency: As given.
        requests: Every request received, in order.
        bodies: The same as OpenAI-style chat bodies: what a server would have received.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(
        self,
        answers: Callable[[Request], str] | Sequence[str],
        *,
        cut_at: int | None = None,
        concurrency: int = 1,
    ) -> None:
        self.concurrency = concurrency
        self.requests: list[Request] = []
        self.bodies: list[dict[str, Any]] = []
        self._answers = answers
        self._cut_at = cut_at
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            EngineError: The script has no answer left.
        """
        body = chat_body(request)
        with self._lock:
            index = len(self.requests)
            self.requests.append(request)
            self.bodies.append(body)
        answer = self._answer(body, self._text(request, index))
        note(
            CallRecord(
                model=request.model,
                stage=current_stage(),
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
                seconds=0.0,
                finish_reason=answer.finish_reason,
            )
        )
        return to_response(request, answer)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the script: what was asked so far is no part of what the engine is."""
        made = functools.partial(type(self), cut_at=self._cut_at, concurrency=self.concurrency)
        return made, (self._answers,)

    def _text(self, request: Request, index: int) -> str:
        if callable(self._answers):
            return self._answers(request)
        if index >= len(self._answers):
            msg = f"the script has {len(self._answers)} answers and was asked for one more"
            raise EngineError(msg)
        return self._answers[index]

    def _answer(self, body: dict[str, Any], text: str) -> Answer:
        words = text.split(" ")
        limit = min(self._cut_at or len(words), body["max_tokens"])
        return Answer(
            text=" ".join(words[:limit]),
            finish_reason="length" if len(words) > limit else "stop",
            prompt_tokens=sum(len(m["content"].split()) for m in body["messages"]),
            cached_tokens=0,
            completion_tokens=min(len(words), limit),
        )


class AsyncScriptedEngine:
    """The same script for ``await``."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as ``ScriptedEngine.complete`` does."""
        return self._engine.complete(request)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
