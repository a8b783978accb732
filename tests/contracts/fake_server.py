"""A fake model server on a real socket of this machine, whose faults a test chooses.

Also a program, for measurements: ``python -m tests.contracts.fake_server --latency 0.02`` prints
its URL and serves until its input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

from tests.contracts.dialects import OPENAI, Dialect
from tests.contracts.fake_model import Asked, answer, tokens


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets in place of its answer, or on top of it.

    Attributes:
        status: Of HTTP.
        body: Text, or JSON; by default the right answer.
        headers: Further ones.
        seconds: Wait before anything is sent, in seconds.
        sent: Bytes of the body that are sent before the connection is closed; by default all.
        drop: Whether the connection is closed without an answer.
    """

    status: int = 200
    body: str | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    sent: int | None = None
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a fake server is like.

    Attributes:
        dialect: What it speaks.
        models: Names that it serves.
        key: What it wants to see; empty for nothing.
        structured: Whether it holds schemas.
        latency: Seconds before each answer.
        context: Tokens of prompt and answer together.
    """

    dialect: Dialect = OPENAI
    models: tuple[str, ...] = ("small",)
    key: str = ""
    structured: bool = True
    latency: float = 0.0
    context: int = 4096


class FakeServer:
    """Serves in a thread of its own, between ``with`` and its end.

    Attributes:
        behaviour: As given; may be replaced.
        faults: For the next chat requests, one each; then all is well.
        bodies: Of all chat requests so far.
        paths: Of all requests so far, with their methods.
        most_in_flight: Chat requests that were open at the same time.
        gave_up: Chat requests whose caller went away before the answer.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.faults: deque[Fault] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.gave_up = threading.Semaphore(0)
        self.port = 0
        self.open: set[asyncio.Transport] = set()
        self._seen: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.behaviour.dialect.root}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def listen(self) -> None:
        """Begin to serve in the running loop; on the same port where it served before."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._listener.close()
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def respond(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Fault:
        """Return what a request gets where all is well."""
        b, speaks = self.behaviour, self.behaviour.dialect
        if b.key and speaks.key(headers) != b.key:
            return Fault(401, speaks.error(401, f"wrong key {speaks.key(headers)}"))
        if (method, path) == ("GET", f"{speaks.root}/models"):
            return Fault(200, speaks.models(b.models))
        if (method, path) != ("POST", speaks.root + speaks.path):
            return Fault(404, {"detail": "Not Found"})
        return self._chat(json.loads(body))

    def _chat(self, body: dict[str, Any]) -> Fault:
        b, speaks = self.behaviour, self.behaviour.dialect
        asked = speaks.read(body)
        if asked.model not in b.models:
            return Fault(404, speaks.error(404, f"The model `{asked.model}` does not exist."))
        if tokens(asked.prompt) + asked.max_tokens > b.context:
            words = f"This model's maximum context length is {b.context} tokens."
            return Fault(400, speaks.error(400, words))
        return Fault(200, speaks.write(asked, answer(self._as_held(asked)), self._cached(asked)))

    def _as_held(self, asked: Asked) -> Asked:
        if self.behaviour.structured:
            return asked
        return Asked(
            asked.model, asked.messages, None, asked.temperature, asked.seed, asked.max_tokens
        )

    def _cached(self, asked: Asked) -> int:
        """Return how many tokens of a prompt were seen before: all full blocks, or none."""
        seen = asked.prompt in self._seen
        self._seen.add(asked.prompt)
        return tokens(asked.prompt) // 16 * 16 if seen else 0


class Connection(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(" ")
        work = self._serve(method, path, headers, rest[:length])
        self._task = asyncio.get_running_loop().create_task(work)

    async def _serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        server = self._server
        server.paths.append(f"{method} {path}")
        if method == "GET":
            self._send(server.respond(method, path, headers, body))
            return
        server.bodies.append(json.loads(body))
        fault = server.faults.popleft() if server.faults else Fault()
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            await asyncio.sleep(server.behaviour.latency + fault.seconds)
        except asyncio.CancelledError:
            server.gave_up.release()
            raise
        finally:
            server.in_flight -= 1
        if fault.drop:
            self._transport.abort()
        elif fault.status == 200 and fault.body is None:
            right = server.respond(method, path, headers, body)
            self._send(Fault(right.status, right.body, fault.headers, sent=fault.sent))
        else:
            self._send(fault)

    def _send(self, what: Fault) -> None:
        is_text = isinstance(what.body, str)
        content = (
            what.body if isinstance(what.body, str) else json.dumps(what.body or {})
        ).encode()
        headers = {
            "content-type": "text/html" if is_text else "application/json",
            "content-length": str(len(content)),
            **what.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sent = content if what.sent is None else content[: what.sent]
        self._transport.write(f"HTTP/1.1 {what.status} Status\r\n{head}\r\n".encode() + sent)
        if what.sent is not None:
            self._transport.close()


async def _run(latency: float) -> None:
    server = FakeServer(Behaviour(latency=latency))
    await server.listen()
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--latency", type=float, default=0.02, help="seconds before an answer")
    asyncio.run(_run(options.parse_args().latency))
