"""The task files that ship: unchanged, in their proportions, apart from each other, and true."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.check import Checked, check_sets
from lift_sys.ir.lint import Kind, lint_ir
from lift_sys.literals import parse_literal
from lift_sys.sandbox import Sandbox, create_sandbox, judge
from lift_sys.tasks import Task, dump_tasks, load_tasks
from metrics.verification import KILL_RATE

DATASETS = Path(__file__).parents[2] / "datasets"
SIZES = {"train": 120, "dev": 80, "test": 100, "phase3": 18}
SPLITS = {"train": "train", "dev": "dev", "test": "test", "phase3": "test"}
PROPORTIONS = {
    "control_flow": 60,
    "list_operations": 60,
    "string_manipulation": 60,
    "type_operations": 40,
    "edge_cases": 40,
    "mathematical": 40,
}
TAGS = {
    "literal",
    "order",
    "type quirk",
    "exception",
    "position",
    "distinct operations",
    "boundary",
    "tolerance",
    "mutation",
}
TASKS = {name: load_tasks(DATASETS / f"{name}.jsonl") for name in SIZES}
OWN = TASKS["train"] + TASKS["dev"] + TASKS["test"]
ALL = OWN + TASKS["phase3"]


def changed_files(folder: Path) -> list[str]:
    """Return what differs between the files of a folder and its manifest, by name."""
    files: dict[str, dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["files"]
    present = {path.name for path in folder.iterdir()} - {"manifest.json", "README.md"}
    changed = sorted(present ^ set(files))
    for name in sorted(present & set(files)):
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != files[name]["sha256"]:
            changed.append(name)
    return changed


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    running = create_sandbox(workers=2)
    yield running
    running.close()


@pytest.fixture(scope="module")
def checked(sandbox: Sandbox) -> Checked:
    return check_sets(tuple(SIZES), sandbox)


def test_no_file_differs_from_the_manifest() -> None:
    assert changed_files(DATASETS) == []


@pytest.mark.parametrize("name", [*(f"{n}.jsonl" for n in SIZES), "equivalent_mutants.json"])
def test_one_changed_byte_is_noticed(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DATASETS, tmp_path / "copy"))
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert changed_files(folder) == [name]


def test_a_file_that_the_manifest_does_not_name_is_noticed(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DATASETS, tmp_path / "copy"))
    shutil.copy(folder / "dev.jsonl", folder / "extra.jsonl")
    assert changed_files(folder) == ["extra.jsonl"]


def test_the_manifest_counts_what_is_there() -> None:
    manifest = json.loads((DATASETS / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    for name, tasks in TASKS.items():
        entry = manifest["files"][f"{name}.jsonl"]
        assert entry["tasks"] == len(tasks)
        assert entry["splits"] == {SPLITS[name]: len(tasks)}
        assert entry["categories"] == Counter(task.category for task in tasks)
        assert entry["difficulties"] == Counter(str(task.difficulty) for task in tasks)


@pytest.mark.parametrize("name", SIZES)
def test_a_file_has_its_size_and_holds_one_split(name: str) -> None:
    assert len(TASKS[name]) == SIZES[name]
    assert {task.split for task in TASKS[name]} == {SPLITS[name]}


def test_categories_are_in_the_proportions_of_the_plan() -> None:
    assert Counter(task.category for task in OWN) == PROPORTIONS


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_splits_are_stratified_by_category_and_difficulty(name: str) -> None:
    whole = Counter((task.category, task.difficulty) for task in OWN)
    mine = Counter((task.category, task.difficulty) for task in TASKS[name])
    for category, size in PROPORTIONS.items():
        count = sum(n for (c, _), n in mine.items() if c == category)
        assert abs(count - size * SIZES[name] / 300) < 1
    for stratum, size in whole.items():
        assert abs(mine[stratum] - size * SIZES[name] / 300) < 2, stratum


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.id)
def test_own_tasks_are_complete(task: Task) -> None:
    assert 2 <= len(task.visible) <= 3
    assert len(task.visible) + len(task.hidden) >= 8
    assert task.difficulty in {1, 2, 3}
    assert task.tags
    assert set(task.tags) <= TAGS
    assert task.reference_code
    assert (task.gold_ir is not None) is (task.split == "train")
    calls = Counter(case.args for case in (*task.visible, *task.hidden))
    assert [args for args, count in calls.items() if count > 1] == []


@pytest.mark.parametrize("task", TASKS["train"], ids=lambda task: task.id)
def test_gold_irs_have_examples_and_fit_their_references(task: Task) -> None:
    assert task.gold_ir is not None
    assert 2 <= len(task.gold_ir.effects) <= 6
    assert 3 <= len(task.gold_ir.assertions) <= 6
    kinds = Counter(finding.kind for _, finding in lint_ir(task.gold_ir))
    assert kinds[Kind.EXAMPLE] >= 2
    assert kinds[Kind.INFORMAL] == 0


def test_phase3_shows_no_cases() -> None:
    assert all(not task.visible and task.hidden for task in TASKS["phase3"])
    assert {task.source for task in TASKS["phase3"]} == {"phase3"}
    assert {task.source for task in OWN} == {"lift-sys"}


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.id)
def test_literals_are_written_as_repr_writes_them(task: Task) -> None:
    for case in (*task.visible, *task.hidden):
        for text in (case.args, case.expected, case.args_after):
            assert text is None or repr(parse_literal(text)) == text


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_own_files_are_written_as_the_format_writes_them(name: str) -> None:
    assert dump_tasks(TASKS[name]) == (DATASETS / f"{name}.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_every_kind_of_difficulty_occurs_in_every_split(name: str) -> None:
    assert {tag for task in TASKS[name] for tag in task.tags} == TAGS
    cases = [c for task in TASKS[name] for c in (*task.visible, *task.hidden)]
    assert any(c.raises for c in cases)
    assert any(c.tolerance for c in cases)
    assert any(c.args_after for c in cases)


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.id)
def test_an_empty_function_passes_at_most_half_of_the_cases(task: Task, sandbox: Sandbox) -> None:
    cases = (*task.visible, *task.hidden)
    empty = f"def {task.entry_point}(*args):\n    return None\n"
    assert judge(sandbox, empty, task.entry_point, cases).fraction <= 0.5


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute, but for a busy machine
def test_the_check_finds_nothing(checked: Checked) -> None:
    assert checked.problems == ()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_two_tasks_are_alike(checked: Checked) -> None:
    assert [note for note in checked.notes if " and " in note and "mutants" not in note] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hidden_cases_notice_mutants(checked: Checked) -> None:
    for found in checked.sets:
        assert found.references == found.tasks
        if found.name != "phase3":  # its cases are given
            assert found.killed >= KILL_RATE * found.mutants
