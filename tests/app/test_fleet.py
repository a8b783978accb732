"""Four processes work on one study; two of them are killed in the middle of a task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from lift_sys.app.database import ROWS, Database
from lift_sys.app.shared_run import SHARED_SLOTS
from lift_sys.app.sql_store import SqlEntries
from optimizers.rows import Row
from optimizers.trials import Told
from tests.optimizers.searching import CONFIG, Job, in_memory

ROOT = Path(__file__).parent.parent.parent


def lines(folder: Path, kind: str) -> list[tuple[int, str]]:
    """Return (process, task and code) of every line of a kind in the log."""
    log = folder / "log"
    if not log.exists():
        return []
    parts = [line.split("\t", 2) for line in log.read_text().splitlines()]
    return [(int(pid), what) for name, pid, what in parts if name == kind]


def wait_for_stuck(folder: Path, count: int, fleet: subprocess.Popen[bytes]) -> list[int]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and fleet.poll() is None:
        stuck = [pid for pid, _ in lines(folder, "stuck")]
        if len(stuck) == count:
            return stuck
        time.sleep(0.02)
    os.killpg(fleet.pid, signal.SIGKILL)
    return pytest.fail(f"not {count} are stuck: {(folder / 'errors').read_text()}")


@pytest.mark.slow
def test_of_four_processes_two_are_killed_in_mid_task(storage: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.app.fleet", storage, str(tmp_path), "4", "2"]
    with (
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, stderr=errors, start_new_session=True) as fleet,
    ):
        killed = wait_for_stuck(tmp_path, 2, fleet)
        time.sleep(3)  # longer than a lease lasts: the stuck ones live, so nobody takes over
        begun_before = Counter(what for _, what in lines(tmp_path, "begun"))
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        fleet.wait(timeout=120)

    # The other two came to their end.
    assert fleet.returncode == 0, (tmp_path / "errors").read_text()
    assert max(begun_before.values()) == 1
    with closing(Database(storage)) as database:
        rows = {f"{r.task_id}\t{r.code}" for r in SqlEntries(database, ROWS, "s", Row)}
    kept = [what for _, what in lines(tmp_path, "kept")]
    assert rows == set(kept)
    assert len(kept) == len(rows)
    again = {
        what: n for what, n in Counter(w for _, w in lines(tmp_path, "begun")).items() if n > 1
    }
    assert again == {what: 2 for pid, what in lines(tmp_path, "stuck") if what in rows}
    check_trials(storage)


def check_trials(url: str) -> None:
    """The study has the trials of a search in one process, each of them once and finished."""
    alone, _ = Job(0, in_memory, slots=SHARED_SLOTS).run(CONFIG)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="s", storage=storage)
    told = [
        Told.model_validate_json(trial.user_attrs["told"]).trial for trial in study.get_trials()
    ]
    finished = [trial.state.is_finished() for trial in study.get_trials()]
    storage.engine.dispose()

    assert told == alone.trials
    assert finished == [True] * CONFIG.trials
