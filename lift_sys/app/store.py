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
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, NoReturn, TextIO, TypeVar

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


@dataclass
class _Batch(Generic[Entry]):
    """Entries that reach the disk together, or not at all."""

    entries: list[Entry] = field(default_factory=list)
    tried: bool = False
    error: StoreError | None = None


class KeyedLines(Generic[Entry]):
    """Entries by key, kept as JSON lines; threads may share them.

    Only the keys are in memory: an entry is read when it is asked for.

    Args:
        path: The file; need not exist.
        kind: What an entry is.

    Raises:
        StoreError: It cannot be read, or a line other than a cut-off last one is broken.
    """

    def __init__(self, path: Path, kind: type[Entry]) -> None:
        self._path: Path = path
        self._kind: type[Entry] = kind
        self._starts: dict[str, int] = {}
        self._lock: threading.Lock = threading.Lock()
        self._size: int = mend(path)
        self._batch_lock: threading.Lock = threading.Lock()
        self._batch: _Batch[Entry] = _Batch()
        for start, line in self._lines():
            found = _BEGINNING.match(line)
            if not (found and 1 <= int(found[1]) <= kind.current_version and line.endswith(b"}\n")):
                self._refuse(start)
            self._starts[found[2].decode()] = start

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key, if there is one.

        Raises:
            StoreError: The file cannot be read any more.
        """
        start = self._starts.get(key)
        return None if start is None else self._read(start)

    def put(self, entry: Entry) -> None:
        """Append an entry; it is on disk when this returns.

        Raises:
            StoreError: The disk refused, or the file is not what this process left there; nothing
                is half-written.
        """
        with self._batch_lock:
            batch = self._batch
            batch.entries.append(entry)
        with self._lock:
            if not batch.tried:
                with self._batch_lock:
                    self._batch = _Batch()
                self._write(batch)
        if batch.error is not None:
            raise StoreError(str(batch.error)) from batch.error

    def _write(self, batch: _Batch[Entry]) -> None:
        """Append what gathered while another batch was on its way to the disk."""
        batch.tried = True
        lines = [entry.model_dump_json() for entry in batch.entries]
        start = self._size
        try:
            self._size = append_line(self._path, "\n".join(lines), self._size)
        except StoreError as error:
            batch.error = error
            return
        for entry, line in zip(batch.entries, lines, strict=True):
            self._starts[entry.key] = start
            start += len(line.encode()) + 1

    def __iter__(self) -> Iterator[Entry]:
        return (self._read(start) for start in tuple(self._starts.values()))

    def __len__(self) -> int:
        return len(self._starts)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield where each line starts, and the line."""
        if not self._size:
            return
        start = 0
        with _reading(self._path), self._path.open("rb") as file:
            for line in file:
                yield start, line
                start += len(line)

    def _read(self, start: int) -> Entry:
        with _reading(self._path), self._path.open("rb") as file:
            file.seek(start)
            line = file.readline()
        try:
            return self._kind.model_validate_json(line)
        except ValidationError:
            self._refuse(start)

    def _refuse(self, start: int) -> NoReturn:
        number = 1 + sum(1 for other, _ in self._lines() if other < start)
        msg = f"{self._path}, line {number}: not written by this release; move the run away"
        raise StoreError(msg)


_BEGINNING = re.compile(rb'\{"schema_version":(\d+),"key":"([^"\\]+)",')


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise StoreError(msg) from error


def mend(path: Path) -> int:
    """Drop a last line that a crash cut off, and return the size of the file, in bytes.

    Raises:
        StoreError: It cannot be read or changed.
    """
    if not path.exists():
        return 0
    with _reading(path), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        whole = size
        while whole and _byte(file, whole - 1) != b"\n":
            whole -= 1
        if whole != size:
            file.truncate(whole)
        return whole


def _byte(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(1)


def append_line(path: Path, text: str, size: int | None = None) -> int:
    """Append a line, and return the size of the file; the line is on disk when this returns.

    Args:
        path: The file; made if it is missing, unless a size is expected.
        text: The line, or several.
        size: What the file must have, in bytes; by default any.

    Raises:
        StoreError: The disk refused, or the file is not of that size; it is as it was.
    """
    try:
        return _append(path, (text + "\n").encode(), size)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}; free some space and run again"
        if isinstance(error, FileNotFoundError) or error.errno == errno.ESTALE:
            msg = (
                f"cannot write {path}: it was removed or changed while the job was running; "
                "put it back and run again"
            )
        raise StoreError(msg) from error


def _append(path: Path, line: bytes, size: int | None) -> int:
    with path.open("r+b" if size else "ab", buffering=0) as file:
        start = file.seek(0, os.SEEK_END)
        if size is not None and start != size:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        try:
            written = file.write(line)
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), start)
            raise
        if written != len(line):
            os.ftruncate(file.fileno(), start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return start + written


def _opened_lock(path: Path) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        msg = f"cannot write in the run directory {path.parent}: {error.strerror}"
        raise StoreError(msg) from error
