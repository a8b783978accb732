"""DSPy's request and response in the terms of an OpenAI-style chat API, and back.

Owns the translation that every engine with such an API shares. Knows no server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dspy.lm15 import Message, Request, Response, TextPart
from dspy.lm15 import Usage as TokenUsage

from lift_sys.inference.failures import EngineError
from lift_sys.inference.server_words import whole

DEFAULT_MAX_TOKENS = 1024
"""Generated tokens after which an answer is cut off, where the request does not say."""

SUPPORTED_PARAMS = frozenset(
    {
        "frequency_penalty",
        "max_tokens",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    }
)
"""Request settings that reach the model."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server gave for one chat request.

    Attributes:
        text: The generated text; half a surrogate pair, which no file or request can hold, is
            replaced by U+FFFD.
        finish_reason: ``stop``, ``length`` when it was cut off, or ``refusal`` when the model would
            not answer; the text then says so.
        prompt_tokens: Tokens of the prompt, cached ones included.
        cached_tokens: Prompt tokens that were not computed anew.
        completion_tokens: Tokens generated.
        prompt_seconds: Time spent on the prompt, in seconds.
        generation_seconds: Time spent generating, in seconds.
        logprobs: Log probability of each generated token, where the request asked for them.

    Raises:
        TypeError: The text, or the reason of its end, is none.
        ValueError: A number of tokens is negative, or none.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    prompt_seconds: float | None = None
    generation_seconds: float | None = None
    logprobs: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        texts: tuple[object, ...] = (self.text, self.finish_reason)
        if not all(isinstance(text, str) for text in texts):
            msg = "an answer and the reason of its end are texts"
            raise TypeError(msg)
        counts = (self.prompt_tokens, self.cached_tokens, self.completion_tokens)
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            msg = "numbers of tokens are whole and not negative"
            raise ValueError(msg)
        object.__setattr__(self, "text", whole(self.text))


def chat_body(request: Request) -> dict[str, Any]:
    """Return the body of an OpenAI-style chat request.

    What the request leaves open is set here, so that the same request means the same sampling
    with every release of a server: greedy, seed 0, at most ``DEFAULT_MAX_TOKENS`` tokens.

    Raises:
        EngineError: The request holds tools, images or other parts that text models do not take.
    """
    if request.tools:
        msg = f"model {request.model} takes no tools; remove them from the request"
        raise EngineError(msg)
    config = request.config
    body: dict[str, Any] = {
        "model": request.model,
        "messages": _messages(request),
        "temperature": config.temperature if config.temperature is not None else 0.0,
        # The largest 32-bit value means "random" to llama.cpp.
        "seed": (config.seed or 0) % (2**32 - 1),
        "max_tokens": config.max_tokens or DEFAULT_MAX_TOKENS,
    }
    for name in ("top_p", "top_k", "frequency_penalty", "presence_penalty"):
        value = getattr(config, name)
        if value is not None:
            body[name] = value
    if config.stop:
        body["stop"] = list(config.stop)
    if config.response_format is not None:
        body["response_format"] = _response_format(config.response_format)
    return body


def to_response(request: Request, answer: Answer) -> Response:
    """Return an answer as DSPy takes it."""
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(answer.text),
        finish_reason="length" if answer.finish_reason == "length" else "stop",
        usage=TokenUsage(
            input_tokens=answer.prompt_tokens,
            output_tokens=answer.completion_tokens,
            cache_read_tokens=answer.cached_tokens,
        ),
    )


def _messages(request: Request) -> list[dict[str, str]]:
    rows = []
    if request.system is not None:
        system = request.system
        parts = (TextPart(text=system),) if isinstance(system, str) else system
        rows.append({"role": "system", "content": _text(parts, request.model)})
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        rows.append({"role": role, "content": _text(message.parts, request.model)})
    return rows


def _text(parts: tuple[Any, ...], model: str) -> str:
    for part in parts:
        if not isinstance(part, TextPart):
            msg = f"model {model} takes text only; remove the {part.type} part from the request"
            raise EngineError(msg)
    return "\n".join(part.text for part in parts)


def _response_format(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["type"] != "json_schema":
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {
            "name": asked.get("name", "answer"),
            "schema": asked["schema"],
            "strict": True,
        },
    }
