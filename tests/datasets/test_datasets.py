"""The task files that ship: unchanged, well formed, apart from each other, and true."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lift_sys.ir.lint import Kind, lint_ir
from lift_sys.literals import parse_literal
from lift_sys.sandbox import Call, Sandbox, Submission, create_sandbox, judge
from lift_sys.tasks import Case, Task, load_tasks
from lift_sys.tasks.similarity import near_duplicates
from lift_sys.verdict import Status

DATASETS = Path(__file__).parents[2] / "datasets"
SPLITS = {"train.jsonl": "train", "dev.jsonl": "dev", "phase3.jsonl": "test"}
PROPORTIONS = {
    "control_flow": 60,
    "list_operations": 60,
    "string_manipulation": 60,
    "type_operations": 40,
    "edge_cases": 40,
    "mathematical": 40,
}
TASKS = {name: load_tasks(DATASETS / name) for name in SPLITS}
OWN = TASKS["train.jsonl"] + TASKS["dev.jsonl"]
ALL = OWN + TASKS["phase3.jsonl"]


def changed_files(folder: Path) -> list[str]:
    """Return what differs between the files of a folder and its manifest, by name."""
    files: dict[str, dict[str, Any]] = json.loads((folder / "manifest.json").read_text())["files"]
    present = {path.name for path in folder.glob("*.jsonl")}
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


def test_no_file_differs_from_the_manifest() -> None:
    assert changed_files(DATASETS) == []


@pytest.mark.parametrize("name", sorted(SPLITS))
def test_one_changed_byte_is_noticed(name: str, tmp_path: Path) -> None:
    for path in (*DATASETS.glob("*.jsonl"), DATASETS / "manifest.json"):
        shutil.copy(path, tmp_path / path.name)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    assert changed_files(tmp_path) == [name]


def test_a_file_that_the_manifest_does_not_name_is_noticed(tmp_path: Path) -> None:
    for path in (*DATASETS.glob("*.jsonl"), DATASETS / "manifest.json"):
        shutil.copy(path, tmp_path / path.name)
    shutil.copy(tmp_path / "dev.jsonl", tmp_path / "extra.jsonl")
    assert changed_files(tmp_path) == ["extra.jsonl"]


def test_the_manifest_counts_what_is_there() -> None:
    manifest = json.loads((DATASETS / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    for name, tasks in TASKS.items():
        entry = manifest["files"][name]
        assert entry["tasks"] == len(tasks)
        assert entry["splits"] == {SPLITS[name]: len(tasks)}
        assert entry["categories"] == Counter(task.category for task in tasks)


def test_sizes_are_at_least_those_promised() -> None:
    assert len(TASKS["train.jsonl"]) >= 24
    assert len(TASKS["dev.jsonl"]) >= 12
    assert len(TASKS["phase3.jsonl"]) == 18


def test_ids_and_entry_points_are_unique_over_all_files() -> None:
    assert [i for i, n in Counter(task.id for task in ALL).items() if n > 1] == []
    assert [e for e, n in Counter(task.entry_point for task in ALL).items() if n > 1] == []


@pytest.mark.parametrize("name", sorted(SPLITS))
def test_a_file_holds_one_split(name: str) -> None:
    assert {task.split for task in TASKS[name]} == {SPLITS[name]}


@pytest.mark.parametrize("name", ["train.jsonl", "dev.jsonl"])
def test_categories_keep_the_proportions_of_the_plan(name: str) -> None:
    tasks = TASKS[name]
    counts = Counter(task.category for task in tasks)
    assert set(counts) == set(PROPORTIONS)
    for category, share in PROPORTIONS.items():
        assert abs(counts[category] - len(tasks) * share / 300) < 1


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.id)
def test_own_tasks_have_enough_cases(task: Task) -> None:
    assert 2 <= len(task.visible) <= 3
    assert len(task.visible) + len(task.hidden) >= 8
    assert task.difficulty in {1, 2, 3}
    assert task.tags


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.id)
def test_no_call_occurs_twice(task: Task) -> None:
    calls = Counter(case.args for case in (*task.visible, *task.hidden))
    assert [args for args, count in calls.items() if count > 1] == []


def test_phase3_shows_no_cases() -> None:
    assert all(not task.visible and task.hidden for task in TASKS["phase3.jsonl"])
    assert {task.source for task in TASKS["phase3.jsonl"]} == {"phase3"}
    assert "phase3" not in {task.source for task in OWN}


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.id)
def test_literals_are_written_as_repr_writes_them(task: Task) -> None:
    for case in (*task.visible, *task.hidden):
        for text in (case.args, case.expected, case.args_after):
            assert text is None or repr(parse_literal(text)) == text


def test_exceptions_and_tolerances_occur_in_train_and_dev() -> None:
    for name in ("train.jsonl", "dev.jsonl"):
        cases = [c for task in TASKS[name] for c in (*task.visible, *task.hidden)]
        assert any(c.raises for c in cases)
        assert any(c.tolerance for c in cases)


def test_no_two_tasks_are_near_duplicates() -> None:
    assert near_duplicates(ALL) == []


def test_the_check_finds_a_reworded_spec_and_a_reused_name() -> None:
    task = next(t for t in ALL if t.id == "validate_password")
    reworded = task.spec.replace("Create", "Write").replace("chars", "characters")
    copy = task.model_copy(update={"id": "x", "entry_point": "check_it", "spec": reworded})
    renamed = task.model_copy(update={"id": "y", "spec": "Something else"})
    assert near_duplicates([task, copy]) == [(task.id, "x")]
    assert near_duplicates([task, renamed]) == [(task.id, "y")]


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.id)
def test_the_reference_passes_every_case(task: Task, sandbox: Sandbox) -> None:
    assert task.reference_code
    cases = (*task.visible, *task.hidden)
    verdict = judge(sandbox, task.reference_code, task.entry_point, cases)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.id)
def test_an_empty_function_passes_at_most_half_of_the_cases(task: Task, sandbox: Sandbox) -> None:
    cases = (*task.visible, *task.hidden)
    empty = f"def {task.entry_point}(*args):\n    return None\n"
    assert judge(sandbox, empty, task.entry_point, cases).fraction <= 0.5


@pytest.mark.parametrize("task", TASKS["train.jsonl"], ids=lambda task: task.id)
def test_every_gold_assertion_executes_and_holds(task: Task, sandbox: Sandbox) -> None:
    assert task.gold_ir is not None
    assert task.reference_code is not None
    assert task.gold_ir.signature.name == task.entry_point
    assert 2 <= len(task.gold_ir.effects) <= 6
    assert 3 <= len(task.gold_ir.assertions) <= 6
    findings = [finding for _, finding in lint_ir(task.gold_ir)]
    assert [f.reason for f in findings if f.kind is Kind.INFORMAL] == []
    examples = [
        Case(args=finding.args or "", expected=finding.expected)
        for finding in findings
        if finding.kind is Kind.EXAMPLE
    ]
    assert len(examples) >= 2
    verdict = judge(sandbox, task.reference_code, task.entry_point, examples)
    assert verdict.passed, verdict.message
    properties = tuple(f.predicate for f in findings if f.kind is Kind.PROPERTY)
    returning = [c for c in (*task.visible, *task.hidden) if c.raises is None]
    submission = Submission(
        code=task.reference_code,
        entry_point=task.entry_point,
        calls=tuple(Call(args=c.args, predicates=properties) for c in returning),
        parameters=tuple(p.name for p in task.gold_ir.signature.parameters),
    )
    execution = sandbox.execute(submission)
    assert execution.status is Status.PASSED, execution.message
    for case, outcome in zip(returning, execution.outcomes, strict=True):
        failed = [p for p, held in zip(properties, outcome.predicates, strict=True) if not held]
        assert failed == [], case.render(task.entry_point)
