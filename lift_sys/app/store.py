"""The run directory: everything a job did, readable, append-only, safe against being killed.

Owns the files of a run:

    config.json        what was asked, resolved
    environment.json   versions and machine
    rows.jsonl         one executed task a line, flushed to disk before it counts
    pool.json          the demo sets
    study.journal      the trials (Optuna's journal)
    report.json/.md    the final table
    best.json          the artifact

A line that a crash cut off is dropped when the file is opened again. Whole files are written
beside their place and moved into it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from lift_sys.errors import StoreError
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
        with (self.path / ".lock").open("w") as lock:
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

    def rows(self) -> RowFile:
        """Open the rows."""
        return RowFile(self.path / "rows.jsonl")


class RowFile:
    """Rows by key, kept as JSON lines.

    Args:
        path: The file; need not exist.

    Raises:
        StoreError: It cannot be read, or a line other than a cut-off last one is broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row] = {}
        if path.exists():
            self._read()

    def get(self, key: str) -> Row | None:
        """Return the row with this key, if there is one."""
        return self._rows.get(key)

    def put(self, row: Row) -> None:
        """Append a row; it is on disk when this returns.

        Raises:
            StoreError: The disk refused; nothing is half-written.
        """
        line = (row.model_dump_json() + "\n").encode()
        try:
            _append(self._path, line)
        except OSError as error:
            msg = f"cannot write {self._path}: {error.strerror}; free some space and run again"
            raise StoreError(msg) from error
        self._rows[row.key] = row

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def _read(self) -> None:
        try:
            content = self._path.read_bytes()
        except OSError as error:
            msg = f"cannot read {self._path}: {error.strerror}"
            raise StoreError(msg) from error
        whole, _, cut = content.rpartition(b"\n")
        if cut:
            os.truncate(self._path, len(content) - len(cut))
        for number, line in enumerate(whole.split(b"\n"), start=1):
            if not line:
                continue
            try:
                row = Row.model_validate_json(line)
            except ValidationError as error:
                msg = f"{self._path}, line {number}: not a row of this release; move the run away"
                raise StoreError(msg) from error
            self._rows[row.key] = row


def _append(path: Path, line: bytes) -> None:
    """Append a line durably, or leave the file as it was and raise ``OSError``."""
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


def write_atomically(path: Path, text: str) -> Path:
    """Write a file beside its place and move it there.

    Raises:
        StoreError: The disk refused; the old file, if any, is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise StoreError(msg) from error
    return path
