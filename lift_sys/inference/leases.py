"""Who makes what several want: one at a time, known by its key.

Owns the rule. An answer, a row or a trial that two threads or two processes need is made by the
one that holds its lease; the others wait and take what it left in the store. A holder that dies
loses its lease after a while, and the next one makes the thing instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

Made = TypeVar("Made")


class Leases(Protocol):
    """Who holds what. At any time at most one holds a key, across all who share it."""

    def hold(self, key: str) -> AbstractContextManager[bool]:
        """Hold a key while the context lasts, if nobody else does.

        It gives whether the key is held. If not, a while has passed, unspecified but short: look
        whether what is wanted is there by now, and ask again.
        """
        ...


class Alone:
    """The leases of a process that shares its store with nobody."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, key: str) -> Iterator[bool]:
        """Hold a key, once it is free."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._held)
            self._held.add(key)
        try:
            yield True
        finally:
            with self._changed:
                self._held.discard(key)
                self._changed.notify_all()


def once(
    leases: Leases, key: str, get: Callable[[], Made | None], make: Callable[[], Made]
) -> Made:
    """Return what a store has, or else make it, while all others who want it wait.

    Args:
        leases: Of all who share the store.
        key: Of the lease.
        get: Looks into the store.
        make: Makes it and puts it there. What it raises leaves the lease free for the next one.
    """
    found = get()
    while found is None:
        with leases.hold(key) as held:
            found = get()
            if found is None and held:
                found = make()
    return found
