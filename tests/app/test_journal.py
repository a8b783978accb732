"""The journal of trials survives being cut off, and says what happened to its file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from lift_sys.app.journal import open_journal
from lift_sys.app.store import RunDirectory
from lift_sys.errors import StoreError
from tests.app.test_store import row, small_disk


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


def study(path: Path) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=open_journal(path), load_if_exists=True)


def add(study: optuna.Study, value: float) -> None:
    study.add_trial(optuna.trial.create_trial(value=value))


def values(path: Path) -> list[float | None]:
    return [trial.value for trial in study(path).trials]


def test_trials_are_there_when_it_is_opened_again(path: Path) -> None:
    add(study(path), 1.0)
    add(study(path), 2.0)
    assert values(path) == [1.0, 2.0]
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no lock file is left behind"


def test_a_last_line_cut_off_anywhere_is_dropped(path: Path) -> None:
    first = study(path)
    add(first, 1.0)
    whole = path.read_bytes()
    add(first, 2.0)
    both = path.read_bytes()
    for cut in range(len(whole), len(both), 7):
        path.write_bytes(both[:cut])
        again = study(path)
        add(again, 3.0)
        assert values(path) == [1.0, 3.0]


def test_a_broken_line_is_named(path: Path) -> None:
    add(study(path), 1.0)
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(StoreError, match=r"cannot read .*study\.journal"):
        study(path)


@pytest.mark.parametrize("change", [Path.unlink, lambda p: os.truncate(p, 10)])
def test_a_journal_that_vanishes_or_changes_is_an_error(
    path: Path, change: Callable[[Path], None]
) -> None:
    running = study(path)
    add(running, 1.0)
    kept = path.read_bytes()
    change(path)
    with pytest.raises(StoreError, match="removed or changed while the job was running"):
        add(running, 2.0)
    path.write_bytes(kept)
    add(running, 3.0)
    assert values(path) == [1.0, 3.0]


@pytest.mark.parametrize("change", [Path.unlink, lambda p: os.truncate(p, 10)])
def test_rows_that_vanish_or_change_are_an_error(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    run = RunDirectory(tmp_path)
    rows, path = run.rows(), tmp_path / "rows.jsonl"
    rows.put(row("a"))
    kept = path.read_bytes()
    change(path)
    with pytest.raises(StoreError, match="removed or changed while the job was running"):
        rows.put(row("b"))
    with pytest.raises(StoreError):
        rows.get("a")
    path.write_bytes(kept)
    rows.put(row("b"))
    assert [r.key for r in run.rows()] == ["a", "b"]


def test_a_full_disk_keeps_the_trials_that_were_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        path, count = disk / "study.journal", 0
        running = study(path)
        with pytest.raises(StoreError, match=r"cannot write .*study\.journal: No space"):  # noqa: PT012
            for count in range(1000):
                add(running, float(count))
        assert len(values_without_writing(path)) == count


def values_without_writing(path: Path) -> list[float | None]:
    loaded = optuna.load_study(study_name="s", storage=open_journal(path))
    return [trial.value for trial in loaded.trials]


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        open_journal(tmp_path / "missing" / "study.journal")
    with pytest.raises(StoreError, match="cannot read"):
        open_journal(tmp_path)
