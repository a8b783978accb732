"""What every backend that asks a server does with an answer that is odd, and with what it repeats.

None of it is a traceback, none says a secret, and none outlives the time of the call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from lift_sys.inference.failures import EngineError, StatusError, TimedOutError
from lift_sys.inference.tolerant import REPAIR_TURNS
from lift_sys.inference.usage import recording
from tests.contracts import fake_model
from tests.contracts.backends import KEY, Backend, Rig, params
from tests.contracts.fake_server import FakeServer, Fault
from tests.contracts.test_answers import AS_JSON, SCHEMA, ask, complete

over_http = pytest.mark.parametrize("backend", params(fake=True))
in_words = pytest.mark.parametrize(
    "backend", [b for b in params(fake=True) if "words" in str(b.id)]
)
HALF = "\ud83d"


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have the fake model say the same thing whatever it is asked, but for a server's probe."""
    right = fake_model._text

    def said(asked: Any, drawn: Any) -> str:
        return right(asked, drawn) if "vk7-zebra" in json.dumps(asked.schema) else text

    monkeypatch.setattr(fake_model, "_text", said)


def right_body(rig: Rig) -> tuple[FakeServer, dict[str, Any]]:
    """Return the server, and the body of a right answer of it."""
    server = rig.server
    assert server is not None
    speaks = server.behaviour.dialect
    asked = fake_model.Asked("small", [{"role": "user", "content": "hi"}], None, 0.0, 0, 64)
    return server, speaks.write(asked, fake_model.answer(asked), 0)


@over_http
def test_half_a_surrogate_pair_is_replaced_before_anyone_keeps_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, f"an odd {HALF} end")
    text, _ = complete(rig, ask())

    assert text == "an odd \ufffd end"


@in_words
def test_half_a_pair_that_is_written_as_an_escape_is_replaced_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {**SCHEMA, "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    say(monkeypatch, r'{"colour": "odd \ud83d"}')
    text, _ = complete(rig, ask(response_format={**AS_JSON, "schema": schema}))

    assert json.loads(text.encode()) == {"colour": "odd \ufffd"}


def wrong_usage(body: dict[str, Any], value: Any) -> None:
    for name in ("prompt_tokens", "input_tokens"):
        if name in body["usage"]:
            body["usage"][name] = value


def without_usage(body: dict[str, Any]) -> None:
    del body["usage"]


def wrong_text(body: dict[str, Any], text: Any) -> None:
    if "choices" in body:
        body["choices"][0]["message"]["content"] = text
    else:
        body["content"] = text


ODD: dict[str, Callable[[dict[str, Any]], None]] = {
    "negative usage": lambda body: wrong_usage(body, -1),
    "no usage": without_usage,
    "a list for a text": lambda body: wrong_text(body, [{"type": "text", "value": "hello"}]),
    "a number for a text": lambda body: wrong_text(body, 5),
}


@over_http
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # litellm's own
def test_what_is_no_answer_of_the_api_is_one_sentence(rig: Rig, odd: str) -> None:
    server, body = right_body(rig)
    ODD[odd](body)
    server.faults.append(Fault(200, body, {"content-type": "application/json"}))
    with recording() as rows, pytest.raises(EngineError, match="check the URL") as caught:
        rig.engine.complete(ask())

    assert rows == []
    assert len(server.bodies) == 1
    assert "Traceback" not in str(caught.value)
    assert f"127.0.0.1:{server.port}" in str(caught.value)


@over_http
@pytest.mark.parametrize("status", [400, 404, 429])
def test_a_web_page_is_told_by_its_title(rig: Rig, status: int) -> None:
    server, _ = right_body(rig)
    page = f"<!DOCTYPE html>\n<html><head><title>{status} of a proxy</title></head>"
    server.faults.extend([Fault(status, page)] * 9)
    with pytest.raises(EngineError) as caught:
        rig.engine.complete(ask())

    assert f"a web page ({status} of a proxy)" in str(caught.value)
    assert "<" not in str(caught.value)
    if status == 404:
        assert "check" in str(caught.value)
        assert "URL" in str(caught.value)


@over_http
@pytest.mark.parametrize("before", [0, 290])
def test_a_key_is_not_said_even_where_it_would_be_cut_off(rig: Rig, before: int) -> None:
    server, _ = right_body(rig)
    error = server.behaviour.dialect.error(400, f"{'x' * before} {KEY}")
    server.faults.append(Fault(400, error))
    with pytest.raises(StatusError) as caught:
        rig.engine.complete(ask())

    assert KEY[:8] not in str(caught.value) + caught.value.said


@over_http
def test_a_key_in_the_title_of_a_page_is_not_said(rig: Rig) -> None:
    server, _ = right_body(rig)
    server.faults.append(Fault(200, f"<html><title>not for {KEY}</title>"))
    with pytest.raises(StatusError) as caught:
        rig.engine.complete(ask())

    assert KEY not in str(caught.value)


@over_http
def test_a_call_with_all_its_requests_is_given_up_after_its_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rig.again is not None
    server, _ = right_body(rig)
    engine = rig.again(timeout=0.6)
    complete(rig, ask())
    say(monkeypatch, "no JSON")
    # Each request is in time, all together are not: a probe or the first turn, and those after it.
    server.faults.extend([Fault(seconds=0.4)] * 3)
    began = time.perf_counter()
    with pytest.raises(TimedOutError, match=r"gave no answer within 0\.6 s"):
        engine.complete(ask(response_format=AS_JSON))

    assert time.perf_counter() - began < 1.1


@over_http
def test_an_engine_tells_how_many_requests_may_become_one_answer(
    rig: Rig, backend: Backend
) -> None:
    assert rig.engine.turns == (1 if backend.name == "vllm" else 1 + REPAIR_TURNS)
