"""What every backend that asks a server does when the server, or the way to it, fails."""

from __future__ import annotations

import asyncio
import re
import time
from email.utils import formatdate
from typing import Any

import pytest

from lift_sys.errors import LiftError
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.usage import recording
from tests.contracts.backends import KEY, QUICK, Backend, Rig, params
from tests.contracts.fake_server import FakeServer, Fault
from tests.contracts.test_answers import ask, complete

over_http = pytest.mark.parametrize("backend", params(fake=True))

PAGE = "<!doctype html><title>502 Bad Gateway</title>"
PASSING = {
    "too many requests": Fault(429, {"error": {"message": "slow down"}}),
    "overloaded": Fault(503, {"error": {"message": "overloaded"}}),
    "server error": Fault(500, "Internal Server Error"),
    "gateway page": Fault(502, PAGE),
    "closed": Fault(drop=True),
    "stopped half-way": Fault(sent=40),
    "stopped before the body": Fault(sent=0),
    "broken JSON": Fault(200, '{"choices": [', {"content-type": "application/json"}),
    "empty body": Fault(200, "", {"content-type": "application/json"}),
    "date in the past": Fault(429, {}, {"retry-after": formatdate(0, usegmt=True)}),
    "date far away": Fault(429, {}, {"retry-after": formatdate(4e9, usegmt=True)}),
    "nonsense": Fault(429, {}, {"retry-after": "soon"}),
}
LASTING = {
    "bad request": (Fault(400, {"error": {"message": "bad schema"}}), StatusError, "bad schema"),
    "wrong key": (Fault(401, {"error": {"message": f"no {KEY}"}}), StatusError, "key in M_KEY"),
    "forbidden": (Fault(403, PAGE), StatusError, "key in M_KEY"),
    "too long": (
        Fault(400, {"error": {"message": "maximum context length is 10 tokens"}}),
        PromptTooLongError,
        "shorten it",
    ),
    "a web page": (Fault(200, PAGE), StatusError, "a web page (502 Bad Gateway)"),
    "redirected": (Fault(308, {}, {"location": "https://b.org"}), StatusError, "https://b.org"),
    "another API": (Fault(200, {"hello": 1}), EngineError, "check the URL"),
}


def server_of(rig: Rig) -> FakeServer:
    assert rig.server is not None
    return rig.server


@over_http
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again_and_counted_once(rig: Rig, fault: str) -> None:
    server = server_of(rig)
    right, _ = complete(rig, ask())
    server.faults.append(PASSING[fault])
    before = len(server.bodies)
    text, _ = complete(rig, ask())

    assert text == right
    assert len(server.bodies) == before + 2


@over_http
@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_ends_in_one_sentence(rig: Rig, fault: str) -> None:
    server = server_of(rig)
    server.faults.extend([PASSING[fault]] * QUICK.tries)
    with recording() as rows, pytest.raises(UnavailableError) as caught:
        rig.engine.complete(ask())

    assert len(server.bodies) == QUICK.tries
    assert_one_sentence(caught.value, server)
    assert rows == []


@over_http
@pytest.mark.parametrize("fault", LASTING)
def test_what_would_fail_again_is_not_tried_again(rig: Rig, backend: Backend, fault: str) -> None:
    if fault == "redirected" and not backend.ours:
        return
    server = server_of(rig)
    what, kind, words = LASTING[fault]
    server.faults.append(what)
    unsaid = fault == "a web page" and not backend.ours
    with pytest.raises(kind, match=None if unsaid else re.escape(words)) as caught:
        rig.engine.complete(ask())

    assert len(server.bodies) == 1
    assert_one_sentence(caught.value, server)


def assert_one_sentence(error: BaseException, server: FakeServer) -> None:
    assert isinstance(error, LiftError)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert "\n" not in str(error)
    assert KEY not in str(error)
    assert KEY not in repr(error)


@over_http
def test_retry_after_is_honoured(rig: Rig) -> None:
    server_of(rig).faults.append(Fault(429, {}, {"retry-after": "0.25"}))
    began = time.perf_counter()
    complete(rig, ask())

    assert time.perf_counter() - began >= 0.25


@over_http
def test_a_call_is_given_up_after_its_time(rig: Rig) -> None:
    assert rig.again is not None
    server = server_of(rig)
    server.faults.append(Fault(seconds=30))
    with pytest.raises(TimedOutError, match=r"gave no answer within 0\.3 s"):
        rig.again(timeout=0.3).complete(ask())

    assert server.gave_up.acquire(timeout=5)
    assert len(server.bodies) == 1


@over_http
def test_a_call_that_was_cancelled_is_closed_at_the_server(rig: Rig) -> None:
    server = server_of(rig)
    server.faults.append(Fault(seconds=30))

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rig.async_engine.complete(ask()), 0.2)

    asyncio.run(give_up())

    assert server.gave_up.acquire(timeout=5)
    assert complete(rig, ask())[0]


@over_http
def test_a_wrong_key_and_a_missing_one_are_refused(rig: Rig) -> None:
    assert rig.again is not None
    for key in ("sk-wrong-key", ""):
        with pytest.raises(StatusError, match="M_KEY") as caught:
            rig.again(key=key).complete(ask())
        assert "sk-wrong-key" not in str(caught.value)


@over_http
def test_nobody_listens(rig: Rig, backend: Backend) -> None:
    assert rig.again is not None
    engine = rig.again(urls=("http://127.0.0.1:9/v1",))
    words = r"cannot be reached .*is it running" if backend.ours else "127.0.0.1:9"
    with pytest.raises(UnavailableError, match=words):
        engine.complete(ask())


@over_http
def test_an_empty_answer_is_an_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.contracts import fake_model

    def nothing(*_: Any) -> str:
        return ""

    monkeypatch.setattr(fake_model, "_text", nothing)
    text, row = complete(rig, ask())

    assert text == ""
    assert row.finish_reason == "stop"


@over_http
def test_what_is_asked_for_reaches_the_server(rig: Rig) -> None:
    server = server_of(rig)
    complete(rig, ask(temperature=0.7, seed=11, max_tokens=33))
    asked = server.behaviour.dialect.read(server.bodies[-1])

    assert asked.temperature == 0.7
    assert asked.max_tokens == 33
    assert asked.model == "small"
    assert asked.messages == [{"role": "user", "content": "Name a colour of the sky."}]
