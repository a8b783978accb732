"""``lift tasks check``: whatever is wrong with task files is found in one pass and listed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.check import OWN, check_sets
from lift_sys.sandbox import Sandbox, create_sandbox

GOOD: dict[str, Any] = {
    "id": "is_tiny",
    "spec": "Tell whether the given weight, in grams, stays under ten.",
    "entry_point": "is_tiny",
    "category": "control_flow",
    "split": "dev",
    "source": "mine",
    "hidden": [{"args": "(9,)", "expected": "True"}, {"args": "(10,)", "expected": "False"}],
    "reference_code": "def is_tiny(w):\n    return w < 10\n",
}
OTHER = {
    **GOOD,
    "id": "sum_of_ends",
    "entry_point": "sum_of_ends",
    "spec": "Add the first item of a list to its last one.",
    "hidden": [{"args": "([1, 5, 2],)", "expected": "3"}, {"args": "([4],)", "expected": "8"}],
    "reference_code": "def sum_of_ends(items):\n    return items[0] + items[-1]\n",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    running = create_sandbox(workers=2)
    yield running
    running.close()


def write(path: Path, *tasks: dict[str, Any] | str) -> str:
    lines = [task if isinstance(task, str) else json.dumps(task) for task in tasks]
    path.write_text("".join(line + "\n" for line in lines))
    return str(path)


def test_good_tasks_have_no_problems(tmp_path: Path, sandbox: Sandbox) -> None:
    checked = check_sets([write(tmp_path / "mine.jsonl", GOOD, OTHER)], sandbox)

    assert checked.problems == ()
    (found,) = checked.sets
    assert (found.tasks, found.references, found.gold, found.cases) == (2, 2, 0, 4)
    assert found.killed <= found.mutants


def test_everything_that_is_wrong_is_listed_at_once(tmp_path: Path, sandbox: Sandbox) -> None:
    first = tmp_path / "first.jsonl"
    write(
        first,
        GOOD,
        {**OTHER, "id": "is_tiny"},
        {**GOOD, "id": "b", "hidden": [{"args": "(9,)", "expected": "Tru e"}], "split": "devel"},
        "{",
        {**OTHER, "id": "c", "entry_point": "c", "spec": "Completely different words here."},
        {**OTHER, "id": "d", "hidden": [{"args": "()", "expected": "[" * 110 + "]" * 110}]},
    )
    second = tmp_path / "second.jsonl"
    write(
        second,
        {**GOOD, "id": "e", "split": "test"},
        {
            **GOOD,
            "id": "f",
            "entry_point": "f",
            "spec": "Does nothing need doing, or is the number large?",
            "split": "train",
            "reference_code": "def f(n):\n    return not n >= 10\n",
        },
    )

    problems = "\n".join(check_sets([str(first), str(second), "missing"], sandbox).problems)

    for said in (
        f"{first}, line 2: id 'is_tiny' is already used on line 1",
        f"{first}, line 3, field split: Input should be",
        f"{first}, line 3, field hidden.0.expected:",
        f"{first}, line 4: not valid JSON",
        "c: the reference cannot run",
        "d: no answer can carry",
        f"{first}/is_tiny and {second}/e are worded or named nearly the same, and one is dev",
        f"{first}/is_tiny and {second}/f cannot be told apart by what they do",
        "'missing' is neither a shipped set",
    ):
        assert said in problems


def test_few_noticed_mutants_are_wrong_in_our_own_tasks_only(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    weak = {**GOOD, "hidden": [{"args": "(1,)", "expected": "True"}]}

    theirs = check_sets([write(tmp_path / "theirs.jsonl", weak)], sandbox)
    ours = check_sets([write(tmp_path / "ours.jsonl", {**weak, "source": OWN})], sandbox)

    assert theirs.problems == ()
    assert "the hidden cases miss" in theirs.notes[0]
    assert "the hidden cases miss" in ours.problems[0]


def test_equivalent_mutants_are_read_from_beside_the_file(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    weak = {**GOOD, "hidden": GOOD["hidden"][:1]}
    name = write(folder / "mine.jsonl", weak)
    before = check_sets([name], sandbox).sets[0]
    listed = {"is_tiny": {"2: 10 -> 11": "made up"}, "nobody": {}}
    (folder / "equivalent_mutants.json").write_text(json.dumps(listed))

    checked = check_sets([name], sandbox)

    assert checked.sets[0].equivalent == 1
    assert checked.sets[0].mutants == before.mutants - 1
    assert checked.problems == (
        "equivalent_mutants.json lists mutants of 'nobody', which is no task",
    )


def test_a_broken_list_of_equivalent_mutants_is_a_problem(tmp_path: Path, sandbox: Sandbox) -> None:
    name = write(tmp_path / "mine.jsonl", GOOD)
    (tmp_path / "equivalent_mutants.json").write_text('{"is_tiny": ["2: 10 -> 11"]}')

    assert "cannot read the equivalent mutants" in check_sets([name], sandbox).problems[0]


def test_a_task_that_copies_a_shipped_one_is_a_leak(tmp_path: Path, sandbox: Sandbox) -> None:
    shipped = Path(__file__).parents[2] / "datasets" / "train.jsonl"
    copied = {**json.loads(shipped.read_text().splitlines()[0]), "id": "mine", "split": "test"}

    problems = check_sets([write(tmp_path / "mine.jsonl", copied)], sandbox).problems

    assert any("worded or named nearly the same, and one is" in p for p in problems)


@pytest.mark.parametrize(("broken", "code"), [(False, 0), (True, 2)])
def test_the_command_lists_problems_and_writes_nothing(
    tmp_path: Path, broken: bool, code: int
) -> None:
    tasks = [GOOD, {**OTHER, "reference_code": "def sum_of_ends(items):\n    return 3\n"}]
    name = write(tmp_path / "mine.jsonl", *tasks[: 1 + broken])
    before = sorted(tmp_path.iterdir())

    done = subprocess.run(
        [sys.executable, "-m", "lift_sys.app.cli", "tasks", "check", name],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == code, done.stderr
    assert ("the reference fails sum_of_ends([4]) == 8" in done.stdout) is broken
    assert done.stdout.endswith("1 problems\n" if broken else "no problems\n")
    assert sorted(tmp_path.iterdir()) == before
