"""`lift tasks`: what it writes and prints, and that bad input leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app import environment
from lift_sys.tasks import dump_tasks, load_tasks

EVALPLUS: dict[str, Any] = {
    "task_id": "HumanEval/902",
    "prompt": 'def mean(numbers):\n    """Find the mean.\n    >>> mean([1, 2])\n    1.5\n    """\n',
    "canonical_solution": "    return sum(numbers) / len(numbers)\n",
    "entry_point": "mean",
    "base_input": [[[1, 2]], [[3]]],
    "plus_input": [[[4, 5]]],
    "atol": 0,
}
MBPP: dict[str, Any] = {
    "task_id": 905,
    "text": "Write a function to find what two lists share.",
    "code": "def shared(a, b):\n  return tuple(set(a) & set(b))",
    "test_list": ["assert set(shared((1, 2),(2, 3))) == {2}", "assert shared((), ()) == ()"],
}


def lift(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lift_sys.app.cli", "tasks", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def test_an_import_writes_a_task_file_and_says_what_it_promises(tmp_path: Path) -> None:
    source, out = write(tmp_path / "plus.jsonl", EVALPLUS), tmp_path / "tasks.jsonl"
    done = lift("import", source, "--out", out, "--examples", "--split", "dev")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"1 tasks (evalplus) written to {out}\n1 strong")
    (task,) = load_tasks(out)
    assert (task.split, len(task.visible), len(task.hidden)) == ("dev", 1, 2)
    assert task.hidden[1].render("mean") == "mean([4, 5]) == 4.5"


def test_an_import_tells_how_much_is_weak(tmp_path: Path) -> None:
    tests = MBPP["test_list"]
    weak = MBPP | {"task_id": 906, "test_list": tests[:1]}
    strong = MBPP | {"task_id": 907, "test_list": tests[1:]}
    source = write(tmp_path / "mbpp.jsonl", MBPP, weak, strong)
    done = lift("import", source, "--out", tmp_path / "tasks.jsonl", "--format", "mbpp")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[1:4]] == [
        "1 strong", "1 mixed", "1 weak",
    ]  # fmt: skip
    assert "50.0% of the assertions became cases" in done.stdout


def test_an_import_of_broken_records_writes_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "mbpp.jsonl", MBPP, {**MBPP, "code": 3}, {**MBPP, "test_list": []})
    out = tmp_path / "tasks.jsonl"
    done = lift("import", source, "--out", out)
    refused(done, f"{source}, line 2, field code")
    assert f"{source}, line 3, field test_list" in done.stderr
    assert not out.exists()
    refused(lift("import", tmp_path / "none.jsonl", "--out", out), "cannot read the task file")
    refused(
        lift("import", source, "--out", tmp_path / "no" / "x.jsonl", "--limit", 1), "cannot write"
    )


def test_a_test_task_is_shown_without_what_judges_it() -> None:
    task = load_tasks(environment.data_file("phase3"))[0]
    secret = task.hidden[0].render(task.entry_point)
    plain, full = lift("show", "phase3", task.id), lift("show", "phase3", task.id, "--hidden")
    assert task.spec in plain.stdout
    assert secret not in plain.stdout
    assert f"def {task.entry_point}" not in plain.stdout
    assert secret in full.stdout
    assert f"def {task.entry_point}" in full.stdout


def test_a_train_task_is_shown_whole() -> None:
    task = load_tasks(environment.data_file("train"))[0]
    done = lift("show", "train", task.id)
    for case in (*task.visible, *task.hidden):
        assert case.render(task.entry_point) in done.stdout
    assert task.gold_ir is not None
    assert task.gold_ir.intent.summary in done.stdout


def test_a_set_is_listed() -> None:
    done = lift("show", "dev")
    for task in load_tasks(environment.data_file("dev")):
        assert task.id in done.stdout.replace("\n", "")
    refused(lift("show", "dev", "nothing"), "has no task 'nothing'")
    refused(lift("show", "nothing"), "neither a shipped set")


def test_a_set_is_divided(tmp_path: Path) -> None:
    sizes = ("--train", 48, "--dev", 32, "--test", 40)
    for name in ("a", "b"):
        done = lift("split", "train", "--out", tmp_path / name, *sizes, "--seed", 3)
        assert done.returncode == 0, done.stderr
    found = [task.id for name in ("train", "dev", "test")
             for task in load_tasks(tmp_path / "a" / f"{name}.jsonl")]  # fmt: skip
    assert sorted(found) == sorted(task.id for task in load_tasks(environment.data_file("train")))
    for name, size in (("train", 48), ("dev", 32), ("test", 40)):
        tasks = load_tasks(tmp_path / "a" / f"{name}.jsonl")
        assert [task.split for task in tasks] == [name] * size
        assert dump_tasks(tasks) == (tmp_path / "b" / f"{name}.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--train", 121), "the splits need 121 tasks"), ((), "say how many tasks each split gets")],
)
def test_an_impossible_division_writes_nothing(
    tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    refused(lift("split", "train", "--out", tmp_path / "out", *options), words)
    assert not (tmp_path / "out").exists()


def test_the_card_counts_what_the_files_hold(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"files": {"m.jsonl": {"sha256": "0"}}}')
    lift("import", write(tmp_path / "raw.jsonl", MBPP), "--out", tmp_path / "m.jsonl")
    done = lift("stats", "train", tmp_path / "m.jsonl", "--json")
    train, mine = json.loads(done.stdout)
    tasks = load_tasks(environment.data_file("train"))
    assert (train["name"], train["tasks"], train["manifest"]) == ("train", len(tasks), "matches")
    assert train["visible"] == sum(len(task.visible) for task in tasks)
    assert train["hidden"] == sum(len(task.hidden) for task in tasks)
    assert sum(stratum["tasks"] for stratum in train["strata"]) == len(tasks)
    assert train["entry_points"] == [task.entry_point for task in tasks]
    assert (train["strong"], train["mixed"], train["weak"]) == (len(tasks), 0, 0)
    assert (mine["manifest"], mine["mixed"], mine["hidden"]) == ("differs", 1, 1)
    assert (mine["weak_tests"], mine["weak"], mine["strong"]) == (1, 0, 0)
    assert mine["strata"] == [
        {"split": "test", "category": "imported", "difficulty": 2, "tasks": 1}
    ]


def test_the_card_of_all_that_ships_is_readable() -> None:
    done = lift("stats")
    assert done.returncode == 0, done.stderr
    for name in environment.shipped_sets():
        assert name in done.stdout
    assert {"train", "dev", "phase3"} <= set(environment.shipped_sets())
    for words in ("control_flow", "boundary", "level 2"):
        assert words in done.stdout


def test_a_manifest_describes_the_task_files_of_a_folder(tmp_path: Path) -> None:
    shipped = environment.data_file("dev")
    (tmp_path / "dev.jsonl").write_bytes(shipped.read_bytes())
    (tmp_path / "more.json").write_text("{}")

    done = lift("manifest", tmp_path)

    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "manifest.json").read_text())
    ours = json.loads(shipped.with_name("manifest.json").read_text())
    assert written["files"]["dev.jsonl"] == ours["files"]["dev.jsonl"]
    assert set(written["files"]) == {"dev.jsonl", "more.json"}


def test_a_broken_file_leaves_the_manifest_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("old")
    (tmp_path / "dev.jsonl").write_text("{\n")

    refused(lift("manifest", tmp_path), "dev.jsonl, line 1")
    assert (tmp_path / "manifest.json").read_text() == "old"


def test_a_folder_without_task_files_has_no_manifest(tmp_path: Path) -> None:
    refused(lift("manifest", tmp_path), "holds no task files")
    assert list(tmp_path.iterdir()) == []
