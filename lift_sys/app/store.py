"""The run directory: everything a job did, readable, append-only, safe against being killed.

Owns the files of a run:

    config.json        what was asked, resolved
    environment.json   versions and machine
    rows.jsonl         one executed task a line, flushed to disk before it counts
    ledger.jsonl       what each generated answer cost, a line before the answer is kept
    refusals.json      where the budget ended a phase; it ends there again
    calls.jsonl        one generated answer a line, likewise
    pool.json          the demo sets and the candidates for instructions
    study.journal      the trials (Optuna's journal)
    invocations.jsonl  one line for each time the job was run to its end
    report.json/.md    the final table; of measurements, the last one's
    best.json          the artifact
    front/trial-N.json one artifact for each program of the Pareto front, where costs are kept low

Rows and answers have their content address as key, so what another run in the same folder has made
is taken from there. A line that a crash cut off is dropped when the file is opened again. Whole
files are written beside their place and moved into it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import optuna

from lift_sys.app.journal import open_journal
from lift_sys.app.ledger_file import Allowance, LedgerFile
from lift_sys.app.lines import Kept, KeyedLines, append_line
from lift_sys.errors import StoreError
from lift_sys.files import write_atomically
from lift_sys.inference.leases import Alone, Leases
from lift_sys.inference.ledger import Ledger
from lift_sys.inference.replay import StoredCall
from lift_sys.record import canonical_json
from optimizers.objectives import Direction
from optimizers.rows import Row
from optimizers.sharing import Sharing
from optimizers.trials import Trial


class RunDirectory:
    """A run's files.

    Args:
        path: The directory; made if it is missing.

    Attributes:
        path: As given.
        call_leases: Of all processes that generate answers in this run.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.call_leases: Leases = Alone()
        self._allowance = Allowance()
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

    def study(self, directions: Sequence[Direction]) -> optuna.Study:
        """Open the trials.

        Args:
            directions: Optuna's, of each objective.
        """
        return optuna.create_study(
            study_name="joint",
            storage=open_journal(self.path / "study.journal"),
            directions=directions,
            load_if_exists=True,
        )

    def tell(self, trial: Trial) -> None:
        """Take note of a finished trial: it is in the study already."""

    def agree(self, name: str, make: Callable[[], str]) -> str:
        """Return a text on which all processes of the run agree, and keep it as a file.

        There is only this process, so it is what this one makes.

        Raises:
            StoreError: The disk refused.
        """
        text = make()
        self.write(name, text)
        return text

    def sharing(self, most: Callable[[], int]) -> Sharing | None:  # noqa: ARG002 (nothing to hold)
        """Return how tasks are shared with other processes: there are none."""
        return None

    def rows(self) -> Kept[Row]:
        """Open the rows; those of the runs beside this one are found as well."""
        return KeyedLines(self.path / "rows.jsonl", Row, self._beside("rows.jsonl"))

    def calls(self) -> Kept[StoredCall]:
        """Open the generated answers; those of the runs beside this one are found as well."""
        return KeyedLines(self.path / "calls.jsonl", StoredCall, self._beside("calls.jsonl"))

    def _beside(self, name: str) -> list[Path]:
        """Return the files of that name of the other runs in the folder of this one."""
        try:
            others = [path for path in self.path.parent.iterdir() if path.name != self.path.name]
        except OSError:
            return []
        return sorted(path / name for path in others)

    def ledger(self) -> Ledger:
        """Open what the answers cost."""
        return LedgerFile(self.path / "ledger.jsonl")

    def allow(self, allowance: Allowance) -> None:
        """Set what the job may spend."""
        self._allowance = allowance

    def allowance(self) -> Allowance:
        """Return what the job may spend, now."""
        return self._allowance


def _opened_lock(path: Path) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        msg = f"cannot write in the run directory {path.parent}: {error.strerror}"
        raise StoreError(msg) from error
