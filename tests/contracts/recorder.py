"""Recording what a real server answers over HTTP, and answering from that without the server.

Owns the form of a recording: JSON lines with method, path, request, status, headers and response,
one for each distinct request, sorted. What says where or when it was made, or with which key, is
left out: hosts, most headers, ids and clock times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from lift_sys.files import write_atomically
from lift_sys.record import Record, canonical_json

KEPT_HEADERS = ("content-type", "retry-after")
_LOCAL = frozenset({"created", "permission", "root", "system_fingerprint"})
"""Fields of answers that say where or when; nothing reads them."""


class Exchange(Record):
    """One request and its answer.

    Attributes:
        method: Of HTTP.
        path: Of the URL, without host and query.
        request: The body: JSON, or ``None`` where there was none.
        status: Of the answer.
        headers: Of the answer, those that are kept.
        response: The body: JSON, or text.
    """

    method: str
    path: str
    request: Any
    status: int
    headers: dict[str, str]
    response: Any

    @property
    def question(self) -> str:
        """What identifies the request."""
        return canonical_json([self.method, self.path, self.request])


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps what came back.

    Args:
        inner: Sends them.

    Attributes:
        exchanges: What was kept, by request; the first answer to equal ones stays.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport()
        self.exchanges: dict[str, Exchange] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and keep the answer; what got none is not kept."""
        sent = await request.aread()
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        await response.aclose()
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        exchange = Exchange(
            method=request.method,
            path=request.url.path,
            request=_body(sent) if sent else None,
            status=response.status_code,
            headers=kept,
            response=_without_id(_placeless(_body(content))),
        )
        self.exchanges.setdefault(exchange.question, exchange)
        return httpx.Response(response.status_code, headers=kept, content=content, request=request)

    async def aclose(self) -> None:
        """Close what sends."""
        await self._inner.aclose()


class Replay(httpx.AsyncBaseTransport):
    """Answers from recordings.

    Args:
        exchanges: The recordings.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._exchanges = {exchange.question: exchange for exchange in exchanges}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the recorded answer.

        Raises:
            LookupError: There is none for this request.
        """
        sent = await request.aread()
        question = canonical_json([request.method, request.url.path, _body(sent) if sent else None])
        found = self._exchanges.get(question)
        if found is None:
            msg = f"nothing is recorded for {question}; record anew with ./scripts/test-vllm"
            raise LookupError(msg)
        text = found.response if isinstance(found.response, str) else json.dumps(found.response)
        return httpx.Response(found.status, headers=found.headers, text=text, request=request)


def read(path: Path) -> list[Exchange]:
    """Return the recordings of a file.

    Raises:
        OSError: It cannot be read.
        ValidationError: A line is no recording.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Exchange.model_validate_json(line) for line in lines]


def write(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Replace the recordings of a file, sorted, so that what changed is seen in a comparison.

    Raises:
        StoreError: The disk refused.
    """
    rows = sorted(exchanges, key=lambda exchange: exchange.question)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{canonical_json(row.model_dump())}\n" for row in rows))


def _body(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _placeless(body: Any) -> Any:
    """Return an answer without what differs from one machine or time to the next."""
    if isinstance(body, list):
        return [_placeless(item) for item in body]
    if not isinstance(body, dict):
        return body
    return {key: _placeless(value) for key, value in body.items() if key not in _LOCAL}


def _without_id(body: Any) -> Any:
    """Return an answer without its own id; what is inside it keeps its ids, e.g. of models."""
    return {k: v for k, v in body.items() if k != "id"} if isinstance(body, dict) else body
