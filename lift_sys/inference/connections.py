"""The connections to one server: each carries one request at a time and is used again.

Owns when they are opened and closed. A pool of httpx looks through all its connections at every
request; with many at once that costs more than all the rest of a call, so each has a client of its
own here.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref

import httpx

CONNECT_SECONDS = 10.0
"""Within which a server must take a connection, in seconds."""

IDLE_SECONDS = 30.0
"""How long an unused connection may be used again, in seconds."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Connections:
    """As many connections as there are requests at once; they belong to the running loop.

    Args:
        url: Of the server.
        transport: What carries the requests in place of the network.

    Attributes:
        loop: The loop in which they were opened.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        where = httpx.URL(url)
        # Reading all certificates takes a while; without TLS there is nobody to trust.
        secure = where.scheme == "https" and transport is None
        self._context = (
            httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        # No proxy leads to this machine itself.
        self._proxied = where.host not in _LOOPBACK
        self._transport = transport
        self._idle: list[httpx.AsyncClient] = []
        self.loop = asyncio.get_running_loop()
        weakref.finalize(self, _close_later, self.loop, self._idle).atexit = False

    def take(self) -> httpx.AsyncClient:
        """Return a connection that nobody uses, the one used last first; give it back after use."""
        if self._idle:
            return self._idle.pop()
        return httpx.AsyncClient(
            transport=self._transport,
            verify=self._context,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            trust_env=self._proxied,
        )

    def give(self, client: httpx.AsyncClient) -> None:
        """Give a connection back."""
        self._idle.append(client)

    async def close(self) -> None:
        """Close those that nobody uses."""
        await _close(self._idle)


def _close_later(loop: asyncio.AbstractEventLoop, idle: list[httpx.AsyncClient]) -> None:
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(_close(idle), loop)


async def _close(idle: list[httpx.AsyncClient]) -> None:
    while idle:
        await idle.pop().aclose()
