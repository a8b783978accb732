"""Claude, through Anthropic's Messages API.

Owns the translation of a chat body into that API's terms, and back. The API has no seed, so equal
requests at a temperature above 0 draw different answers, and no penalties: these are not sent.
Newer models take ``temperature`` or ``top_p`` and not both, and some neither; an entry says the
latter with ``sampling = false``.

JSON of a schema is asked for with structured outputs (``output_config.format``). Their decoder
enforces no lengths and no bounds, which go into descriptions instead, as in Anthropic's own SDKs;
so every answer is validated against the whole schema. An entry may choose a forced tool call
(``structured = "tool"``) or the prompt alone (``"words"``) for a model without them.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from lift_sys.inference.chat import Answer
from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.engine import Connected, Timed
from lift_sys.inference.failures import EngineError, StatusError
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.inference.servers import Servers
from lift_sys.inference.tolerant import ANY_OBJECT, Validated, in_words, schema_of

URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"
"""Of the API, sent with every request."""

DEFAULT_TEMPERATURE = 1.0
"""What the API samples at where a request names no temperature."""

REFUSED = "The model refused to answer."

_TOOL = "answer"
_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})
_BOUNDS = {
    "maxItems": "at most {} items",
    "minItems": "at least {} items",
    "maxLength": "at most {} characters",
    "minLength": "at least {} characters",
    "maximum": "at most {}",
    "minimum": "at least {}",
}
_REMEDIES = (
    ("temperature", "sampling = false"),
    ("output_config", 'structured = "tool"'),
    ("output_format", 'structured = "tool"'),
    ("tool_choice", 'structured = "words"'),
)
"""What an entry must say where a model refuses a part of the request that the API names."""


def connect(
    info: ModelInfo,
    key: str | None,
    *,
    retries: Retries | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Connected:
    """Return what asks a Claude model.

    Args:
        info: Its entry.
        key: Of the API.
        retries: Of each server; by default fewer where there is another one to ask.
        transport: What carries the requests; a test's way to see them.

    Raises:
        ConfigError: The entry's URL or the key cannot be used.
    """
    auth = {"x-api-key": key} if key else {}
    headers = {"anthropic-version": VERSION}
    service = Service(
        "Anthropic", key_name=info.key, auth=auth, headers=headers, seconds=info.timeout
    )
    servers = Servers.at(info.urls or (URL,), service, retries, transport)

    async def send(body: dict[str, Any]) -> Answer:
        # The API wants every property named.
        words = info.structured == "words" or schema_of(body) == ANY_OBJECT
        asked = messages_body(in_words(body) if words else body, info)
        try:
            return await servers.ask(lambda endpoint: _asked(endpoint, asked))
        except StatusError as error:
            raise _with_remedy(error, info) from None

    return Connected(Timed(Validated(send), info.timeout), servers.close)


async def _asked(endpoint: Endpoint, body: dict[str, Any]) -> Answer:
    return read_answer(await endpoint.post("/messages", body), endpoint.where)


def messages_body(body: dict[str, Any], info: ModelInfo) -> dict[str, Any]:
    """Return the body of a Messages request; the system prompt, the constant part, is cached.

    Raises:
        StatusError: The request names a temperature and ``top_p``.
    """
    system = [m["content"] for m in body["messages"] if m["role"] == "system" and m["content"]]
    made: dict[str, Any] = {
        "model": info.name,
        "max_tokens": body["max_tokens"],
        "messages": [m for m in body["messages"] if m["role"] != "system"],
    }
    if system:
        text = "\n\n".join(system)
        made["system"] = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    if "stop" in body:
        made["stop_sequences"] = body["stop"]
    if info.sampling:
        made |= _sampling(body, info)
    schema = schema_of(body)
    return made if schema is None else made | _structure(schema, info)


def read_answer(reply: dict[str, Any], where: str) -> Answer:
    """Return what a Messages response says; the prompt's tokens include those of its cache.

    Args:
        reply: Of the API.
        where: Who answered, for the message of an error.

    Raises:
        EngineError: It is no such response.
    """
    try:
        usage = reply["usage"]
        cached = usage.get("cache_read_input_tokens") or 0
        written = usage.get("cache_creation_input_tokens") or 0
        reason = reply["stop_reason"]
        return Answer(
            text=_refusal(reply) if reason == "refusal" else _text(reply["content"]),
            finish_reason=_finish_reason(reason),
            prompt_tokens=usage["input_tokens"] + cached + written,
            cached_tokens=cached,
            completion_tokens=usage["output_tokens"],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"{where} answered with JSON that is no message; check the URL"
        raise EngineError(msg) from error


def _sampling(body: dict[str, Any], info: ModelInfo) -> dict[str, Any]:
    temperature = body["temperature"]
    made = {"top_k": body["top_k"]} if "top_k" in body else {}
    # A greedy answer does not depend on top_p.
    if "top_p" not in body or temperature == 0:
        return made | {"temperature": temperature}
    if temperature != DEFAULT_TEMPERATURE:
        msg = (
            f"{info.id} takes a temperature or top_p, not both; set top_p to 'model',"
            f" or the temperature to {DEFAULT_TEMPERATURE}"
        )
        raise StatusError(msg)
    return made | {"top_p": body["top_p"]}


def _structure(schema: dict[str, Any], info: ModelInfo) -> dict[str, Any]:
    if info.structured == "tool":
        described = "Takes the answer."
        tool = {"name": _TOOL, "description": described, "input_schema": schema}
        choice = {"type": "tool", "name": _TOOL, "disable_parallel_tool_use": True}
        return {"tools": [tool], "tool_choice": choice}
    return {"output_config": {"format": {"type": "json_schema", "schema": _loose(schema)}}}


def _loose(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the bounds that the API refuses written as a description."""
    bounds = ", ".join(words.format(schema[k]) for k, words in _BOUNDS.items() if k in schema)
    made = {key: value for key, value in schema.items() if key not in _BOUNDS}
    if bounds:
        made["description"] = " ".join(filter(None, (made.get("description"), f"{bounds}.")))
    if "items" in made:
        made["items"] = _loose(made["items"])
    if "properties" in made:
        made["properties"] = {name: _loose(part) for name, part in made["properties"].items()}
    return made


def _text(blocks: list[dict[str, Any]]) -> str:
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    called = [block["input"] for block in blocks if block["type"] == "tool_use"]
    return json.dumps(called[0], ensure_ascii=False) if called else "".join(texts)


def _refusal(reply: dict[str, Any]) -> str:
    details = reply.get("stop_details") or {}
    return " ".join(filter(None, (REFUSED, details.get("explanation"))))


def _finish_reason(stop_reason: str) -> str:
    if stop_reason in _CUT_OFF:
        return "length"
    return "refusal" if stop_reason == "refusal" else "stop"


def _with_remedy(error: StatusError, info: ModelInfo) -> StatusError:
    remedy = next((text for word, text in _REMEDIES if word in error.said), None)
    if error.status != 400 or remedy is None:
        return error
    msg = f"{error}, or write {remedy} into [{info.id}] of your models.toml"
    return StatusError(msg, error.status, error.said)
