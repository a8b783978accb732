"""Claude through the Messages API: what goes wrong.

The bodies are written from the API's documented format. They were not recorded from the live API,
which these tests cannot reach.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from lift_sys.errors import ModelError, ProviderError
from lift_sys.inference import catalogue
from lift_sys.inference.anthropic import connect
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.lm import build_lm
from tests.inference.chat_server import QUICK
from tests.inference.messages_api import (
    BODY,
    CLAUDE,
    KEY,
    ask,
    failure,
    message,
    raised,
    with_structure,
)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            failure(401, "authentication_error", f"invalid x-api-key {KEY}"),
            StatusError,
            "set the right key in ANTHROPIC_API_KEY",
        ),
        (failure(403, "permission_error", "no access"), StatusError, "refuses the key"),
        (
            failure(404, "not_found_error", "model: claude-x"),
            StatusError,
            "claude-x; check the URL and the model's name",
        ),
        (
            failure(400, "invalid_request_error", "Your credit balance is too low"),
            StatusError,
            "credit balance is too low",
        ),
        (
            failure(400, "invalid_request_error", "`temperature` is deprecated for this model."),
            StatusError,
            r"write sampling = false into \[claude\] of your models.toml",
        ),
        (
            failure(400, "invalid_request_error", "output_config.format: not supported"),
            StatusError,
            'structured = "tool"',
        ),
        (
            failure(
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
            ),
            PromptTooLongError,
            "does not fit",
        ),
        (
            failure(
                400,
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000",
            ),
            PromptTooLongError,
            "does not fit",
        ),
        (failure(413, "request_too_large", "too many bytes"), PromptTooLongError, "shorten it"),
        (
            httpx.Response(200, text="<html><title>Sign in</title>"),
            StatusError,
            r"a web page \(Sign in\)",
        ),
        (httpx.Response(200, json={"answer": 1}), EngineError, "no message; check the URL"),
        (httpx.Response(200, json={"usage": None}), EngineError, "no message; check the URL"),
        (message(content=[{"text": "x"}]), EngineError, "no message; check the URL"),
    ],
    ids=str,
)
def test_a_refused_request_is_one_sentence_and_is_not_repeated(
    answer: httpx.Response, kind: type[EngineError], words: str
) -> None:
    error, api = raised(answer)

    assert type(error) is kind
    assert re.search(words, str(error))
    assert isinstance(error, ProviderError)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "first",
    [
        failure(429, "rate_limit_error", "slow down", **{"retry-after": "0"}),
        failure(529, "overloaded_error", "Overloaded"),
        failure(500, "api_error", "Internal server error"),
        httpx.Response(502, text="<html><title>Bad Gateway</title></html>"),
        httpx.Response(200, content=b'{"type": "message", "content": [{"ty'),
        httpx.Response(200, content=b""),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(first: httpx.Response) -> None:
    answer, bodies, _ = ask(first, message())
    assert (answer.text, len(bodies)) == ("hello", 2)

    error, api = raised(first)
    assert isinstance(error, UnavailableError)
    assert len(api.requests) == QUICK.tries


def test_an_answer_that_does_not_come_is_given_up() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    send = connect(with_structure(timeout=0.05), KEY, transport=httpx.MockTransport(never))

    async def once() -> None:
        await send(BODY)

    with pytest.raises(TimedOutError, match=r"within 0\.05 s"):
        asyncio.run(once())


def test_without_its_key_the_model_is_refused_before_anything_is_asked(tmp_path: Any) -> None:
    for keys in (None, {}, {"ANTHROPIC_API_KEY": ""}):
        with pytest.raises(ModelError, match="model claude needs a key: set ANTHROPIC_API_KEY"):
            build_lm("claude", tmp_path, keys=keys)
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        catalogue.get_servable("qwen2.5-coder-0.5b>claude", {})
    assert catalogue.get_servable("claude").id == "claude"


def test_with_its_key_it_is_a_model_that_tells_the_key_to_nobody(tmp_path: Any) -> None:
    lm = build_lm("claude", tmp_path, keys={"ANTHROPIC_API_KEY": KEY})
    assert lm.engine.concurrency == CLAUDE.concurrency
    assert KEY not in f"{lm.dump_state()} {lm!r} {vars(lm)} {vars(lm.engine)}"
