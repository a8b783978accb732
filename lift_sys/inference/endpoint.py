"""One HTTP server that answers with JSON: the way from a request to its answer or one sentence.

Owns time limits, retries and the words of every failure. Knows no provider: who asks
says which headers go along and where an error body keeps its message. Keys, and credentials in a
URL, are in the headers alone; they are removed from everything that is said, also where a server
repeats them.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from lift_sys.errors import ConfigError
from lift_sys.inference.connections import CONNECT_SECONDS, Connections
from lift_sys.inference.credentials import (
    basic,
    check_key,
    refuse_two,
    secrets_in,
    without_secrets,
)
from lift_sys.inference.deadline import at_most
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.retries import Retries, answered_later, worth_trying_again
from lift_sys.inference.server_words import does_not_fit, is_page, message_in, page_words

_SAID = 300  # characters of a server's words that are passed on

_HEADERS = {"content-type": "application/json", "accept-encoding": "gzip, deflate"}
_parsed = functools.lru_cache(maxsize=64)(httpx.URL)  # parsing costs a tenth of a call
_LONGEST_LABEL = 63  # characters of a host's name between two dots


@dataclass(frozen=True, slots=True)
class Service:
    """Whom an endpoint asks, and what it is called.

    Attributes:
        name: For a person, e.g. ``vLLM``.
        url: Paths are appended to it; empty where it is still to be named.
        key_name: Environment variable that a person sets the key in; empty where there is none.
        auth: Headers that hold the key; nothing in them is ever said.
        headers: Other headers.
        seconds: After which a call is given up, its retries and waits included.
        message_in: Finds the message in the JSON of an error.
    """

    name: str
    url: str = ""
    key_name: str = ""
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 300.0
    message_in: Callable[[Any], str] = message_in


class _Lost(Exception):  # noqa: N818 - an attempt that may be repeated, never seen outside
    """An attempt without an answer; ``error`` is what is raised if no other one succeeds."""

    def __init__(self, error: EngineError, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.headers = headers


class Endpoint:
    """A server, asked from any event loop; its connections belong to the loop that asks.

    Args:
        service: Whom to ask.
        retries: How often and how fast.
        transport: What carries the requests; a test's way to see them. It is not closed here.

    Raises:
        ConfigError: The URL or the key cannot be used.
    """

    def __init__(
        self,
        service: Service,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._service = service
        self._retries = retries or Retries()
        self._transport = transport
        url = _checked_url(service)
        self._headers = _checked_headers(service, url.userinfo)
        self._url = str(url.copy_with(userinfo=b"")).rstrip("/")
        self._keys = [text.split()[-1] for text in service.auth.values() if text]
        self._secrets = (*self._keys, *secrets_in(service.url))
        self._where = f"{service.name} at {self._url}"
        self._connections: Connections | None = None

    @property
    def where(self) -> str:
        """Who this is, for a person: the name and the URL without credentials."""
        return self._where

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a body and return the JSON object that answers it.

        Raises:
            PromptTooLongError: The server says that the prompt does not fit.
            StatusError: The server refuses the request, and would again.
            TimedOutError: No answer in time.
            UnavailableError: No answer after all retries.
        """
        content = json.dumps(body).encode("ascii")
        return await self._ask("POST", path, content, self._retries, self._service.seconds)

    async def get(self, path: str, seconds: float = 5.0) -> dict[str, Any]:
        """Return the JSON object at a path, asked for once; raises as ``post`` does."""
        return await self._ask("GET", path, None, Retries(tries=1), seconds)

    async def close(self) -> None:
        """Close the connections of the running loop; the next request opens new ones."""
        connections, self._connections = self._connections, None
        if connections is not None and connections.loop is asyncio.get_running_loop():
            await connections.aclose()

    async def _ask(
        self, method: str, path: str, content: bytes | None, retries: Retries, seconds: float
    ) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + at_most(seconds)
        failed = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._attempt(method, path, content)
            except TimeoutError:
                raise self._too_late(seconds) from None
            except _Lost as lost:
                failed += 1
                wait = retries.wait(failed, lost.headers)
                left = deadline - asyncio.get_running_loop().time()
                if failed >= retries.tries or wait >= left:
                    raise lost.error from None
            await asyncio.sleep(wait)

    async def _attempt(self, method: str, path: str, content: bytes | None) -> dict[str, Any]:
        url = _parsed(self._url + path)
        request = httpx.Request(method, url, content=content, headers=self._headers)
        try:
            response = await self._sent(request)
            while (later := answered_later(request, response)) is not None:
                request = later
                response = await self._sent(request)
        except httpx.TimeoutException:
            why = f"took no connection within {CONNECT_SECONDS:g} s"
            raise _Lost(self._unavailable(why, "is it running?")) from None
        except httpx.RequestError as error:
            raise _Lost(self._unavailable(*_connection_words(error))) from None
        if not response.is_success:
            raise self._refusal(path, response)
        return self._json(response)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        response = await (self._transport or self._here()).handle_async_request(request)
        await response.aread()
        return response

    def _here(self) -> Connections:
        """Return the connections of the running loop."""
        if self._connections is None or self._connections.loop is not asyncio.get_running_loop():
            self._connections = Connections(httpx.URL(self._url))
        return self._connections

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            data = json.loads(response.content)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
        if _is_page(response):
            why = f"answered with {page_words(response.text)}, not with JSON"
            raise StatusError(self._sentence(why, "check the URL"), response.status_code)
        why = "JSON that is broken or cut off" if response.content else "an empty body"
        raise _Lost(self._unavailable(f"answered with {why}", "see the server's log"))

    def _refusal(self, path: str, response: httpx.Response) -> Exception:
        """Return what to raise for a status that is no success."""
        status, said = response.status_code, self._said(response)
        if worth_trying_again(status):
            why = f"cannot answer now ({status}){said and f': {said}'}"
            return _Lost(self._unavailable(why, "try again later"), response.headers)
        if does_not_fit(status, said):
            why = f"says that the prompt does not fit ({status}){said and f': {said}'}"
            return PromptTooLongError(self._sentence(why, "shorten it, or ask for fewer tokens"))
        why, remedy = self._refusal_words(path, response)
        return StatusError(self._sentence(f"{why}{said and f': {said}'}", remedy), status, said)

    def _refusal_words(self, path: str, response: httpx.Response) -> tuple[str, str]:
        status = response.status_code
        if status in {401, 403}:
            name = self._service.key_name
            remedy = f"set the right key in {name}" if name else "name its key in the model's entry"
            if self._secrets and not self._keys:
                return f"refuses the password in its URL ({status})", "correct it"
            refused = "refuses the key" if self._keys else "wants a key and none was sent"
            return f"{refused} ({status})", remedy
        if status == 404:
            return f"does not know {path} or the model (404)", "check the URL and the model's name"
        if response.has_redirect_location:
            target = response.headers["location"]
            return f"sends us on to {target} ({status})", "write the final URL"
        return f"refuses the request ({status})", "correct the request"

    def _said(self, response: httpx.Response) -> str:
        """Return the server's own words about a failure, short and without secrets."""
        try:
            text = self._service.message_in(json.loads(response.content))
        except (ValueError, RecursionError):
            text = page_words(response.text) if _is_page(response) else response.text
        # A secret that is cut off would not be recognised.
        return without_secrets(" ".join(text.split()), self._secrets)[:_SAID]

    def _unavailable(self, why: str, remedy: str) -> UnavailableError:
        return UnavailableError(self._sentence(why, remedy))

    def _too_late(self, seconds: float) -> TimedOutError:
        why = f"gave no answer within {seconds:g} s"
        return TimedOutError(self._sentence(why, "raise the model's timeout or ask for less"))

    def _sentence(self, why: str, remedy: str) -> str:
        return without_secrets(f"{self._where} {why.rstrip('.')}; {remedy}", self._secrets)


