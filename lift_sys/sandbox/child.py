"""One forked child as its zygote sees it: started, watched, ended.

Owns the limits on a candidate: resource limits, wall times, bytes of output. The zygote reads no
value; it moves bytes and counts lines. Standard library only: this module is loaded inside.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import NamedTuple

from lift_sys.sandbox.macos import resident_bytes
from lift_sys.sandbox.wire import (
    CALL_TIMEOUT,
    EXITED,
    FINISHED,
    MEMORY_LIMIT,
    OUTPUT_LIMIT,
    TOTAL_TIMEOUT,
)

FILE_BYTES, OPEN_FILES = 16 << 20, 64
"""Largest file a candidate may write, and its most open descriptors."""

WATCHES_MEMORY = sys.platform == "darwin"
"""Whether resident memory is looked at, because the system keeps no limit on address space."""

_HOST_GONE = getattr(select, "POLLRDHUP", select.POLLHUP)
_TICK = 0.01  # seconds between looks at a child that has not finished
_MOST_CPU_SECONDS = 120
_MUCH = 1 << 15  # bytes at one look after which the next is not left to the tick


class Caps(NamedTuple):
    """What one submission may use: seconds, bytes, and the number of its calls."""

    calls: int
    call_seconds: float
    total_seconds: float
    memory_bytes: int
    output_bytes: int


class Ending(NamedTuple):
    """How a child stopped being watched."""

    how: int
    lines: int
    output: bytes


class Child:
    """A forked process that waits for its submission."""

    def __init__(self, pid: int, source: int, sink: int) -> None:
        self.pid = pid
        self._source: int | None = source  # the submission is written here
        self._sink = sink  # its lines are read here
        os.set_blocking(sink, False)

    def start(self, submission: bytes, caps: Caps, *, limited: bool) -> None:
        """Set the limits that come with the submission and hand it over."""
        if limited and hasattr(resource, "prlimit"):
            cpu = int(caps.total_seconds) + 2
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self.pid, resource.RLIMIT_AS, (caps.memory_bytes,) * 2)
                resource.prlimit(self.pid, resource.RLIMIT_CPU, (cpu, cpu))
        with contextlib.suppress(BrokenPipeError):
            view = memoryview(submission)
            while view and self._source is not None:
                view = view[os.write(self._source, view) :]
        self._close_source()

    def watch(self, host: socket.socket, caps: Caps) -> Ending:
        """Collect what the child writes until it is done or a limit is reached."""
        poll = select.poll()
        poll.register(self._sink, 0)  # only its closing wakes us: lines are read at each tick
        poll.register(host, _HOST_GONE)
        now = time.monotonic()
        total_deadline, call_deadline = now + caps.total_seconds, now + caps.call_seconds
        output, lines = bytearray(), 0
        while True:
            events = dict(poll.poll(_TICK * 1000))
            if host.fileno() in events:  # nobody waits for the answer any more
                self.end()
                os._exit(0)
            fresh = _drain(self._sink, caps.output_bytes + 1 - len(output))
            output += fresh
            if len(output) > caps.output_bytes:
                return Ending(OUTPUT_LIMIT, lines, bytes(output[: caps.output_bytes]))
            now = time.monotonic()
            if newlines := fresh.count(b"\n"):
                lines += newlines
                call_deadline = now + caps.call_seconds
            if lines > caps.calls:
                return Ending(FINISHED, lines, bytes(output))
            if events.get(self._sink, 0) & ~select.POLLIN:
                return Ending(EXITED, lines, bytes(output))
            if now >= min(call_deadline, total_deadline):
                how = CALL_TIMEOUT if call_deadline < total_deadline else TOTAL_TIMEOUT
                return Ending(how, lines, bytes(output))
            if WATCHES_MEMORY and resident_bytes(self.pid) > caps.memory_bytes:
                return Ending(MEMORY_LIMIT, lines, bytes(output))
            poll.modify(self._sink, select.POLLIN if len(fresh) >= _MUCH else 0)

    def end(self, grace: float = 0.0) -> int:
        """Kill and reap the child.

        Args:
            grace: How long it may take to end by itself, in seconds, before it is killed.

        Returns:
            Its exit code, or minus the signal that ended it.
        """
        self._close_source()
        os.close(self._sink)
        deadline = time.monotonic() + grace
        pid = status = 0
        while not pid and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                time.sleep(0.0003)
        if not pid:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _close_source(self) -> None:
        if self._source is not None:
            os.close(self._source)
            self._source = None


def limit_resources() -> None:
    """Set the limits that are the same for every candidate; called in the child."""
    if not hasattr(resource, "prlimit"):  # else the zygote sets it, to fit the submission
        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_SECONDS, _MOST_CPU_SECONDS))
    for name, most in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_FSIZE", FILE_BYTES),
        ("RLIMIT_NOFILE", OPEN_FILES),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),  # not on macOS
    ):
        what = getattr(resource, name, None)
        if what is not None:
            resource.setrlimit(what, (most, most))


def _drain(descriptor: int, most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0:
        try:
            part = os.read(descriptor, min(most, 1 << 20))
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
