"""Running tasks ahead of the one whose row is wanted next.

Owns the threads in which tasks run where the backend answers several requests at once, and how far
they run ahead. Rows are taken in order. Which tasks have been begun when a row is taken depends on
the number of slots alone, never on which of them happened to finish first, so the same job executes
the same tasks whatever the timing.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Ahead:
    """How far tasks run ahead of the row that is taken next; one slot runs nothing ahead.

    Attributes:
        slots: Requests that the backend answers at the same time, at least 1.
    """

    slots: int

    @property
    def of_one(self) -> int:
        """Most tasks of one program that have been begun and not taken, at least 1.

        So many are run in vain when a program is given up.
        """
        return self.slots

    @property
    def of_all(self) -> int:
        """Most tasks of all programs together: twice the slots, so that a slow one idles none."""
        return 2 * self.slots if self.slots > 1 else 1

    def programs(self, tasks: int) -> int:
        """Return how many programs with so many tasks fill the slots while one comes to its end."""
        return 1 + math.ceil(self.of_all / min(tasks, self.of_one)) if self.slots > 1 else 1


@dataclass(frozen=True)
class Begun(Generic[Result]):
    """A piece of work that has been begun, or will be done when its result is taken.

    Attributes:
        take: Returns the result, as soon as there is one; raises what the work raised.
        reused: Whether the work is done for somebody else, or was done before.
    """

    take: Callable[[], Result]
    reused: bool


class Threads(Generic[Result]):
    """Threads that work by key: work that is being done is not begun a second time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pool: ThreadPoolExecutor | None = None
        self._running: dict[str, Future[Result]] = {}

    def begin(
        self,
        key: str,
        stored: Callable[[], Result | None],
        work: Callable[[], Result],
        slots: Callable[[], int],
    ) -> Begun[Result]:
        """Begin a piece of work; with one slot it is done when its result is taken.

        Args:
            key: Equal work has equal keys.
            stored: Returns the result, if the work was done before.
            work: Does it, and stores the result.
            slots: What the threads keep busy; asked only when there is something to do.
        """
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return Begun(running.result, reused=True)
            result = stored()
            if result is not None:
                found = result
                return Begun(lambda: found, reused=True)
            count = slots()
            if count == 1:
                return Begun(work, reused=False)
            # More threads than slots: one that stores its result must not leave its slot idle.
            self._pool = self._pool or ThreadPoolExecutor(Ahead(count).of_all)
            # A thread begins with an empty context: DSPy's settings and the ledger are in it.
            future = self._pool.submit(copy_context().run, work)
            self._running[key] = future
            future.add_done_callback(lambda _: self._running.pop(key, None))
            return Begun(future.result, reused=False)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Leave no work running behind: what was paid for is stored when this ends.

        After a failure, what no thread has begun is not done any more; after an interruption
        nobody waits either.
        """
        try:
            yield
        except BaseException as error:
            for future in self._unfinished():
                future.cancel()
            if isinstance(error, Exception):
                wait(self._unfinished())
            raise
        wait(self._unfinished())

    def _unfinished(self) -> list[Future[Result]]:
        with self._lock:
            return list(self._running.values())
