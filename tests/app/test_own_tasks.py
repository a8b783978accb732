"""Tasks that a caller gives: divided without leaks, kept apart from test tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.own_tasks import DEV, TRAIN, own_data
from lift_sys.errors import ConfigError, DatasetError
from lift_sys.tasks import Case, Task

WORDS = "sum longest reverse vowels palindrome factorial merge".split()


def task(number: int, **more: Any) -> Task:
    given = {
        "id": f"t{number}",
        "spec": " ".join([WORDS[number % 7]] * 6),
        "entry_point": f"f{number}",
        "category": "c",
        "split": "train",
        "source": "test",
        "hidden": (Case(args="()", expected=str(number)),),
    }
    return Task.model_validate({**given, **more})


TASKS = [task(number) for number in range(7)]


def test_one_set_is_divided_once_and_for_all() -> None:
    data = own_data(TASKS, None, seed=3)

    assert (len(data.train), len(data.dev), data.test) == (3, 4, ())
    assert {t.id for t in (*data.train, *data.dev)} == {t.id for t in TASKS}
    assert own_data(TASKS, None, seed=3) == data
    assert own_data(TASKS, None, seed=4) != data


def test_given_dev_tasks_are_not_divided() -> None:
    data = own_data(TASKS[:2], TASKS[2:], seed=0)

    assert {t.id for t in data.train} == {"t0", "t1"}
    assert set(data.hashes) == {TRAIN, DEV}
    assert own_data(TASKS[:2], TASKS[2:6], seed=0).hashes[DEV] != data.hashes[DEV]


def test_a_set_is_read_by_name_or_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(t.model_dump_json() + "\n" for t in TASKS))

    assert own_data(file, None, seed=0) == own_data(TASKS, None, seed=0)
    assert len(own_data("train", "dev", seed=0).dev) == 80


def test_a_single_task_is_a_dev_task() -> None:
    data = own_data(TASKS[:1], None, seed=0)

    assert (data.train, len(data.dev)) == ((), 1)


def test_near_duplicates_that_cannot_be_parted_are_said_to_be_so() -> None:
    alike = [task(0, id="a"), task(0, id="b")]
    with pytest.raises(DatasetError, match=r"near-duplicates stay together.* dev=\.\.\."):
        own_data(alike, None, seed=0)


@pytest.mark.parametrize(
    ("tasks", "dev", "error", "says"),
    [
        ([], None, DatasetError, "no dev task"),
        (TASKS, [], DatasetError, "no dev task"),
        ("phase3", None, ConfigError, "stay closed"),
        (TASKS, [task(9, split="test")], ConfigError, "stay closed"),
        (TASKS, TASKS[:1], DatasetError, "'t0' is given twice"),
        ("nowhere.jsonl", None, DatasetError, "neither a shipped set"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tasks: Any, dev: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        own_data(tasks, dev, seed=0)
