"""Bad input at the command line: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lift_sys.app.export import (
    Artifact,
    ModelRef,
    Opening,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.inference import catalogue
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox import create_sandbox
from programs.presets import make_program

MODEL = "qwen2.5-coder-0.5b"
TASK = {
    "id": "t", "spec": "Add one.", "entry_point": "f", "category": "mathematical",
    "split": "dev", "source": "test", "hidden": [{"args": "(1,)", "expected": "2"}],
}  # fmt: skip


def lift(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lift_sys.app.cli", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert one sentence on stderr with these words, exit code 2 and nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    assert done.stdout == ""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    sandbox = create_sandbox()
    hypers, predictors = describe_program(make_program("direct", sandbox))
    sandbox.close()
    info = catalogue.get(MODEL)
    made = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id=info.id, sha256=info.sha256),
        hypers=hypers,
        predictors=predictors,
    )
    return save_artifact(made, tmp_path / "best.json")


def truncate(path: Path) -> None:
    path.write_text(path.read_text()[:200])


def tamper(path: Path) -> None:
    path.write_text(path.read_text().replace('"ir_detail": "none"', '"ir_detail": "basic"'))


def make_newer(path: Path) -> None:
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))


def change_signature(path: Path) -> None:
    document = json.loads(path.read_text())
    document["predictors"]["code_generator.predict"]["fields"] = ["question", "answer"]
    save_artifact(Artifact.model_validate(document), path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "truncated"),
        (tamper, "changed after it was exported"),
        (make_newer, "upgrade"),
        (change_signature, "another signature"),
        (Path.unlink, "cannot read"),
    ],
)
def test_a_damaged_artifact(artifact: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(artifact)

    refused(lift("eval", str(artifact), "--limit", "1"), words)


def test_an_intact_artifact_is_shown(artifact: Path) -> None:
    done = lift("show", str(artifact))

    assert done.returncode == 0
    assert "Write one Python function" in done.stdout
    assert "ir_detail: none" in done.stdout


def test_an_unknown_model_names_the_nearest() -> None:
    refused(lift("run", "Add one.", "--model", "qwen2.5-coder-05b"), MODEL)


@pytest.mark.parametrize(
    ("spec", "words"), [("", "empty"), ("  ", "empty"), ("a " * 50_000, "100,000 characters")]
)
def test_an_unusable_spec(spec: str, words: str) -> None:
    refused(lift("run", spec), words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("Write a class Stack with push.",), "asks for a class"),
        (("Add one.", "--name", "class"), "cannot name a function"),
        (("Add one.", "--fill", "empty_items"), "NAME=VALUE"),
        (("Add one.", "--ask"), "needs a terminal"),
    ],
)
def test_a_request_that_cannot_be_worked_on(options: tuple[str, ...], words: str) -> None:
    refused(lift("run", *options), words)


def test_a_broken_task_line_is_named(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps(TASK) + "\n" + json.dumps({**TASK, "id": "u", "hidden": 3}) + "\n")

    done = lift("eval", "--preset", "direct", "--data", str(tasks))

    refused(done, str(tasks), "line 2", "hidden")


def test_a_missing_task_file(tmp_path: Path) -> None:
    done = lift("eval", "--preset", "direct", "--data", str(tmp_path / "none.jsonl"))

    refused(done, "neither a shipped set")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"trails": 3}, "trails"),
        ({"trials": 0}, "trials"),
        ({"space": {"temprature": [0.0]}}, "temprature"),
        ({"space": {"temperature": [0.0], "n": [99]}}, "99"),
        ({"model": "gpt"}, "gpt"),
        ({"optimizer": "best"}, "labeled_few_shot"),
        ({"optimizer": "gepa", "drop_alpha": 0.1}, "does not use 'drop_alpha'"),
        ({"space": {"temperature": [0.0], "critic.model": ["gpt"]}}, "gpt"),
        (
            {"space": {"temperature": [0.0], "critic.model": ["program", "qwen2.5-coder-7b"]}},
            "vLLM",
        ),
        (
            {"space": {"temperature": [0.0], "ir_generator.model": ["program", "claude"]}},
            "ANTHROPIC_API_KEY",
        ),
        ({"model": "qwen2.5-coder-0.5b>claude"}, "ANTHROPIC_API_KEY"),
        ({"schema_version": 9}, "upgrade"),
    ],
)
def test_a_wrong_configuration(
    tmp_path: Path, document: object, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    config = tmp_path / "job.json"
    config.write_text(json.dumps(document))

    done = lift("optimize", "--config", str(config), "--runs", str(tmp_path / "runs"))

    refused(done, words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("tokens", "KEY=VALUE"),
        ("euros=3", "tokens, usd, seconds"),
        ("tokens=many", "budget.tokens"),
        ("tokens=20", "takes about 5,428; give at least that"),
    ],
)
def test_a_wrong_budget(tmp_path: Path, option: str, words: str) -> None:
    refused(lift("optimize", "--budget", option, "--runs", str(tmp_path / "runs")), words)
    assert not (tmp_path / "runs").exists()


def test_neither_artifact_nor_preset() -> None:
    refused(lift("eval"), "--preset")


def test_an_unknown_preset() -> None:
    refused(lift("run", "Add one.", "--preset", "tripple"), "direct")


def test_no_network_and_no_model(tmp_path: Path) -> None:
    done = lift(
        "models",
        "pull",
        MODEL,
        LIFT_MODELS=str(tmp_path / "models"),
        PIP_NO_INDEX="1",
        PIP_CONFIG_FILE=os.devnull,
        PIP_FIND_LINKS=str(tmp_path),
        HF_ENDPOINT="http://127.0.0.1:9",
    )

    refused(done, MODEL)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size] == []


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")

    refused(lift("optimize", "--runs", str(tmp_path / "runs")), "run directory")


def test_doctor_reports_a_working_sandbox(tmp_path: Path) -> None:
    nothing = str(tmp_path / "none")
    done = lift("doctor", LIFT_MODELS=nothing, LIFT_CATALOGUE=nothing, ANTHROPIC_API_KEY="")

    assert done.returncode == 0, done.stdout
    assert "sandbox runs code: passed" in done.stdout


def test_test_tasks_stay_closed_without_the_flag() -> None:
    done = lift("eval", "--preset", "direct", "--data", "phase3")

    refused(done, "'phase3' holds test tasks", "--open-test")


def test_failures_on_test_tasks_are_not_looked_into(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = lift("blame", "--preset", "single", "--data", "phase3", "--runs", str(runs))

    refused(done, "'phase3' holds test tasks", "train or dev")
    assert not runs.exists()


def test_a_test_set_is_opened_whole() -> None:
    done = lift("eval", "--preset", "direct", "--data", "phase3", "--open-test", "--limit", "3")

    refused(done, "'phase3'", "whole")


def test_an_artifact_that_was_opened_stays_so(artifact: Path, tmp_path: Path) -> None:
    ledger = {"XDG_DATA_HOME": str(tmp_path / "data")}
    tasks = tmp_path / "mine.jsonl"
    tasks.write_text(json.dumps({**TASK, "split": "test"}) + "\n")
    whole = load_artifact(artifact)
    sha256 = hashlib.sha256(tasks.read_bytes()).hexdigest()
    opening = Opening(
        artifact=whole.identity,
        data="mine",
        data_sha256=sha256,
        opened_at="then",
        passed=0,
        total=1,
    )
    save_artifact(whole.model_copy(update={"openings": (opening,)}), artifact)

    done = lift("eval", str(artifact), "--data", str(tasks), "--open-test", **ledger)

    refused(done, "passed 0 of 1", "once per artifact")
    assert not (tmp_path / "data").exists()


def test_a_job_is_explained_and_not_run(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = lift("optimize", "--explain", "--runs", str(runs), LIFT_MODELS=str(tmp_path / "models"))

    assert done.returncode == 0, done.stderr
    assert "## Space: " in done.stdout
    assert "| search |" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_cannot_pay_for_one_evaluation(tmp_path: Path) -> None:
    refused(
        lift("optimize", "--explain", "--search-tokens", "9", "--runs", str(tmp_path / "runs")),
        "search_tokens is 9, and one evaluation of all tasks takes about",
    )


def test_a_worker_without_a_study_is_refused(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"

    refused(lift("worker", "--storage", storage, "--study", "s"), "there is no study 's'")


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    storage = "postgresql://user:planted-secret@127.0.0.1:1/name"
    done = lift("optimize", "--storage", storage, "--study", "s")

    refused(done, "the storage postgresql+psycopg://user:***@127.0.0.1:1/name does not answer")
    assert "planted-secret" not in done.stderr
