"""A key in the environment or in a model's settings stays there: no file and no output has it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from typer.testing import CliRunner

from lift_sys.app import cli, cli_models, environment, models
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

PLANTED = "planted-4f1e9c"
VARIABLES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "LIFT_TOKEN")
# Code that goes looking: its results and exceptions are kept, so what it finds would be as well.
LOOKING = """```python
import os

def f(x):
    found = dict(os.environ)
    for name in ("/proc/self/environ", "/proc/1/environ"):
        try:
            with open(name) as file:
                found[name] = file.read()
        except OSError:
            pass
    if x > 1:
        raise ValueError(str(found))
    return str(found)
```"""
IR = {
    "summary": "Tells its surroundings",
    "parameters": ["x: int"],
    "returns": "str",
    "effects": ["return all"],
    "assertions": ["f(1) == 'a'"],
}
JOB = {
    "pool_tasks": 1,
    "demos": 1,
    "trials": 2,
    "space": {"code_sees": ["ir", "spec"], "temperature": [0.0]},
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    made = ScriptedEngine(_answer)

    def build(model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        used: Any = ReplayEngine(made, "weights", calls) if calls is not None else made
        lm = dspy.LM(f"local/{model_id}", engine=used, cache=False, num_retries=0)
        lm.kwargs["api_key"] = used.api_key = PLANTED  # where backends with a connection have it
        return lm

    monkeypatch.setattr(models, "build_lm", build)
    monkeypatch.setattr(cli_models, "pull_with_progress", lambda _: None)
    return made


def _answer(request: Request) -> str:
    return json.dumps(IR) if request.config.response_format else LOOKING


def write_job(folder: Path) -> Path:
    job: dict[str, Any] = dict(JOB)
    for split in ("train", "dev", "test"):
        task = {
            "id": split, "spec": f"Tell your surroundings, {split}.", "entry_point": "f",
            "category": "mathematical", "split": split, "source": "test",
            "hidden": [{"args": "(1,)", "expected": "2"}, {"args": "(2,)", "expected": "2"}],
        }  # fmt: skip
        (folder / f"{split}.jsonl").write_text(json.dumps(task) + "\n")
        job[f"{split}_data"] = str(folder / f"{split}.jsonl")
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def test_a_planted_key_is_in_no_file_and_no_output(
    engine: ScriptedEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, PLANTED)
    caplog.set_level(logging.DEBUG)
    ledger, named = tmp_path / "data" / "ledger.jsonl", tmp_path / "data" / "programs"
    monkeypatch.setattr(environment, "ledger_file", lambda: ledger)
    monkeypatch.setattr(environment, "programs_dir", lambda: named)
    job, runs = write_job(tmp_path), tmp_path / "runs"

    said = lift("optimize", "--open-test", "--config", str(job), "--runs", str(runs))
    (best,) = runs.glob("*/best.json")
    said += lift("eval", str(best), "--data", str(tmp_path / "dev.jsonl"), "--runs", str(runs))
    said += lift("show", str(best))
    for form in ("json", "prompts", "dspy"):
        said += lift("export", str(best), "--as", form, "--out", str(tmp_path / form))
    said += lift("export", str(best), "--name", "planted")
    said += lift("run", "Tell your surroundings.", "--name", "f", "--program", str(best))

    assert engine.requests
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    wanted = {"config.json", "rows.jsonl", "calls.jsonl", "report.json", "best.json", ledger.name}
    assert wanted <= {path.name for path in files}
    rows = b"".join(path.read_bytes() for path in runs.rglob("rows.jsonl"))
    assert b"should give 2 but gave" in rows  # the code ran, and what it found is told
    assert [path for path in files if PLANTED.encode() in path.read_bytes()] == []
    assert PLANTED not in said + caplog.text


def lift(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, arguments)
    if done.exception:
        raise done.exception
    return done.output
