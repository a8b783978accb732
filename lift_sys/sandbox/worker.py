"""One worker as the host sees it: a process with a zygote in it, and the socket to it.

Owns starting, asking and ending that process. The host never forks for a candidate: it starts the
zygote once, as a new program, and from then on only exchanges bytes with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lift_sys.errors import SandboxError
from lift_sys.sandbox import wire, zygote
from lift_sys.sandbox.base import Limits

ALL_LAYERS = frozenset(
    (
        "rlimits",
        "parent_death",
        "no_new_privileges",
        "non_dumpable",
        "no_capabilities",
        "landlock",
        "seccomp",
    )
)
"""Everything a worker can do to confine itself, without help from outside."""

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC0",
    "PYTHONUTF8": "1",
    # Else the linker looks functions up when first called, in every forked child anew.
    "LD_BIND_NOW": "1",
}
"""The environment of a worker."""

_START_SECONDS = 20.0
_GRACE_SECONDS = 10.0
_USUAL_BYTES = 1 << 16
_READABLE = ("/usr/share/zoneinfo", "/etc/ld.so.cache")


class WorkerLostError(SandboxError):
    """The worker's process died, hung or broke the protocol."""


def base_interpreter() -> str:
    """Return the interpreter itself, also inside a virtual environment."""
    found = getattr(sys, "_base_executable", None) or sys.executable
    return str(Path(found).resolve())


@dataclass(frozen=True)
class WorkerSpec:
    """How to start a worker.

    Attributes:
        layers: Which of ``ALL_LAYERS`` to turn on.
        prefix: Command in front of Python's, for a backend that wraps the process.
        python: The interpreter, as seen behind the prefix.
        script: The zygote's file, as seen behind the prefix.
        scratch: Directory that candidates may write to, as seen behind the prefix.
        readable: What else candidates may read, as seen behind the prefix.
        own_namespaces: Whether the prefix puts the worker in namespaces of its own.
    """

    layers: frozenset[str] = ALL_LAYERS
    prefix: tuple[str, ...] = ()
    python: str = field(default_factory=base_interpreter)
    script: str = zygote.__file__
    scratch: str | None = None
    readable: tuple[str, ...] = ()
    own_namespaces: bool = False

    def command(self, descriptor: int) -> list[str]:
        """Return the command line of a worker whose socket is the given descriptor."""
        config = {
            "layers": sorted(self.layers),
            "readable": [*_READABLE, *self.readable],
            "scratch": self.scratch,
        }
        flags = ["-s", "-S", "-P", "-B"]
        arguments = [self.script, str(descriptor), json.dumps(config)]
        return [*self.prefix, self.python, *flags, *arguments]


@dataclass(frozen=True)
class Reply:
    """What the zygote says of one submission.

    Attributes:
        how: One of the zygote's endings, e.g. ``wire.FINISHED``.
        code: Exit code, or minus a signal, where the child ended by itself.
        output: The bytes it wrote, at most the output limit.
        seconds: Wall time.
    """

    how: int
    code: int
    output: bytes
    seconds: float


class Worker:
    """A running zygote; used by one thread at a time."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.served = 0
        self._owner = os.getpid()
        ours, theirs = socket.socketpair()
        try:
            self._process = _start(spec, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        try:
            self.layers = self._greet()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process started by the host (the zygote, or what wraps it)."""
        return self._process.pid

    def ask(self, submission: bytes, calls: int, limits: Limits) -> Reply:
        """Have a submission executed.

        Raises:
            WorkerLostError: The worker did not answer as agreed; it must be closed.
        """
        if os.getpid() != self._owner:
            msg = "a sandbox cannot be used after a fork; create one in the new process"
            raise SandboxError(msg)
        request = wire.REQUEST.pack(
            len(submission),
            calls,
            limits.call_seconds,
            limits.total_seconds,
            limits.memory_bytes,
            limits.output_bytes,
        )
        try:
            self._socket.settimeout(limits.total_seconds + _GRACE_SECONDS)
            self._socket.sendall(request + submission)
            reply = self._reply(limits)
        except OSError as error:
            msg = f"a sandbox worker was lost ({error or type(error).__name__})"
            raise WorkerLostError(msg) from error
        self.served += 1
        return reply

    def _reply(self, limits: Limits) -> Reply:
        header = wire.REPLY.size
        received = b""
        while len(received) < header:
            received += self._receive_some(_USUAL_BYTES)  # usually all of it
        how, code, _, size, seconds = wire.REPLY.unpack_from(received)
        left = header + size - len(received)
        if size > limits.output_bytes or how > wire.MEMORY_LIMIT or left < 0:
            msg = "a sandbox worker broke the protocol"
            raise WorkerLostError(msg)
        return Reply(how, code, received[header:] + self._receive(left), seconds)

    def close(self) -> None:
        """End the process and what runs in it; idempotent."""
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        if os.getpid() != self._owner:
            self._process.returncode = 0  # a fork of the host: the worker is not its own
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    def _greet(self) -> Mapping[str, str]:
        self._socket.settimeout(_START_SECONDS)
        try:
            (size,) = wire.HELLO.unpack(self._receive(wire.HELLO.size))
            greeting = json.loads(self._receive(min(size, 1 << 16)))
            layers: dict[str, str] = greeting["layers"]
        except (OSError, ValueError, KeyError, WorkerLostError) as error:
            msg = f"a sandbox worker did not start: {self._last_words() or error}"
            raise WorkerLostError(msg) from error
        if self._process.stderr is not None:
            self._process.stderr.close()
        return layers

    def _last_words(self) -> str:
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._process.kill()
        stderr: IO[bytes] | None = self._process.stderr
        text = stderr.read() if stderr is not None else b""
        lines = text.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else f"exit status {self._process.wait()}"

    def _receive(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = self._receive_some(min(size, 1 << 20))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _receive_some(self, most: int) -> bytes:
        part = self._socket.recv(most)
        if not part:
            msg = "a sandbox worker ended"
            raise WorkerLostError(msg)
        return part


def start_worker(spec: WorkerSpec) -> Worker:
    """Start a worker as the specification says; the usual factory of a pool."""
    return Worker(spec)


def _start(spec: WorkerSpec, theirs: socket.socket) -> subprocess.Popen[bytes]:
    command = spec.command(theirs.fileno())
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and script
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,  # the terminal's Ctrl-C is for the host alone
        )
    except OSError as error:
        msg = f"a sandbox worker did not start: {error}"
        raise WorkerLostError(msg) from error
