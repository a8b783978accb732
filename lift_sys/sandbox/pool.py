"""The pool of workers: a queue in front of them, their restart and their end."""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Protocol

from lift_sys.errors import SandboxError
from lift_sys.sandbox.answer import read_answer, stopped
from lift_sys.sandbox.base import Execution, Limits, Submission
from lift_sys.sandbox.request import write_request
from lift_sys.sandbox.worker import Reply, WorkerLostError
from lift_sys.verdict import Status

MAX_SOURCE_CHARS = 1_000_000
"""Longest source that is given to the compiler, in characters."""

RECYCLE_AFTER = 5000
"""Candidates after which a worker is replaced by a fresh one."""

_USUAL_LIMITS = Limits()
_CLOSED = "the sandbox is closed"
_log = logging.getLogger(__name__)


class WorkerLike(Protocol):
    """What a pool needs of a worker: ``Worker``, or a remote one."""

    served: int
    layers: Mapping[str, str]

    def ask(self, submission: bytes, calls: int, limits: Limits) -> Reply:
        """Have a submission executed; raises ``WorkerLostError`` if the worker is lost."""
        ...

    def close(self) -> None:
        """End it; idempotent."""
        ...


class PooledSandbox:
    """Workers behind a queue, shared by any number of threads.

    Attributes:
        layers: Each layer the workers were asked for, and ``on`` or why it is not.
    """

    def __init__(
        self,
        start: Callable[[], WorkerLike],
        *,
        name: str = "local",
        workers: int = 1,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        if workers < 1:
            msg = f"a sandbox needs at least one worker, not {workers}"
            raise ValueError(msg)
        self._start = start
        self._name = name
        self._recycle_after = recycle_after
        self._live: set[WorkerLike] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._finalizer = weakref.finalize(self, _close_all, self._live)
        self._slots: queue.LifoQueue[WorkerLike | None] = queue.LifoQueue()
        for _ in range(workers - 1):
            self._slots.put(None)
        first = self._new_worker()
        self.layers = dict(first.layers)
        self._slots.put(first)

    @property
    def description(self) -> str:
        """One line: the backend and the layers that are on."""
        on = [name for name, state in self.layers.items() if state == "on"]
        return f"{self._name}: {', '.join(sorted(on)) or 'no layers'}"

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Define the code and make the calls; see ``base.Sandbox``.

        Raises:
            SandboxError: The sandbox is closed, or two workers in a row were lost.
            ValueError: The arguments of a call are not the literal of a tuple.
        """
        if self._closed.is_set():
            raise SandboxError(_CLOSED)
        limits = limits or _USUAL_LIMITS
        if len(submission.code) > MAX_SOURCE_CHARS:
            message = f"the source is longer than {MAX_SOURCE_CHARS} characters"
            return stopped(submission, Status.SYNTAX_ERROR, message)
        request = write_request(submission)
        try:
            return self._ask(request, submission, limits)
        except WorkerLostError as error:  # also one that left because its candidate was untidy
            if self._closed.is_set():
                raise SandboxError(_CLOSED) from error
            _log.info("%s; trying once more on a fresh worker", error)
            return self._ask(request, submission, limits, fresh=True)

    def _ask(
        self, request: bytes, submission: Submission, limits: Limits, *, fresh: bool = False
    ) -> Execution:
        worker = self._slots.get()
        try:
            if worker is not None and (fresh or worker.served >= self._recycle_after):
                self._drop(worker)
                worker = None
            if worker is None:
                worker = self._new_worker()
            reply = worker.ask(request, len(submission.calls), limits)
        except BaseException:  # KeyboardInterrupt too: what the worker would still send is lost
            if worker is not None:
                self._drop(worker)
                worker = None
            raise
        finally:
            self._slots.put(worker)
        return read_answer(reply, submission, limits)

    def _new_worker(self) -> WorkerLike:
        worker = self._start()
        with self._lock:
            if not self._closed.is_set():
                self._live.add(worker)
                return worker
        worker.close()
        raise SandboxError(_CLOSED)

    def _drop(self, worker: WorkerLike) -> None:
        with self._lock:
            self._live.discard(worker)
        worker.close()

    def close(self) -> None:
        """Stop every worker; idempotent."""
        with self._lock:
            self._closed.set()
        self._finalizer()

    def __enter__(self) -> PooledSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(live: set[WorkerLike]) -> None:
    while live:
        live.pop().close()
