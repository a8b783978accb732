"""How requests go over the network: connections that are used again, proxies, what breaks off."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx
import pytest

from lift_sys.inference import connections
from lift_sys.inference.connections import Connections
from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.failures import EngineError, UnavailableError
from lift_sys.inference.retries import Retries
from tests.contracts.fake_server import FakeServer, Fault

FINE = b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"a": 1}'


@contextmanager
def replying(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that says these bytes, one connection each, and what it heard."""
    heard: list[bytes] = []
    left = list(replies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1"), loop)
    server = starting.result(10)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


def got(url: str) -> Any:
    """Return what a server answers, or the error."""

    async def once() -> Any:
        endpoint = Endpoint(Service("S", url), Retries(tries=1))
        try:
            return await endpoint.get("/models")
        except EngineError as error:
            return error
        finally:
            await endpoint.close()

    return asyncio.run(once())


def with_connections(url: str, work: Callable[[Connections], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        made = Connections(httpx.URL(url))
        try:
            return await work(made)
        finally:
            await made.aclose()

    return asyncio.run(run())


def posts(server: FakeServer, contents: Sequence[bytes]) -> Callable[[Connections], Any]:
    url = f"{server.url}/chat/completions"

    async def work(made: Connections) -> list[httpx.Response]:
        asked = [httpx.Request("POST", url, content=content) for content in contents]
        return await asyncio.gather(*map(made.handle_async_request, asked))

    return work


BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}


def test_a_connection_is_used_again() -> None:
    with FakeServer() as server:

        async def work(made: Connections) -> int:
            for _ in range(3):
                await posts(server, [json.dumps(BODY).encode()])(made)
            return len(server.open)

        assert with_connections(server.url, work) == 1


def test_there_are_as_many_connections_as_requests_at_once() -> None:
    with FakeServer() as server:
        server.faults.extend([Fault(seconds=0.5)] * 150)
        made = with_connections(server.url, posts(server, [json.dumps(BODY).encode()] * 150))

        assert {response.status_code for response in made} == {200}
        assert server.most_in_flight == 150


def test_a_large_body_arrives_whole() -> None:
    with FakeServer() as server:
        large = {**BODY, "padding": "x" * 3_000_000}
        with_connections(server.url, posts(server, [json.dumps(large).encode()]))

        assert server.bodies == [large]


def test_an_answer_that_was_packed_is_read() -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    with replying(head.encode() + packed) as (port, heard):
        assert got(f"http://127.0.0.1:{port}") == {"a": 1}

    assert b"gzip, deflate\r\n" in heard[0]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{",
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{"a"\r\n',
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
    ],
)
def test_what_breaks_off_is_said(reply: bytes) -> None:
    with replying(reply) as (port, _):
        error = got(f"http://127.0.0.1:{port}")

    assert isinstance(error, UnavailableError)
    assert "broke off in the middle of an answer; see the server's log" in str(error)


@pytest.mark.parametrize("reply", [b"hello\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"])
def test_what_is_no_http_is_said(reply: bytes) -> None:
    with replying(reply) as (port, _):
        error = got(f"http://127.0.0.1:{port}")

    assert isinstance(error, UnavailableError)
    assert "answers with something that is no HTTP; check the URL: http or https" in str(error)


@pytest.mark.parametrize(
    "error", [aiohttp.InvalidURL("http://x"), UnicodeError("label too long"), ValueError("a port")]
)
def test_a_url_that_cannot_be_asked_is_no_server_that_broke_off(error: Any) -> None:
    assert isinstance(connections._as_of_httpx(error), httpx.ConnectError)


def test_a_server_that_takes_no_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(30)

    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", never)
    error = got("http://127.0.0.1:9")

    assert isinstance(error, UnavailableError)
    assert "took no connection within 10 s; is it running?" in str(error)


def test_credentials_in_the_url_go_along_as_a_header() -> None:
    with replying(FINE) as (port, heard):
        assert got(f"http://me:a%20word@127.0.0.1:{port}/v1") == {"a": 1}

    assert heard[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"authorization: Basic bWU6YSB3b3Jk\r\n" in heard[0]


class TestProxies:
    @pytest.fixture(autouse=True)
    def _none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)

    @pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "127.0.0.1:{}"])
    @pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
    def test_one_that_the_environment_names_is_asked(
        self, monkeypatch: pytest.MonkeyPatch, form: str, name: str
    ) -> None:
        with replying(FINE) as (port, heard):
            monkeypatch.setenv(name, form.format(port))
            assert got("http://server.invalid/v1") == {"a": 1}

        assert heard[0].startswith(b"GET http://server.invalid/v1/models HTTP/1.1\r\n")

    def test_one_that_refuses_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with replying(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n") as (port, heard):
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:word@127.0.0.1:{port}")
            error = got("https://server.invalid/v1")

        assert heard[0].startswith(b"CONNECT server.invalid:443 ")
        assert "cannot be reached (the proxy answers 407); check the proxy" in str(error)

    @pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://me:word@127.0.0.1:9"])
    def test_one_that_cannot_be_used_is_said(
        self, monkeypatch: pytest.MonkeyPatch, proxy: str
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", proxy)
        error = got("http://server.invalid/v1")

        assert isinstance(error, UnavailableError)
        assert str(error).endswith("; check the proxy")
        assert "word" not in str(error)

    def test_none_leads_to_this_machine_or_to_one_that_is_excepted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", ".invalid")
        with replying(FINE) as (port, _):
            assert got(f"http://127.0.0.1:{port}") == {"a": 1}
        assert "is it running, and is the URL right?" in str(got("http://server.invalid:80/v1"))
