"""The gate in front of test sets: opened on purpose, once per artifact, and on the record.

Owns the ledger of openings. A figure on a test set is worth something only while nobody chose by
it. So a set that holds test tasks is run on an explicit word, once for each artifact, and that it
was is written into the artifact and into a local ledger before the first task runs.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from lift_sys.app.export import Artifact, Opening
from lift_sys.app.lines import append_line
from lift_sys.errors import ConfigError, StoreError
from lift_sys.tasks import Task

FLAG = "--open-test"


class Ledger:
    """Every opening of a test set on this machine, one JSON line each, append-only.

    Args:
        path: The file; made with its folder when the first opening is noted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def openings(self) -> list[Opening]:
        """Return every opening, in order; one that was finished appears twice.

        Raises:
            StoreError: The ledger cannot be read.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            msg = f"cannot read the ledger of test openings {self._path}: {error}"
            raise StoreError(msg) from error
        try:
            return [Opening.model_validate_json(line) for line in text.splitlines() if line]
        except ValidationError as error:
            msg = f"the ledger of test openings {self._path} is damaged; move it away and go on"
            raise StoreError(msg) from error

    def note(self, opening: Opening) -> None:
        """Append an opening; it is on disk when this returns.

        Raises:
            StoreError: The disk refused.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make the folder of the ledger {self._path}: {error.strerror}"
            raise StoreError(msg) from error
        append_line(self._path, opening.model_dump_json())


def holds_test_tasks(tasks: Sequence[Task]) -> bool:
    """Return whether a task set belongs behind the gate."""
    return any(task.split == "test" for task in tasks)


def require_flag(data: str, tasks: Sequence[Task], *, given: bool) -> None:
    """Refuse a test set that was not opened on purpose.

    Raises:
        ConfigError: The set holds test tasks and the flag was not given.
    """
    if holds_test_tasks(tasks) and not given:
        msg = (
            f"{data!r} holds test tasks, which are opened once per artifact: choose on dev, and "
            f"add {FLAG} when the program is final"
        )
        raise ConfigError(msg)


def known_result(artifact: Artifact, data_sha256: str, ledger: Ledger) -> Opening | None:
    """Return the finished run of this artifact on this test set, if there was one.

    Raises:
        StoreError: The ledger cannot be read.
    """
    for past in (*artifact.openings, *ledger.openings()):
        same = past.artifact == artifact.identity and past.data_sha256 == data_sha256
        if same and past.passed is not None:
            return past
    return None


def open_once(artifact: Artifact, data: str, data_sha256: str, ledger: Ledger) -> Opening:
    """Note that an artifact is about to be run on a test set.

    An opening that was interrupted before it gave a result may be repeated.

    Raises:
        ConfigError: This artifact has been run on this test set before; the message has the result.
        StoreError: The ledger cannot be read or written.
    """
    past = known_result(artifact, data_sha256, ledger)
    if past is not None:
        msg = (
            f"this artifact was run on {past.data!r} at {past.opened_at} and passed {past.passed} "
            f"of {past.total}; a test set is opened once per artifact, so that figure stands"
        )
        raise ConfigError(msg)
    opening = Opening(
        artifact=artifact.identity, data=data, data_sha256=data_sha256, opened_at=_now()
    )
    ledger.note(opening)
    return opening


def close(opening: Opening, passed: int, total: int, ledger: Ledger) -> Opening:
    """Note what an opening gave.

    Raises:
        StoreError: The ledger cannot be written.
    """
    closed = opening.model_copy(update={"passed": passed, "total": total})
    ledger.note(closed)
    return closed


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
