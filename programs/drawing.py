"""Drawing candidates: as many at once as the backend takes, with the choice of one at a time.

Owns the batches and their threads. Each candidate depends on its index alone, and candidates are
looked at in the order of their indices, so what is drawn together never decides what is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import NamedTuple

from programs.attempts import Attempt
from programs.versions import Trace


class Candidate(NamedTuple):
    """An attempt, and the steps that made it as DSPy traces them."""

    attempt: Attempt
    trace: Trace

    def numbered(self, index: int) -> Candidate:
        """Return the same candidate under another index."""
        return Candidate(self.attempt.model_copy(update={"index": index}), self.trace)


def draw_candidates(
    make: Callable[[int], Candidate],
    enough: Callable[[Sequence[Attempt]], bool],
    n: int,
    concurrency: int = 1,
) -> list[Candidate]:
    """Make candidates until there are enough.

    Candidates of the last batch behind the one that was enough are dropped, whether they failed or
    not: one at a time, they would not have been made. What they cost is recorded.

    Args:
        make: Makes the candidate of an index; called from several threads.
        enough: Asked after each candidate, with the attempts up to it.
        n: Most candidates, at least 1.
        concurrency: Most candidates made at the same time, at least 1.

    Raises:
        LiftError: Making a candidate that is needed raised it.
    """
    drawn: list[Candidate] = []
    for start in range(0, n, concurrency):
        for candidate in _batch(make, range(start, min(start + concurrency, n))):
            drawn.append(candidate)
            if enough([c.attempt for c in drawn]):
                return drawn
    return drawn


def _batch(make: Callable[[int], Candidate], indices: range) -> Iterator[Candidate]:
    """Yield the candidates in order, all made before the first is yielded."""
    if len(indices) == 1:
        yield make(indices[0])
        return
    threads = ThreadPoolExecutor(len(indices))
    try:
        # A thread begins with an empty context: DSPy's settings and the usage ledger are in it.
        futures = [threads.submit(copy_context().run, make, index) for index in indices]
        wait(futures)
    finally:
        # After an interruption nobody wants to wait for the calls that are still running.
        threads.shutdown(wait=False, cancel_futures=True)
    for future in futures:
        yield future.result()
