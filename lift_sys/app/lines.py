"""Append-only files of lines that a kill or a full disk cannot spoil.

Owns how a line reaches the disk, and how entries with a key are kept one a line. A last line that
a crash cut off is dropped when a file is opened again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, NoReturn, Protocol, TypeVar

from pydantic import ValidationError

from lift_sys.errors import StoreError
from lift_sys.inference.ledger import LedgerEntry
from lift_sys.inference.replay import StoredCall
from optimizers.rows import Row

Entry = TypeVar("Entry", Row, StoredCall, LedgerEntry)


class Kept(Protocol[Entry]):
    """Entries by key. ``put`` returns only when the entry would survive a crash."""

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key, if there is one."""
        ...

    def known(self, keys: Collection[str]) -> set[str]:
        """Return those of some keys that have an entry."""
        ...

    def put(self, entry: Entry) -> None:
        """Keep an entry."""
        ...

    def __iter__(self) -> Iterator[Entry]: ...

    def __len__(self) -> int: ...


@dataclass
class _Batch(Generic[Entry]):
    """Entries that reach the disk together, or not at all."""

    entries: list[Entry] = field(default_factory=list)
    tried: bool = False
    error: StoreError | None = None


class KeyedLines(Generic[Entry]):
    """Entries by key, kept as JSON lines; threads may share them.

    Only the keys are in memory: an entry is read when it is asked for. One that only another file
    has is copied, so that this file stands for itself.

    Args:
        path: The file; need not exist.
        kind: What an entry is.
        others: Files of other runs with entries of this kind, which are read and never changed. One
            that another release wrote, or that is gone, is passed over.

    Raises:
        StoreError: It cannot be read, or a line other than a cut-off last one is broken.
    """

    def __init__(self, path: Path, kind: type[Entry], others: Iterable[Path] = ()) -> None:
        self._path: Path = path
        self._kind: type[Entry] = kind
        self._others: tuple[Path, ...] = tuple(others)
        self._lock: threading.Lock = threading.Lock()
        self._size: int = mend(path)
        self._batch_lock: threading.Lock = threading.Lock()
        self._batch: _Batch[Entry] = _Batch()
        self._starts: dict[str, int] = _index(path, kind) if self._size else {}

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key, if there is one.

        Raises:
            StoreError: The file cannot be read any more, or not be written.
        """
        start = self._starts.get(key)
        if start is not None:
            return _read(self._path, self._kind, start)
        found = self._found_elsewhere(key)
        if found is None:
            return None
        entry = taken(found)
        self.put(entry)
        return entry

    def _found_elsewhere(self, key: str) -> Entry | None:
        for path, starts in self._elsewhere:
            if key in starts:
                with contextlib.suppress(StoreError):  # The other run may be gone meanwhile.
                    return _read(path, self._kind, starts[key])
        return None

    def known(self, keys: Collection[str]) -> set[str]:
        """Return those of some keys that have an entry, here or in another file."""
        places = [self._starts, *(starts for _, starts in self._elsewhere)]
        return {key for key in keys if any(key in starts for starts in places)}

    @functools.cached_property
    def _elsewhere(self) -> list[tuple[Path, dict[str, int]]]:
        """Where entries of other files start in them."""
        found: list[tuple[Path, dict[str, int]]] = []
        for path in self._others:
            with contextlib.suppress(StoreError):
                found.append((path, _index(path, self._kind)))
        return found

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
        return _entries(self._path, self._kind, tuple(self._starts.values()))

    def __len__(self) -> int:
        return len(self._starts)


def taken(entry: Entry) -> Entry:
    """Return an entry of another run as it is kept in this one, which did not generate it."""
    if isinstance(entry, StoredCall):
        record = entry.record.model_copy(update={"reused": True})
        return entry.model_copy(update={"record": record})
    return entry


def _index(path: Path, kind: type[Entry]) -> dict[str, int]:
    """Return where the entry of each key starts in a file, in bytes; a cut-off last line is none.

    Raises:
        StoreError: It cannot be read, or a line is broken.
    """
    versions = range(1, kind.current_version + 1)
    beginnings = tuple(b'{"schema_version":%d,"key":"' % version for version in versions)
    starts: dict[str, int] = {}
    start = 0
    with _reading(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                if not line.startswith(beginnings) or not line.endswith(b"}\n"):
                    _refuse(path, number)
                # Split as little as needed: this reads every line of all runs beside this one.
                starts[line.split(b'"', 6)[5].decode()] = start
            start += len(line)
    return starts


def _read(path: Path, kind: type[Entry], start: int) -> Entry:
    return next(_entries(path, kind, (start,)))


def _entries(path: Path, kind: type[Entry], starts: Sequence[int]) -> Iterator[Entry]:
    """Yield the entries that start at these places of a file, opened once for all of them."""
    if not starts:
        return
    with _reading(path), path.open("rb") as file:
        for start in starts:
            if file.tell() != start:  # seeking drops what was read ahead
                file.seek(start)
            line = file.readline()
            try:
                entry = kind.model_validate_json(line)
            except ValidationError:
                file.seek(0)
                _refuse(path, 1 + file.read(start).count(b"\n"))
            yield entry


def _refuse(path: Path, number: int) -> NoReturn:
    msg = f"{path}, line {number}: not written by this release; move the run away"
    raise StoreError(msg)


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