def _checked_url(service: Service) -> httpx.URL:
    try:
        url = httpx.URL(service.url.strip())
    except (httpx.InvalidURL, TypeError):
        url = None
    if url is None or url.scheme not in {"http", "https"} or not _has_host(url) or url.query:
        shown = without_secrets(service.url).partition("?")[0]
        msg = f"{shown!r} is no URL of {service.name}; write one such as http://HOST:8000/v1"
        raise ConfigError(msg)
    return url


def _has_host(url: httpx.URL) -> bool:
    labels = url.raw_host.rstrip(b".").split(b".")
    return bool(url.host) and max(map(len, labels)) <= _LONGEST_LABEL and (url.port or 1) < 2**16


def _checked_headers(service: Service, userinfo: bytes) -> httpx.Headers:
    for text in service.auth.values():
        check_key(text, service.name, service.key_name)
    headers = {**_HEADERS, **service.headers, **service.auth}
    if userinfo:
        if service.auth.get("authorization"):
            refuse_two(service.name, service.url, service.key_name)
        headers["authorization"] = basic(userinfo)
    return httpx.Headers(headers)


def _connection_words(error: httpx.RequestError) -> tuple[str, str]:
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({error})", "is it running, and is the URL right?"
    if isinstance(error, httpx.ProxyError):
        return f"cannot be reached ({error})", "check the proxy"
    if isinstance(error, httpx.RemoteProtocolError):
        return (
            "answers with something that is no HTTP",
            "check the URL: http or https, and the port",
        )
    remedy = "see the server's log, and whether the URL is http or https"
    return "broke off in the middle of an answer", remedy


def _is_page(response: httpx.Response) -> bool:
    return "text/html" in response.headers.get("content-type", "") or is_page(response.text)
