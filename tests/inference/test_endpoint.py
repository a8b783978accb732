"""The way of one request over HTTP: what is retried, what is said, what is never said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from lift_sys.errors import ConfigError
from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.retries import Retries

KEY = "sk-very-secret"
QUICK = Retries(tries=3, first=0.01, most=0.05)
FINE = httpx.Response(200, json={"answer": 1})


def served(url: str = "http://example.org/v1", **more: Any) -> Service:
    auth = {"authorization": f"Bearer {KEY}"}
    return Service("Server", url, key_name="SERVER_KEY", auth=auth, **more)


class Line:
    """Answers in turn; the last answer is repeated."""

    def __init__(self, answers: Sequence[httpx.Response | Exception]) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ask(
    *answers: httpx.Response | Exception, service: Service | None = None
) -> tuple[Any, list[httpx.Request]]:
    """Return the answer, or the error, and what was sent."""
    line = Line(answers)
    endpoint = Endpoint(service or served(), QUICK, httpx.MockTransport(line))

    async def once() -> Any:
        try:
            return await endpoint.post("/chat/completions", {"a": "ä"})
        except EngineError as error:
            return error
        finally:
            await endpoint.close()

    return asyncio.run(once()), line.requests


def test_a_body_goes_out_as_json_with_its_headers() -> None:
    answer, (request,) = ask(FINE, service=served(headers={"x-version": "7"}))

    assert answer == {"answer": 1}
    assert str(request.url) == "http://example.org/v1/chat/completions"
    assert json.loads(request.content) == {"a": "ä"}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-version"] == "7"


@pytest.mark.parametrize(
    "first",
    [
        httpx.Response(429, json={"error": {"message": "slow down"}}),
        httpx.Response(429, headers={"retry-after": "0"}),
        httpx.Response(500, text="oops"),
        httpx.Response(502, text="<html><title>Bad Gateway</title></html>"),
        httpx.Response(529),
        httpx.Response(200, content=b'{"answer": '),
        httpx.Response(200, content=b""),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection"),
        httpx.DecodingError("no gzip"),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again(first: httpx.Response | Exception) -> None:
    answer, requests = ask(first, FINE)

    assert answer == {"answer": 1}
    assert len(requests) == 2

    error, requests = ask(first)

    assert isinstance(error, UnavailableError)
    assert len(requests) == QUICK.tries


def test_an_answer_that_the_server_has_later_is_fetched_there() -> None:
    url = "http://example.org/v1/chat/completions?call=7"
    waits = httpx.Response(303, headers={"location": url})
    answer, requests = ask(waits, waits, FINE)

    assert answer == {"answer": 1}
    assert [(request.method, request.content) for request in requests[1:]] == [("GET", b"")] * 2
    assert {str(request.url) for request in requests[1:]} == {url}
    assert requests[2].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("place", ["https://example.org/", "http://b.org/", "http://example.org:1"])
def test_no_other_server_is_asked_for_it(place: str) -> None:
    error, requests = ask(httpx.Response(303, headers={"location": place}))

    assert isinstance(error, StatusError)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(400, json={"error": {"message": "bad schema"}}), StatusError, "bad schema"),
        (httpx.Response(401, json={"error": "no"}), StatusError, "set the right key in SERVER_KEY"),
        (httpx.Response(403), StatusError, "refuses the key"),
        (httpx.Response(404, json={"detail": "Not Found"}), StatusError, "check the URL"),
        (httpx.Response(307, headers={"location": "https://b.org/"}), StatusError, "https://b.org"),
        (httpx.Response(200, text="<html><title>Hi</title>"), StatusError, "a web page (Hi)"),
        (httpx.Response(501), StatusError, "refuses the request"),
        (httpx.Response(413), PromptTooLongError, "shorten it"),
        (
            httpx.Response(400, json={"error": {"message": "maximum context length is 4096"}}),
            PromptTooLongError,
            "maximum context length is 4096; shorten it",
        ),
    ],
    ids=str,
)
def test_what_would_fail_again_is_said_at_once(
    answer: httpx.Response, kind: type[Exception], words: str
) -> None:
    error, requests = ask(answer)

    assert type(error) is kind
    assert len(requests) == 1
    assert words in str(error)
    assert str(error).startswith("Server at http://example.org/v1 ")
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize(
    "form",
    [
        lambda text: {"json": {"error": {"message": text}}},
        lambda text: {"text": text},
        lambda text: {"html": f"<html><title>{text}</title>"},
    ],
)
def test_a_key_is_never_said_even_where_the_server_repeats_it(
    status: int, form: Callable[[str], dict[str, Any]]
) -> None:
    error, _ = ask(httpx.Response(status, **form(f"wrong key: {KEY} or Bearer {KEY}")))

    assert "wrong key: ***" in str(error)
    assert KEY not in str(error)


def test_neither_a_key_nor_credentials_are_in_a_repr_or_a_name() -> None:
    assert KEY not in repr(served())
    service = Service("Server", "https://me:word@example.org/v1")
    assert Endpoint(service).where == "Server at https://example.org/v1"


@pytest.mark.parametrize("status", [400, 401, 429])
def test_a_password_of_the_url_is_never_said_even_where_the_server_repeats_it(status: int) -> None:
    service = Service("Server", "https://me:hunter2pass@example.org/v1")
    sent = "Basic bWU6aHVudGVyMnBhc3M="
    answer = httpx.Response(status, json={"error": f"no {sent} of me with hunter2pass"})
    error, (request, *_) = ask(answer, service=service)

    assert request.headers["authorization"] == sent
    assert "no Basic *** of *** with ***" in str(error)
    assert "wants a key" not in str(error)


def test_a_password_in_the_url_and_a_key_are_refused() -> None:
    with pytest.raises(ConfigError, match="holds a password and SERVER_KEY a key; remove one"):
        Endpoint(served("https://me:hunter2pass@example.org/v1"))

    service = Service("Server", "https://me:word@example.org/v1", auth={"x-api-key": KEY})
    _, (request,) = ask(FINE, service=service)
    assert request.headers["x-api-key"] == KEY
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("key", ["with\nline", "späh", "tab\t", " blank"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="the key of S in S_KEY has characters") as caught:
        Endpoint(Service("S", "http://a", key_name="S_KEY", auth={"x-api-key": key}))

    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.org", "ftp://a", "http://", "http://a?key=1", "http://a:b"),
        *("http://a:99999/v1", f"http://{'a' * 64}.org/v1"),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is no URL of Server"):
        Endpoint(served(url))


def test_a_call_is_given_up_after_its_time_with_all_its_retries() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(20)
        return FINE

    async def once() -> None:
        endpoint = Endpoint(served(seconds=0.05), QUICK, httpx.MockTransport(slow))
        with pytest.raises(TimedOutError, match=r"gave no answer within 0\.05 s"):
            await endpoint.post("/x", {})

    asyncio.run(once())


def test_a_wait_that_is_too_long_is_not_begun() -> None:
    busy = httpx.Response(429, headers={"retry-after": "9"}, json={"error": "slow down"})
    line = Line([busy])

    async def once() -> None:
        endpoint = Endpoint(served(seconds=5), Retries(), httpx.MockTransport(line))
        with pytest.raises(UnavailableError, match="slow down"):
            await endpoint.post("/x", {})

    asyncio.run(asyncio.wait_for(once(), 2))
    assert len(line.requests) == 1
