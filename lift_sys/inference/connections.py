"""The connections to one server: opened when they are needed, and used again.

Owns how a request goes over the network. A request and its answer have the types of httpx, so that
a test may take the network's place; aiohttp carries them, at a third of what httpx itself costs.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import weakref
from contextlib import suppress
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

CONNECT_SECONDS = 10.0
"""Within which a server must take a connection, in seconds."""

IDLE_SECONDS = 30.0
"""How long an unused connection may be used again, in seconds."""

_CLOSE_SECONDS = 1.0
_open: weakref.WeakSet[Connections] = weakref.WeakSet()
_LARGE = 2**20  # bytes of a body beyond which aiohttp wants to read it piece by piece
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Connections(httpx.AsyncBaseTransport):
    """As many connections as there are requests at once; they belong to the running loop.

    Args:
        url: Of the server.

    Attributes:
        loop: The loop in which they were opened.

    Raises:
        httpx.ProxyError: The environment names a proxy of a kind that is not supported.
    """

    def __init__(self, url: httpx.URL) -> None:
        self.loop = asyncio.get_running_loop()
        self._proxy = _proxy_to(url)
        # Reading all certificates takes a while; without TLS there is nobody to trust.
        context = httpx.create_ssl_context() if url.scheme == "https" else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            auto_decompress=False,  # the response does that
        )
        weakref.finalize(self, _close_later, self.loop, self._session).atexit = False
        _open.add(self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the whole answer.

        Raises:
            httpx.TimeoutException: The server took no connection in time.
            httpx.ConnectError: It cannot be reached.
            httpx.ProxyError: The proxy does not let us through.
            httpx.RemoteProtocolError: What it sent is no HTTP.
            httpx.RequestError: It broke off.
        """
        body = request.content
        try:
            async with self._session.request(
                request.method,
                str(request.url),
                data=(io.BytesIO(body) if len(body) > _LARGE else body) or None,
                headers=request.headers.multi_items(),
                allow_redirects=False,
                proxy=self._proxy,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, ValueError) as error:
            raise _as_of_httpx(error) from error
        return httpx.Response(
            answer.status, headers=answer.raw_headers, content=content, request=request
        )

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        await self._session.close()


def _proxy_to(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a server; none leads to this machine."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or url.host in _LOOPBACK or proxy_bypass(url.netloc.decode("ascii")):
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme not in {"http", "https"}:
        msg = f"by a proxy that speaks {scheme}; only HTTP proxies are supported"
        raise httpx.ProxyError(msg)
    return proxy if separator else f"http://{proxy}"


def _as_of_httpx(error: aiohttp.ClientError | ValueError) -> httpx.RequestError:
    if isinstance(error, aiohttp.ServerTimeoutError):
        return httpx.ConnectTimeout(str(error))
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return httpx.ProxyError(f"the proxy answers {error.status}")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return httpx.ProxyError(str(error.os_error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError(str(error.os_error))
    if isinstance(error, aiohttp.InvalidURL) or not isinstance(error, aiohttp.ClientError):
        return httpx.ConnectError(str(error))
    if isinstance(error, aiohttp.ClientResponseError):
        return httpx.RemoteProtocolError(str(error))
    return httpx.ReadError(str(error))


def _close_later(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
    if loop.is_running() and not session.closed:
        asyncio.run_coroutine_threadsafe(session.close(), loop)


@atexit.register
def _close_all() -> None:
    for connections in list(_open):
        if connections.loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(connections.aclose(), connections.loop)
            with suppress(TimeoutError):
                closing.result(_CLOSE_SECONDS)
