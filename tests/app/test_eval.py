"""``lift eval`` from the command line to the table, on a scripted model and the real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from typer.testing import CliRunner

from lift_sys.app import cli, cli_models, models
from lift_sys.app.compare import load_side
from lift_sys.app.export import (
    Artifact,
    ModelRef,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.app.report import Report
from lift_sys.errors import ProviderError
from lift_sys.inference import catalogue
from lift_sys.inference.failures import EngineError
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox import create_sandbox
from programs.presets import make_program

TASKS = 3
CODE = "```python\ndef f(x: int) -> int:\n    return x + 1{}\n```"
CODE_WORDS = len(CODE.split(" "))
IR = {
    "summary": " ".join(["word"] * (2 * CODE_WORDS)),
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add"],
    "assertions": [],
}
IR_WORDS = len(json.dumps(IR).split(" "))


class Model:
    """Writes one IR; greedy code is right, every sampled code is wrong in a way of its own."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.engine = ScriptedEngine(self._answer)

    def _answer(self, request: Request) -> str:
        if len(self.engine.requests) == self.fail_at:
            msg = "the plug was pulled"
            raise EngineError(msg)
        if request.config.response_format:
            return json.dumps(IR)
        sampled = request.config.temperature
        return CODE.format(f"+{request.config.seed}" if sampled else "")

    def build(self, model: str, models_dir: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine = ReplayEngine(self.engine, "weights", calls)
        return dspy.LM("local/script", engine=engine, cache=False, num_retries=0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    monkeypatch.setattr(models, "build_lm", made.build)
    monkeypatch.setattr(cli_models, "pull_with_progress", lambda _: None)
    return made


def write_tasks(folder: Path, split: str = "dev") -> Path:
    path = folder / "mine.jsonl"
    task = {
        "entry_point": "f", "category": "mathematical", "split": split, "source": "test",
        "hidden": [{"args": "(1,)", "expected": "2"}],
    }  # fmt: skip
    lines = [json.dumps({"id": f"t{i}", "spec": f"Add one, {i}.", **task}) for i in range(TASKS)]
    path.write_text("\n".join(lines) + "\n")
    return path


def evaluate(folder: Path, *options: str) -> str:
    data = folder / "mine.jsonl" if (folder / "mine.jsonl").exists() else write_tasks(folder)
    arguments = ["eval", "--data", str(data), "--runs", str(folder / "runs"), *options]
    done = CliRunner().invoke(cli.app, arguments)
    if done.exception:
        raise done.exception
    return done.stdout


def presets(*names: str) -> list[str]:
    return [word for name in names for word in ("--preset", name)]


def test_what_another_run_generated_is_told_apart(model: Model, tmp_path: Path) -> None:
    first = evaluate(tmp_path, "--preset", "direct")
    path = tmp_path / "mine.jsonl"
    more = {**json.loads(path.read_text().splitlines()[0]), "id": "more", "spec": "One more."}
    path.write_text(path.read_text() + json.dumps(more) + "\n")
    larger = [evaluate(tmp_path, "--preset", "direct") for _ in range(2)]

    assert f"Whole run: {TASKS} answers generated, " in first
    assert "taken" not in first
    for told in larger:
        assert f"Whole run: 1 answers generated, {CODE_WORDS} tokens out, " in told
        assert f"; {TASKS} more with {TASKS * CODE_WORDS} tokens out were taken from" in told
    assert len(model.engine.requests) == TASKS + 1


EQUAL = (*presets("direct", "single"), "--equal-tokens")


def test_one_preset(model: Model, tmp_path: Path) -> None:
    lines = evaluate(tmp_path, "--preset", "direct").splitlines()
    prompt = sum(len(m["content"].split()) for b in model.engine.bodies for m in b["messages"])
    spent = TASKS * CODE_WORDS
    assert lines[0].endswith(f"mine.jsonl: {TASKS} tasks")
    (whole,) = [line for line in lines if "95 % CI" in line]
    assert whole.startswith(
        f"| direct | 3/3 (100.0 %, 95 % CI 44–100 %) | {spent} | {prompt:,} (0) | "
    )
    assert whole.endswith(" | 1.0 |")
    assert f"| direct | code | {TASKS} | {spent} | {prompt:,} | 0% | 0 | 0 |" in lines
    assert "against" not in "".join(lines)


def test_several_presets_make_one_table_with_pairs(model: Model, tmp_path: Path) -> None:
    text = evaluate(tmp_path, *presets("single", "direct"), "--set", "temperature=0.5")
    names = [f"{name}, temperature=0.5" for name in ("single", "direct")]
    rows = [line.split(" | ")[0] for line in text.splitlines() if "95 % CI" in line]
    assert rows[:2] == [f"| {name}" for name in names]
    assert f"- {names[0]} against {names[1]}: 0 tasks gained, 0 lost" in text
    cost = f"{TASKS * (IR_WORDS + CODE_WORDS)} against {TASKS * CODE_WORDS} tokens out"
    assert cost in text


def test_equal_tokens(model: Model, tmp_path: Path) -> None:
    report = Report.model_validate_json(evaluate(tmp_path, *EQUAL, "--json"))
    spent = IR_WORDS + CODE_WORDS
    n = int(1.05 * spent / CODE_WORDS)
    assert 3 < n < 16
    (match,) = report.matches
    assert (match.direct, match.n, match.program) == (f"direct × {n}", n, "single")
    assert match.program_tokens == TASKS * spent
    assert match.direct_tokens == TASKS * n * CODE_WORDS <= 1.05 * match.program_tokens
    assert match.next_tokens == TASKS * (n + 1) * CODE_WORDS > 1.05 * match.program_tokens
    pairs = [(p.first, p.second) for p in report.comparisons]
    assert pairs == [("direct", "single"), (match.direct, "single")]
    assert [r.rate.passed for r in report.results] == [TASKS, TASKS, 0]
    assert [r.candidates for r in report.results] == [TASKS, TASKS, n * TASKS]


def test_no_candidate_is_generated_twice(model: Model, tmp_path: Path) -> None:
    report = Report.model_validate_json(evaluate(tmp_path, *EQUAL, "--json"))
    sampled = report.matches[0].n + 1  # the last N was one too many
    each = 1 + 1 + sampled  # code of direct, IR of single, candidates
    once = 1  # code of single, which sees the same IR for every task
    assert len(model.engine.requests) == TASKS * each + once == report.usage.calls


def test_equal_tokens_in_words(model: Model, tmp_path: Path) -> None:
    text = evaluate(tmp_path, *EQUAL)
    spent, n = IR_WORDS + CODE_WORDS, int(1.05 * (IR_WORDS + CODE_WORDS) / CODE_WORDS)
    line = (
        f"- single spends {TASKS * spent}. direct × {n} spends {TASKS * n * CODE_WORDS} "
        f"({n * CODE_WORDS / spent:.0%}): {CODE_WORDS} a candidate, {n}.0 candidates per task; "
        f"N = {n + 1} would spend {TASKS * (n + 1) * CODE_WORDS} "
        f"({(n + 1) * CODE_WORDS / spent:.0%})."
    )
    assert line in text.splitlines()
    assert f"- single against direct × {n}: {TASKS} tasks gained, 0 lost" in text


def test_what_was_measured_is_not_measured_again(model: Model, tmp_path: Path) -> None:
    first = evaluate(tmp_path, *EQUAL, "--json")
    asked = len(model.engine.requests)
    assert evaluate(tmp_path, *EQUAL, "--json") == first
    assert len(model.engine.requests) == asked
    evaluate(tmp_path, "--preset", "single", "--vary", "refine_iterations=1")
    assert len(model.engine.requests) > asked


def test_an_interrupted_measurement_goes_on(model: Model, tmp_path: Path) -> None:
    model.fail_at = 7
    with pytest.raises(ProviderError, match="plug"):
        evaluate(tmp_path, *EQUAL)
    model.fail_at = None
    report = Report.model_validate_json(evaluate(tmp_path, *EQUAL, "--json"))
    assert len(model.engine.requests) == report.usage.calls + 1


def test_the_run_directory_keeps_the_last_report(model: Model, tmp_path: Path) -> None:
    evaluate(tmp_path, "--preset", "direct")
    text = evaluate(tmp_path, *presets("direct", "single"))
    (kept,) = (tmp_path / "runs").glob("*/report.md")
    assert kept.read_text().strip() == text.strip()
    assert load_side(kept.parent, "direct").outcomes == {f"t{i}": True for i in range(TASKS)}


def test_an_artifact_beside_presets_on_a_test_set(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_tasks(tmp_path, "test")
    sandbox = create_sandbox()
    hypers, predictors = describe_program(make_program("single", sandbox))
    sandbox.close()
    info = catalogue.get("qwen2.5-coder-0.5b")
    best = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id=info.id, sha256=info.sha256),
        hypers=hypers,
        predictors=predictors,
    )
    path = save_artifact(best, tmp_path / "best.json")
    options = ("--preset", "direct", "--equal-tokens", "--open-test", "--json")
    report = Report.model_validate_json(evaluate(tmp_path, str(path), *options))
    assert [r.name for r in report.results] == ["direct", report.matches[0].direct, "best"]
    after = load_artifact(path)
    assert after.scores["test"].passed == TASKS
    assert after.scores["test"].tokens == report.results[-1].usage.completion_tokens
    assert [o.passed for o in after.openings] == [TASKS]
