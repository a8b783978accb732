"""Until when an answer is of use: whoever asks says it, and every engine that waits keeps to it.

Owns the moment, which follows the context as the ledger of ``usage`` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("lift_sys_until", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let engines that are asked inside give up after some seconds; the earlier moment holds."""
    until, outer = time.monotonic() + seconds, _until.get()
    token = _until.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _until.reset(token)


def left() -> float | None:
    """Return how many seconds an answer may still take, at least 0; ``None``: as long as it may."""
    until = _until.get()
    return None if until is None else max(0.0, until - time.monotonic())
