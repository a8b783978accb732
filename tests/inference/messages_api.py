"""Anthropic's Messages API as tests see it: what it answers, and what it was sent.

The bodies are written from the API's documented format. They were not recorded from the live API,
which these tests cannot reach.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import dspy
import httpx
import pytest

from lift_sys.inference import catalogue
from lift_sys.inference.anthropic import connect
from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import EngineError
from lift_sys.inference.model_info import ModelInfo
from tests.inference import chat_server
from tests.inference.chat_server import QUICK

KEY = "sk-ant-very-secret"
CLAUDE = catalogue.get("claude")
CODE = "```python\ndef double(x):\n    return 2 * x\n```"
BODY: dict[str, Any] = {**chat_server.BODY, "model": "local/claude"}


def with_structure(structured: str | None = None, **more: Any) -> ModelInfo:
    return CLAUDE.model_copy(update={"structured": structured, **more})


def message(text: str = "hello", stop_reason: str = "end_turn", **more: Any) -> httpx.Response:
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 5,
    }
    reply = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6-20250929",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return httpx.Response(200, json=reply | more)


def failure(status: int, kind: str, said: str, **headers: str) -> httpx.Response:
    error = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_011C"}
    return httpx.Response(status, json=error, headers=headers)


class Api:
    """Answers in turn; the last answer is repeated."""

    def __init__(self, answers: Sequence[httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


def ask(
    *answers: httpx.Response, info: ModelInfo = CLAUDE, **more: Any
) -> tuple[Answer, list[dict[str, Any]], Api]:
    """Return the answer to the body with ``more`` in it, and what was sent for it."""
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))

    async def once() -> Answer:
        return await send({**BODY, **more})

    return asyncio.run(once()), api.bodies, api


def raised(*answers: httpx.Response, info: ModelInfo = CLAUDE, **more: Any) -> tuple[Any, Api]:
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))

    async def once() -> None:
        await send({**BODY, **more})

    with pytest.raises(EngineError) as caught:
        asyncio.run(once())
    sentence = str(caught.value)
    assert KEY not in sentence
    assert "\n" not in sentence
    return caught.value, api


def lm_of(model_id: str, info: ModelInfo, *answers: httpx.Response) -> tuple[dspy.LM, Api]:
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))
    engine = ChatEngine(send, model_id)
    return dspy.LM(f"local/{model_id}", engine=engine, cache=False, num_retries=0), api
