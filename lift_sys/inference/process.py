"""What the native server needs of the operating system: a private line, and untouched signals."""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@contextmanager
def callers_signals() -> Iterator[None]:
    """Put back the process's own handlers of SIGINT and SIGTERM afterwards.

    The native server replaces them below Python's notice; ``signal.signal`` could restore them
    from the main thread only, so the C library's own call is used.
    """
    if os.name != "posix":
        yield
        return
    library = ctypes.CDLL(None)
    # Larger than any platform's struct sigaction, whose layout does not matter here.
    saved = {s: ctypes.create_string_buffer(1024) for s in (signal.SIGINT, signal.SIGTERM)}
    for number, action in saved.items():
        library.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in saved.items():
            library.sigaction(int(number), action, None)
