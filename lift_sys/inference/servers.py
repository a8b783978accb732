"""Several servers that serve the same model: whom to ask next.

Owns the choice alone: the one with the fewest requests in flight, among those that are well. One
that could not answer is left out for a while and is asked for its health before it gets work again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Self, TypeVar

import httpx

from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.failures import EngineError, TimedOutError, UnavailableError
from lift_sys.inference.retries import Retries

REST_SECONDS = 10.0
"""How long a server that could not answer is left out, in seconds."""

HEALTH = "/models"
"""The path that tells whether a server is well."""

T = TypeVar("T")


class _Server:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.in_flight = 0
        self.sick = False
        self.rests_until = 0.0


class Servers:
    """Equal servers, at least one.

    Args:
        endpoints: In the order in which equally busy ones are asked.
        rest: How long a sick one is left out, in seconds.
    """

    def __init__(self, endpoints: Sequence[Endpoint], rest: float = REST_SECONDS) -> None:
        self._servers = [_Server(endpoint) for endpoint in endpoints]
        self._rest = rest

    @classmethod
    def at(
        cls,
        urls: Sequence[str],
        service: Service,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Self:
        """Return the servers at several URLs.

        Args:
            urls: At least one.
            service: What each is like, but for its URL.
            retries: Of each; by default fewer where there is another one to ask.
            transport: What carries the requests; a test's way to see them.

        Raises:
            ConfigError: A URL or the key cannot be used.
        """
        retries = retries or (Retries() if len(urls) == 1 else Retries(tries=2))
        return cls([Endpoint(replace(service, url=url), retries, transport) for url in urls])

    async def ask(self, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Let a server do some work; if it cannot answer, another one, until all were asked.

        Raises:
            TimedOutError: The one that was asked took too long; the time of the call is over.
            UnavailableError: None could answer; the error of the last one.
            EngineError: As ``work`` raises it.
        """
        asked: list[_Server] = []
        while True:
            server = await self._choose(asked)
            asked.append(server)
            server.in_flight += 1
            try:
                made = await work(server.endpoint)
            except UnavailableError as error:
                self._leave_out(server)
                if isinstance(error, TimedOutError) or len(asked) == len(self._servers):
                    raise
            else:
                server.sick = False
                return made
            finally:
                server.in_flight -= 1

    async def close(self) -> None:
        """Close the connections of all."""
        for server in self._servers:
            await server.endpoint.close()

    async def _choose(self, asked: list[_Server]) -> _Server:
        left = [server for server in self._servers if server not in asked]
        for server in left:
            await self._look_after(server)
        well = [server for server in left if not server.sick]
        if well:
            return min(well, key=lambda server: server.in_flight)
        return min(left, key=lambda server: server.rests_until)

    async def _look_after(self, server: _Server) -> None:
        """Ask a server that has rested how it is; it stays out while it is asked."""
        now = asyncio.get_running_loop().time()
        if not server.sick or now < server.rests_until or len(self._servers) == 1:
            return
        server.rests_until = now + self._rest
        try:
            await server.endpoint.get(HEALTH)
        except EngineError:
            return
        server.sick = False

    def _leave_out(self, server: _Server) -> None:
        server.sick = True
        server.rests_until = asyncio.get_running_loop().time() + self._rest
