"""A circuit breaker: a backend that keeps failing is left alone for a while.

Owns the rule and one breaker for each model of this process. After some failures in a row nothing
is asked for a while (open). Then one call is let through (half-open), and what becomes of it
decides whether the others follow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from lift_sys.errors import ProviderError
from lift_sys.inference.failures import (
    CancelledError,
    PromptTooLongError,
    StatusError,
    UnavailableError,
)

FAILURES = 3
"""Failures in a row after which a backend is left alone."""

REST = 30.0
"""Seconds for which it is left alone."""

_breakers: dict[str, Breaker] = {}
_making = threading.Lock()


class RestingError(UnavailableError):
    """The backend was not asked, because it failed several times just now."""


class Breaker:
    """Watches the calls of one backend; threads may share it.

    Args:
        failures: In a row, after which nothing is asked, at least 1.
        rest: Seconds for which nothing is asked.
        clock: Tells seconds.
    """

    def __init__(
        self,
        failures: int = FAILURES,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._since = 0.0
        self._probing = False

    def watch(self) -> AbstractContextManager[None]:
        """Let a call through, and learn from what becomes of it in the context that is returned.

        A prompt that is too long or a request that a server refuses says nothing against it; a call
        that the caller gave up says nothing at all.

        Raises:
            RestingError: The backend is left alone.
        """
        return self._watching(probe=self._admit())

    @contextmanager
    def _watching(self, *, probe: bool) -> Iterator[None]:
        try:
            yield
        except (PromptTooLongError, StatusError):
            self._answered()
            raise
        except CancelledError:
            raise
        except ProviderError:
            self._count()
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def _admit(self) -> bool:
        """Return whether the call decides about those that follow."""
        with self._lock:
            if self._failed < self._most:
                return False
            wait = self._since + self._rest - self._clock()
            if wait > 0 or self._probing:
                when = f"in {wait:.0f} s" if wait > 0 else "once a call that is on its way is back"
                msg = f"it failed {self._failed} times in a row; it is asked again {when}"
                raise RestingError(msg)
            self._probing = True
            return True

    def _answered(self) -> None:
        with self._lock:
            self._failed = 0

    def _count(self) -> None:
        with self._lock:
            self._failed += 1
            self._since = self._clock()


def breaker_of(model_id: str) -> Breaker:
    """Return the breaker of a model in this process, the same one whoever asks."""
    with _making:
        return _breakers.setdefault(model_id, Breaker())
