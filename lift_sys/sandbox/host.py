"""The pool of local workers and the choice of a backend.

Owns ``create_sandbox``, the queue in front of the workers, their restart and their end.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import weakref

from lift_sys.errors import SandboxError, SandboxUnavailableError
from lift_sys.sandbox.answer import read_answer, stopped
from lift_sys.sandbox.base import Execution, Limits, Sandbox, Submission
from lift_sys.sandbox.worker import ALL_LAYERS, Worker, WorkerLostError, WorkerSpec
from lift_sys.verdict import Status

MAX_SOURCE_CHARS = 1_000_000
"""Longest source that is given to the compiler, in characters."""

RECYCLE_AFTER = 5000
"""Candidates after which a worker is replaced by a fresh one."""

REQUIRED_LAYERS = frozenset(("rlimits", "no_new_privileges", "landlock", "seccomp"))
"""What must hold before code is executed without ``unsafe``."""

_log = logging.getLogger(__name__)


class LocalSandbox:
    """Workers on this machine, shared by any number of threads."""

    def __init__(
        self, spec: WorkerSpec, *, workers: int = 1, recycle_after: int = RECYCLE_AFTER
    ) -> None:
        if workers < 1:
            msg = f"a sandbox needs at least one worker, not {workers}"
            raise ValueError(msg)
        self._spec = spec
        self._recycle_after = recycle_after
        self._live: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._finalizer = weakref.finalize(self, _close_all, self._live)
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers - 1):
            self._slots.put(None)
        first = self._new_worker()
        self.layers = dict(first.layers)
        self._slots.put(first)

    @property
    def description(self) -> str:
        """One line: the backend and the layers that are on."""
        on = [name for name, state in self.layers.items() if state == "on"]
        if "rlimits" in self._spec.layers:
            on.append("rlimits")
        return f"local zygote: {', '.join(sorted(on)) or 'no layers'}"

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Define the code and make the calls; see ``base.Sandbox``.

        Raises:
            SandboxError: The sandbox is closed, or two workers in a row were lost.
            ValueError: The arguments of a call are not the literal of a tuple.
        """
        limits = limits or Limits()
        if len(submission.code) > MAX_SOURCE_CHARS:
            message = f"the source is longer than {MAX_SOURCE_CHARS} characters"
            return stopped(submission, Status.SYNTAX_ERROR, message)
        request = json.dumps(
            {
                "code": submission.code,
                "entry_point": submission.entry_point,
                "calls": [(c.args, c.predicates, c.observe_args) for c in submission.calls],
                "parameters": submission.parameters,
            }
        ).encode()
        try:
            return self._ask(request, submission, limits)
        except WorkerLostError as error:
            if self._closed.is_set():
                raise
            _log.warning("%s; trying once more on a fresh worker", error)
            return self._ask(request, submission, limits)

    def _ask(self, request: bytes, submission: Submission, limits: Limits) -> Execution:
        worker = self._slots.get()
        try:
            if worker is not None and worker.served >= self._recycle_after:
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

    def _new_worker(self) -> Worker:
        if self._closed.is_set():
            msg = "the sandbox is closed"
            raise SandboxError(msg)
        worker = Worker(self._spec)
        with self._lock:
            if not self._closed.is_set():
                self._live.add(worker)
                return worker
        worker.close()
        msg = "the sandbox was closed while a worker was starting"
        raise SandboxError(msg)

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            self._live.discard(worker)
        worker.close()

    def close(self) -> None:
        """Stop every worker; idempotent."""
        with self._lock:
            self._closed.set()
        self._finalizer()

    def __enter__(self) -> LocalSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(live: set[Worker]) -> None:
    while live:
        live.pop().close()


def create_sandbox(*, workers: int = 1, unsafe: bool = False) -> Sandbox:
    """Return a sandbox with the strongest backend that works here.

    Args:
        workers: How many candidates may run at the same time.
        unsafe: Also return one whose layers do not hold.

    Raises:
        SandboxUnavailableError: No backend holds and ``unsafe`` is not set.
        SandboxError: The worker process cannot be started at all.
    """
    sandbox = LocalSandbox(WorkerSpec(layers=ALL_LAYERS), workers=workers)
    layers = {**sandbox.layers, "rlimits": "on"}
    missing = {name: layers[name] for name in sorted(REQUIRED_LAYERS) if layers[name] != "on"}
    if missing and not unsafe:
        sandbox.close()
        reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
        msg = (
            f"no sandbox holds on this machine ({reasons}); use Linux 5.13 or newer with Landlock "
            "and seccomp, or pass --unsafe to run generated code unprotected"
        )
        raise SandboxUnavailableError(msg)
    return sandbox
