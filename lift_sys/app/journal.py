"""The trials of a run: an Optuna journal that fails in one sentence.

Owns what Optuna's journal file lacks: a last line that a crash cut off is dropped, a file that
vanishes or a full disk is an error before anything is lost, and no lock file is left behind by a
process that was killed. Only one process may write; the run directory's lock sees to that.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lift_sys.app.lines import append_line, mend
from lift_sys.errors import StoreError
from lift_sys.record import canonical_json


class Journal(JournalFileBackend):
    """A journal file of one process.

    Args:
        path: The file; made if it is missing.

    Raises:
        StoreError: It cannot be read, made or mended.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = mend(path)
        try:
            super().__init__(str(path))
        except OSError as error:
            msg = f"cannot write {path}: {error.strerror}"
            raise StoreError(msg) from error

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries from this one on.

        Raises:
            StoreError: The file cannot be read, or a line is broken.
        """
        try:
            yield from super().read_logs(log_number_from)
        except (OSError, ValueError) as error:
            msg = f"cannot read {self._path}: {error}; put it back, or move the run away"
            raise StoreError(msg) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries; they are on disk when this returns.

        Raises:
            StoreError: The disk refused, or the file is not what this process left there.
        """
        for log in logs:
            self._size = append_line(self._path, canonical_json(log), self._size)


def open_journal(path: Path) -> JournalStorage:
    """Return the storage of the studies in a file.

    Raises:
        StoreError: It cannot be read, made or mended.
    """
    return JournalStorage(Journal(path))
