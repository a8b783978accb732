"""The run directory: everything a job did, readable, append-only, safe against being killed.

Owns the files of a run:

    config.json        what was asked, resolved
    environment.json   versions and machine
    rows.jsonl         one executed task a line, flushed to disk before it counts
    ledger.jsonl       what each generated answer cost, a line before the answer is kept
    calls.jsonl        one generated answer a line, likewise
    pool.json          the demo sets and the candidates for instructions
    study.journal      the trials (Optuna's journal)
    invocations.jsonl  one line for each time the job was run to its end
    report.json/.md    the final table; of measurements, the last one's
    best.json          the artifact
    front/trial-N.json one artifact for each program of the Pareto front, where costs are kept low

A line that a crash cut off is dropped when the file is opened again. Whole files are written
beside their place and moved into it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from pydantic import ValidationError

from lift_sys.errors import StoreError
from lift_sys.files import write_atomically
from lift_sys.inference.ledger import LedgerEntry
from lift_sys.inference.replay import StoredCall
from lift_sys.record import canonical_json
from optimizers.evaluate import Row


class RunDirectory:
    """A run's files.

    Args:
        path: The directory; made if it is missing.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make the run directory {path}: {error.strerror}"
            raise StoreError(msg) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            StoreError: Another process is working on it.
        """
        with _opened_lock(self.path / ".lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                msg = f"another process is working on the run {self.path}; wait for it or stop it"
                raise StoreError(msg) from error
            yield

    def write(self, name: str, text: str) -> Path:
        """Write a whole file atomically and return its path.

        Raises:
            StoreError: The disk refused; the old file, if any, is still there.
        """
        return write_atomically(self.path / name, text)

    def note_invocation(self, seconds: float, engine_seconds: float) -> None:
        """Append what running the job to its end took this time, both in seconds.

        Raises:
            StoreError: The disk refused.
        """
        line = canonical_json({"seconds": seconds, "engine_seconds": engine_seconds})
        append_line(self.path / "invocations.jsonl", line)

    def rows(self) -> KeyedLines[Row]:
        """Open the rows."""
        return KeyedLines(self.path / "rows.jsonl", Row)

    def calls(self) -> KeyedLines[StoredCall]:
        """Open the generated answers."""
        return KeyedLines(self.path / "calls.jsonl", StoredCall)

    def ledger(self) -> KeyedLines[LedgerEntry]:
        """Open what the answers cost."""
        return KeyedLines(self.path / "ledger.jsonl", LedgerEntry)


Entry = TypeVar("Entry", Row, StoredCall, LedgerEntry)


class KeyedLines(Generic[Entry]):
    """Entries by key, kept as JSON lines; threads may share them.

    Args:
        path: The file; need not exist.
        kind: What an entry is.

    Raises:
        StoreError: It cannot be read, or a line other than a cut-off last one is broken.
    """

    def __init__(self, path: Path, kind: type[Entry]) -> None:
        self._path = path
        self._kind: type[Entry] = kind
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        if path.exists():
            self._read()

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key, if there is one."""
        return self._entries.get(key)

    def put(self, entry: Entry) -> None:
        """Append an entry; it is on disk when this returns.

        Raises:
            StoreError: The disk refused; nothing is half-written.
        """
        line = entry.model_dump_json()
        with self._lock:
            append_line(self._path, line)
            self._entries[entry.key] = entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def _read(self) -> None:
        try:
            content = self._path.read_bytes()
            whole, _, cut = content.rpartition(b"\n")
            if cut:
                os.truncate(self._path, len(content) - len(cut))
        except OSError as error:
            msg = f"cannot read and mend {self._path}: {error.strerror}"
            raise StoreError(msg) from error
        for number, line in enumerate(whole.split(b"\n"), start=1):
            if not line:
                continue
            try:
                entry = self._kind.model_validate_json(line)
            except ValidationError as error:
                msg = f"{self._path}, line {number}: not written by this release; move the run away"
                raise StoreError(msg) from error
            self._entries[entry.key] = entry


def append_line(path: Path, text: str) -> None:
    """Append a line; it is on disk when this returns.

    Raises:
        StoreError: The disk refused; the file is as it was.
    """
    try:
        _append(path, (text + "\n").encode())
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; free some space and run again"
        raise StoreError(msg) from error


def _append(path: Path, line: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        start = file.tell()
        try:
            written = file.write(line)
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), start)
            raise
        if written != len(line):
            os.ftruncate(file.fileno(), start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _opened_lock(path: Path) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        msg = f"cannot write in the run directory {path.parent}: {error.strerror}"
        raise StoreError(msg) from error
