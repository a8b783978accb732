"""How the fake servers speak: one class for each wire format.

A dialect turns bodies into ``Asked`` and ``Given`` into bodies; what is answered is the business of
``fake_model``, what goes wrong that of ``fake_server``.
"""

from __future__ import annotations

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


OPENAI = OpenAIDialect()
