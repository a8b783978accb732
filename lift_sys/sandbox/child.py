"""One forked child as its zygote sees it: started, watched, ended.

Owns the limits on a candidate: resource limits, wall times, bytes of output. The zygote reads no
value; it moves bytes and counts lines. Standard library only: this module is loaded inside.

What runs here for every candidate is written flat, with few objects: after a fork each page that
the zygote touches, be it only to count a reference, is a fault and a copy.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time

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

HOST_GONE = getattr(select, "POLLRDHUP", select.POLLHUP)
"""The event on the socket to the host that says that it is closed there."""

Caps = tuple[int, float, float, int, int]
"""What one submission may use: calls, seconds for a call, seconds in all, bytes of memory, bytes
of output."""

_TICK_MS = 10  # between looks at a child that has not finished
_MOST_CPU_SECONDS = 120
_PIPE_BYTES = 1 << 16  # what a read can give at most; asking for more would map memory
_MUCH = 1 << 15  # bytes at one look after which the next is not left to the tick
_KILL = int(signal.SIGKILL)
_POLLIN = select.POLLIN
_monotonic, _read, _close = time.monotonic, os.read, os.close


class Child:
    """A forked process that waits for its submission.

    Attributes:
        pid: Its process.
        lines: Complete lines it wrote, so far as it was watched.
        output: The bytes it wrote, likewise, at most the output limit.
    """

    __slots__ = ("_sink", "_source", "lines", "output", "pid")

    def __init__(self, pid: int, source: int, sink: int) -> None:
        self.pid = pid
        self.lines = 0
        self.output = bytearray()
        self._source: int | None = source  # the submission is written here
        self._sink = sink  # its lines are read here
        os.set_blocking(sink, False)

    def start(self, submission: bytes | bytearray, caps: Caps, *, limited: bool) -> None:
        """Set the limits that come with the submission and hand it over."""
        _, _, total_seconds, memory_bytes, _ = caps
        try:
            if limited and hasattr(resource, "prlimit"):
                cpu = int(total_seconds) + 2
                resource.prlimit(self.pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
                resource.prlimit(self.pid, resource.RLIMIT_CPU, (cpu, cpu))
            if self._source is not None:
                write_all(self._source, submission)
        except (ProcessLookupError, BrokenPipeError):
            pass  # it is gone already; watching it will tell
        self._close_source()

    def watch(self, poll: select.poll, caps: Caps) -> int:
        """Collect what the child writes until it is done or a limit is reached.

        Args:
            poll: On which the host is registered for ``HOST_GONE``; nothing else.
            caps: What the submission may use.

        Returns:
            How the child stopped being watched, e.g. ``wire.FINISHED``.
        """
        sink = self._sink
        poll.register(sink, 0)  # only its closing wakes us: lines are read at each tick
        try:
            return self._collect(poll, sink, caps)
        finally:
            poll.unregister(sink)

    def _collect(self, poll: select.poll, sink: int, caps: Caps) -> int:
        calls, call_seconds, total_seconds, memory_bytes, output_bytes = caps
        output, now = self.output, _monotonic()
        total_deadline, call_deadline = now + total_seconds, now + call_seconds
        while True:
            closed = False
            for descriptor, event in poll.poll(_TICK_MS):
                if descriptor != sink:  # nobody waits for the answer any more
                    self.end()
                    os._exit(0)
                closed = bool(event & ~_POLLIN)
            before = len(output)
            newlines = _drain(sink, output, output_bytes + 1)
            if len(output) > output_bytes:
                del output[output_bytes:]
                return OUTPUT_LIMIT
            now = _monotonic()
            if newlines:
                self.lines += newlines
                call_deadline = now + call_seconds
            if self.lines > calls:
                return FINISHED
            if closed:
                return EXITED
            if now >= total_deadline or now >= call_deadline:
                return CALL_TIMEOUT if call_deadline < total_deadline else TOTAL_TIMEOUT
            if WATCHES_MEMORY and resident_bytes(self.pid) > memory_bytes:
                return MEMORY_LIMIT
            poll.modify(sink, _POLLIN if len(output) - before >= _MUCH else 0)

    def end(self, grace: float = 0.0) -> int:
        """Kill and reap the child.

        Args:
            grace: How long it may take to end by itself, in seconds, before it is killed.

        Returns:
            Its exit code, or minus the signal that ended it.
        """
        self._close_source()
        _close(self._sink)
        pid = status = 0
        if grace:
            deadline = _monotonic() + grace
            while not pid and _monotonic() < deadline:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if not pid:
                    time.sleep(0.0003)
        if not pid:
            os.kill(self.pid, _KILL)
            _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _close_source(self) -> None:
        if self._source is not None:
            _close(self._source)
            self._source = None


def write_all(descriptor: int, content: bytes | bytearray) -> None:
    """Write everything to a descriptor that blocks."""
    while written := os.write(descriptor, content):
        if written == len(content):
            return
        content = content[written:]


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


def _drain(descriptor: int, output: bytearray, most: int) -> int:
    """Move what a pipe holds to the output, up to ``most`` bytes in all; return its newlines."""
    newlines = 0
    try:
        while (asked := min(most - len(output), _PIPE_BYTES)) > 0:
            part = _read(descriptor, asked)
            output += part
            newlines += part.count(b"\n")
            if len(part) < asked:  # the pipe is empty
                break
    except BlockingIOError:
        pass
    return newlines
