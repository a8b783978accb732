"""When a request to a server is tried again, after how long, and when it is asked for elsewhere.

Owns the rules alone: exponential backoff with jitter, what ``Retry-After`` may ask for, and where
an answer may be fetched later. Knows no provider and sends nothing.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

_NOT_NOW = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})


def worth_trying_again(status: int) -> bool:
    """Return whether the same request may succeed later, by the status that answered it."""
    return status in _NOT_NOW or (status >= 500 and status not in _NEVER)


def answered_later(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """Return what to ask where the same server has the answer later, else ``None``.

    Modal does so with a request that has waited for 150 seconds, as in a cold start. Headers hold a
    key, so nobody else is asked.
    """
    if response.status_code != 303 or "location" not in response.headers:
        return None
    try:
        url = request.url.join(response.headers["location"])
    except httpx.InvalidURL:
        return None
    if url.join("/") != request.url.join("/"):
        return None
    kept = [(k, v) for k, v in request.headers.items() if not k.startswith("content-")]
    return httpx.Request("GET", url, headers=kept)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast.

    Attributes:
        tries: Requests sent in all, at least 1.
        first: Longest wait before the second one, in seconds; each further one is twice as long.
        most: Longest wait of all, in seconds, whatever the server asks for.
        rng: Draws the jitter, so that callers who failed together do not come back together.
    """

    tries: int = 5
    first: float = 0.5
    most: float = 60.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def wait(self, failed: int, headers: Mapping[str, str] | None = None) -> float:
        """Return the seconds to wait.

        Args:
            failed: How many requests have failed, at least 1.
            headers: Of the last answer, where there was one; names in lower case.
        """
        backoff = min(self.most, self.first * 2.0 ** (failed - 1))
        asked = retry_after(headers or {}, time.time())
        if asked is None or asked <= 0:
            return backoff * self.rng.uniform(0.5, 1.0)
        return min(self.most, max(asked, backoff / 2) * self.rng.uniform(1.0, 1.1))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer's ``Retry-After`` asks for, or ``None``.

    A date is compared with the answer's own ``Date``, so it does not matter what this machine's
    clock says; it is negative where the date has passed.

    Args:
        headers: Of the answer; names in lower case, or a mapping that does not care.
        now: This machine's time, in seconds since 1970, for answers without a date.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _moment(text)
        if until is None:
            return None
        sent = _moment(headers.get("date", ""))
        return until - (now if sent is None else sent)
    return seconds if math.isfinite(seconds) else None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
