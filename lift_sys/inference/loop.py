"""One event loop for all backends that wait: a daemon thread, started when it is first needed.

Owns how synchronous and asynchronous callers reach it. A backend's connections belong to this loop,
whoever calls, so they are opened once per process.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

# By process: threads do not survive a fork.
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_starting = threading.Lock()


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine in the loop; cancelling the future cancels it there."""
    return asyncio.run_coroutine_threadsafe(work, _running_loop())


def _running_loop() -> asyncio.AbstractEventLoop:
    with _starting:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="inference", daemon=True).start()
        return loop
