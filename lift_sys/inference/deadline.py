"""Until when an answer is of use: whoever asks says it, and every engine that waits keeps to it.

Owns that moment, and the one at which a call of a backend ends that may take several requests.
Both follow the context, as the ledger of ``usage`` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float | None] = ContextVar("lift_sys_until", default=None)
_call_ends: ContextVar[float | None] = ContextVar("lift_sys_call_ends", default=None)


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


@contextmanager
def one_call(seconds: float) -> Iterator[None]:
    """Let all requests of one call end within some seconds from now.

    They ask ``at_most`` for their time, so that the one that is late says so itself.
    """
    token = _call_ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _call_ends.reset(token)


def at_most(seconds: float) -> float:
    """Return the seconds that a request may take, at least 0: those given, or less to the end."""
    ends = _call_ends.get()
    return seconds if ends is None else max(0.0, min(seconds, ends - time.monotonic()))
