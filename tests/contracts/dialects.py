"""How the fake servers speak: one class for each wire format.

A dialect turns bodies into ``Asked`` and ``Given`` into bodies; what is answered is the business of
``fake_model``, what goes wrong that of ``fake_server``.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from tests.contracts.fake_model import Asked, Given


class Dialect(Protocol):
    """A wire format.

    Attributes:
        root: Where the API begins in a URL.
        path: Of chat requests, below ``root``.
    """

    root: str
    path: str

    def key(self, headers: dict[str, str]) -> str:
        """Return the key that came along; empty where none did."""
        ...

    def read(self, body: dict[str, Any]) -> Asked:
        """Return what a body asks for."""
        ...

    def write(self, asked: Asked, given: Given, cached: int) -> dict[str, Any]:
        """Return the body of an answer."""
        ...

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return the body of a failure."""
        ...

    def models(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the body that lists what is served."""
        ...


class OpenAIDialect:
    """OpenAI's chat completions, as vLLM 0.32 speaks them."""

    root = "/v1"
    path = "/chat/completions"

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("authorization", "").removeprefix("Bearer ")

    def read(self, body: dict[str, Any]) -> Asked:
        # Like the real one, it ignores guided_json without a word.
        asked = body.get("response_format") or {}
        return Asked(
            model=body["model"],
            messages=body["messages"],
            schema=asked.get("json_schema", {}).get("schema"),
            temperature=body.get("temperature", 1.0),
            seed=body.get("seed", 0),
            max_tokens=body.get("max_tokens", 1000),
        )

    def write(self, asked: Asked, given: Given, cached: int) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": asked.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": given.text},
                    "finish_reason": "length" if given.cut else "stop",
                }
            ],
            "usage": {
                "prompt_tokens": given.prompt_tokens,
                "completion_tokens": given.completion_tokens,
                "total_tokens": given.prompt_tokens + given.completion_tokens,
                "prompt_tokens_details": {"cached_tokens": cached} if cached else None,
            },
        }

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind = "NotFoundError" if status == 404 else "BadRequestError"
        return {"error": {"message": message, "type": kind, "param": None, "code": status}}

    def models(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


class AnthropicDialect:
    """Anthropic's Messages API, as its documentation describes it."""

    root = "/v1"
    path = "/messages"

    def key(self, headers: dict[str, str]) -> str:
        return headers.get("x-api-key", "")

    def read(self, body: dict[str, Any]) -> Asked:
        system = [{"role": "system", "content": part["text"]} for part in body.get("system", [])]
        tools = body.get("tools") or [{}]
        held = body.get("output_config", {}).get("format", {}).get("schema")
        return Asked(
            model=body["model"],
            messages=[*system, *body["messages"]],
            schema=tools[0].get("input_schema") or _heeded(held),
            temperature=body.get("temperature", 1.0),
            seed=0,
            max_tokens=body["max_tokens"],
        )

    def write(self, asked: Asked, given: Given, cached: int) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": [{"type": "text", "text": given.text}] if given.text else [],
            "stop_reason": "max_tokens" if given.cut else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": given.prompt_tokens - cached,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached,
                "output_tokens": given.completion_tokens,
            },
        }

    def error(self, status: int, message: str) -> dict[str, Any]:
        kind = {401: "authentication_error", 404: "not_found_error"}
        error = {"type": kind.get(status, "invalid_request_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_1"}

    def models(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {"data": [{"id": name, "type": "model"} for name in names], "has_more": False}


def _heeded(schema: Any) -> Any:
    """Return a schema with the bound that a description asks for, as a model heeds it."""
    if not isinstance(schema, dict):
        return schema
    assert not {"maxItems", "maxLength", "maximum"} & set(schema), "the API refuses these"
    made = {key: _heeded(value) for key, value in schema.items()}
    asked = re.search(r"at least (\d+) items", str(schema.get("description")))
    return made | ({"minItems": int(asked[1])} if asked else {})


ANTHROPIC = AnthropicDialect()
OPENAI = OpenAIDialect()
