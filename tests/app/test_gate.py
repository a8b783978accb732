"""The gate: test tasks are run on an explicit word, once per artifact, and on the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from lift_sys.app import gate
from lift_sys.app.export import Artifact, ModelRef
from lift_sys.errors import ConfigError, StoreError
from lift_sys.tasks import Case, Split, Task

DATA = "1" * 64


def task(split: Split) -> Task:
    return Task(
        id=split,
        spec="Add one.",
        entry_point="f",
        category="mathematical",
        split=split,
        source="test",
        hidden=(Case(args="(1,)", expected="2"),),
    )


def artifact(seed: int = 0, **hypers: object) -> Artifact:
    return Artifact(
        wire_version=1,
        model=ModelRef(id="some-model", sha256="0" * 64),
        hypers=hypers,
        predictors={},
        provenance={"config": {"seed": seed}},
    )


@pytest.fixture
def ledger(tmp_path: Path) -> gate.Ledger:
    return gate.Ledger(tmp_path / "user" / "openings.jsonl")


def test_a_set_with_one_test_task_needs_the_flag() -> None:
    tasks = [task("dev"), task("test")]

    gate.require_flag("mine", tasks, given=True)
    with pytest.raises(ConfigError, match=r"'mine' holds test tasks.*--open-test"):
        gate.require_flag("mine", tasks, given=False)


def test_train_and_dev_are_free() -> None:
    gate.require_flag("mine", [task("train"), task("dev")], given=False)


def test_an_opening_is_noted_before_and_after(ledger: gate.Ledger) -> None:
    opening = gate.open_once(artifact(), "test", DATA, ledger)
    assert ledger.openings() == [opening]
    assert opening.passed is None

    closed = gate.close(opening, 7, 9, ledger)
    assert ledger.openings() == [opening, closed]
    assert (closed.passed, closed.total) == (7, 9)


def test_a_second_opening_is_refused_with_the_result(ledger: gate.Ledger) -> None:
    gate.close(gate.open_once(artifact(), "test", DATA, ledger), 7, 9, ledger)

    with pytest.raises(ConfigError, match="passed 7 of 9; a test set is opened once"):
        gate.open_once(artifact(), "a copy", DATA, ledger)


def test_a_result_in_the_artifact_counts_where_the_ledger_is_another(
    ledger: gate.Ledger, tmp_path: Path
) -> None:
    closed = gate.close(gate.open_once(artifact(), "test", DATA, ledger), 7, 9, ledger)
    carried = artifact().model_copy(update={"openings": (closed,)})

    with pytest.raises(ConfigError, match="passed 7 of 9"):
        gate.open_once(carried, "test", DATA, gate.Ledger(tmp_path / "elsewhere"))


def test_an_interrupted_opening_can_be_repeated(ledger: gate.Ledger) -> None:
    gate.open_once(artifact(), "test", DATA, ledger)
    gate.close(gate.open_once(artifact(), "test", DATA, ledger), 7, 9, ledger)

    assert len(ledger.openings()) == 3


def test_another_set_and_another_artifact_are_other_openings(ledger: gate.Ledger) -> None:
    gate.close(gate.open_once(artifact(), "test", DATA, ledger), 7, 9, ledger)

    gate.open_once(artifact(), "phase3", "2" * 64, ledger)
    gate.open_once(artifact(n=3), "test", DATA, ledger)
    gate.open_once(artifact(seed=1), "test", DATA, ledger)


def test_scores_and_openings_do_not_make_another_artifact(ledger: gate.Ledger) -> None:
    opening = gate.open_once(artifact(), "test", DATA, ledger)
    opened = artifact().model_copy(update={"openings": (opening,)}).sealed()

    assert opened.identity == artifact().identity
    assert opened.intact
    assert opened.sha256 != artifact().sealed().sha256


def test_a_damaged_ledger_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    path.write_text('{"artifact": 3}\n')

    with pytest.raises(StoreError, match="is damaged"):
        gate.Ledger(path).openings()


def test_a_ledger_that_cannot_be_written_stops_the_opening(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")

    with pytest.raises(StoreError):
        gate.open_once(artifact(), "test", DATA, gate.Ledger(blocked / "openings.jsonl"))
