"""Scripted models of a ladder, and ``lift assess`` over tasks that they solve."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from typer.testing import CliRunner

from lift_sys.app import cli, cli_models, environment, models
from lift_sys.app.assessment_report import Assessment
from lift_sys.inference import catalogue
from lift_sys.inference.failures import EngineError
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

TASKS = 10
LOW = ("--target", "0.6", "--floor", "0.5")
"""Thresholds that so few tasks can show."""

SMALL, LARGE, CLAUDE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "claude"
TUNED = "my-tuned"
IR = {
    "summary": "adds one",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add"],
    "assertions": [],
}


class Models:
    """Models that solve the first tasks: how many depends on the model and on what it is shown.

    Every answer costs as many tokens as it has words; the number of a task is in its spec.
    """

    def __init__(self) -> None:
        self.solves: dict[str, int] = {}
        self.few_shot_adds = 0
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    def _answer(self, model: str, request: Request) -> str:
        if model in self.broken:
            msg = "the plug was pulled"
            raise EngineError(msg)
        text = " ".join(p.text for m in request.messages for p in m.parts if hasattr(p, "text"))
        number = int(re.findall(r"one, number (\d+)", text)[-1])
        self.asked.append((model, "ir" if request.config.response_format else "code"))
        if request.config.response_format:
            return json.dumps({**IR, "summary": f"adds one, number {number}, for {model}"})
        solved = self.solves.get(model, 0)
        if f"for {CLAUDE}" in text:
            solved = self.solves[CLAUDE]
        if request.config.temperature:
            solved = self.solves.get("sampled", solved)
        shown = len(request.messages) > 2
        right = number < solved + self.few_shot_adds * shown
        return f"```python\ndef f(x: int) -> int:\n    return x + {1 if right else 2}\n```"

    def build(self, model: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        catalogue.get_servable(model)
        engine = ScriptedEngine(lambda request: self._answer(model, request))
        replay = ReplayEngine(engine, f"weights of {model}", calls)
        return dspy.LM(model, engine=replay, cache=False, num_retries=0)

    def asks(self, model: str) -> list[str]:
        return [stage for m, stage in self.asked if m == model]


def install(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Put scripted models in the place of real ones; no key is set."""
    made = Models()
    monkeypatch.setattr(models, "build_lm", made.build)
    monkeypatch.setattr(cli_models, "pull_with_progress", lambda _: None)
    monkeypatch.setattr(environment, "prepare", lambda: None)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    return made


def write_tasks(folder: Path, split: str = "dev", count: int = TASKS) -> Path:
    path = folder / "mine.jsonl"
    task = {
        "entry_point": "f", "category": "mathematical", "split": split, "source": "test",
        "hidden": [{"args": "(1,)", "expected": "2"}],
    }  # fmt: skip
    specs = (f"Add one, number {i}." for i in range(count))
    lines = [json.dumps({"id": f"t{i}", "spec": spec, **task}) for i, spec in enumerate(specs)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def lift(folder: Path, command: str, *options: str) -> str:
    data = folder / "mine.jsonl" if (folder / "mine.jsonl").exists() else write_tasks(folder)
    arguments = [command, "--data", str(data), "--runs", str(folder / "runs"), *options]
    done = CliRunner().invoke(cli.app, arguments)
    if done.exception:
        raise done.exception
    return done.stdout


def assess(folder: Path, *options: str) -> Assessment:
    return Assessment.model_validate_json(lift(folder, "assess", "--json", *LOW, *options))


def kept(folder: Path) -> Assessment:
    (path,) = (folder / "runs").glob("assess-*/report.json")
    return Assessment.model_validate_json(path.read_text())
