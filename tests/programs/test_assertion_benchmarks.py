"""The benchmarks of assertions, on a small run directory: what they count, write and print."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.app.store import RunDirectory
from lift_sys.inference import catalogue
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Task
from metrics.execution import score_code
from optimizers.evaluate import Evaluator
from optimizers.rows import Rows
from programs.belief import Measured
from programs.presets import PRESETS, make_program

ROOT = Path(__file__).parents[2]
SAMPLING = "sampling"
"""A preset of these tests: candidates are drawn until one agrees with its IR."""
MODEL = "qwen2.5-coder-0.5b"
CODES = {
    "good": ["2 * x"],
    "bad": ["x + 9", "x + 9", "x + 9", "2 * x", "x + 9"],
    "lucky": ["2 * x"],
}
"""What follows ``return`` in the code drawn for each task, candidate after candidate."""
ASSERTED = {"good": "good(3) == 6", "bad": "bad(3) == 6", "lucky": "lucky(3) == 7"}


def record(name: str) -> dict[str, Any]:
    return {
        "id": name, "spec": f"Double x in {name}.", "entry_point": name, "category": "mathematical",
        "split": "dev", "source": "test", "visible": [{"args": "(9,)", "expected": "18"}],
        "hidden": [{"args": "(5,)", "expected": "10"}],
        "reference_code": f"def {name}(x):\n    return 2 * x",
    }  # fmt: skip


def answer_in_turn() -> Any:
    left = {name: list(codes) for name, codes in CODES.items()}

    def answer(request: Request) -> str:
        text = str(request.messages)
        name = next(n for n in CODES if f"{n}(" in text or f"in {n}." in text)
        if request.config.response_format:
            fields = {"summary": "s", "parameters": ["x: int"], "returns": "int", "effects": ["e"]}
            return json.dumps({**fields, "assertions": [ASSERTED[name], ASSERTED[name]]})
        code = left[name].pop(0) if len(left[name]) > 1 else left[name][0]
        return f"```python\ndef {name}(x):\n    return {code}\n```"

    return answer


def make_evaluator(engine: ReplayEngine, sandbox: Sandbox, rows: Rows) -> Evaluator:
    lm = dspy.LM(f"local/{MODEL}", engine=engine, cache=False, num_retries=0)
    return Evaluator(
        lambda: lm, "identity", lambda t, a: score_code(t, a.code, a.failure, sandbox), rows
    )


@pytest.fixture(scope="module", autouse=True)
def sampling() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, SAMPLING, {"n": 5, "temperature": 0.5, "select": "assertions"})
        yield


@pytest.fixture(scope="module")
def run(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory with the rows and calls of two presets, and its task file."""
    path = tmp_path_factory.mktemp("run")
    records = [record(name) for name in CODES]
    (path / "tasks.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    tasks = [Task.model_validate(r) for r in records]
    directory = RunDirectory(path)
    rows, calls = directory.rows(), directory.calls()
    for preset in ("single", SAMPLING):
        engine = ReplayEngine(ScriptedEngine(answer_in_turn()), catalogue.get(MODEL).sha256, calls)
        evaluator = make_evaluator(engine, sandbox, rows)
        list(evaluator.run(make_program(preset, sandbox), tasks, preset))
    with (path / "rows.jsonl").open("a") as file:
        file.write('{"cut off')
    return path


@pytest.fixture
def benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a benchmark and returns what it printed."""
    monkeypatch.syspath_prepend(str(ROOT))

    def run_benchmark(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        importlib.import_module(f"benchmarks.{script}").main()
        return capsys.readouterr().out

    return run_benchmark


def test_precision_counts_on_codes_and_references(run: Path, benchmark: Callable[..., str]) -> None:
    out = run / "precision.json"
    tasks = str(run / "tasks.jsonl")
    before = (run / "rows.jsonl").read_bytes()

    printed = benchmark("precision", str(run), "--data", tasks, "--out", str(out))

    found = Measured.model_validate_json(out.read_text())
    counted = found.models[MODEL]
    assert found.tasks == 3
    assert (counted.codes.right, counted.codes.wrong) == (2, 1)
    assert (counted.standing.right, counted.standing.wrong) == (2, 1)
    votes = counted.example
    assert (votes.right_held, votes.right_total) == (1, 2)
    assert (votes.wrong_held, votes.wrong_total) == (0, 1)
    assert "example holds on the reference 2/3" in printed
    assert found.pooled == counted
    assert (run / "rows.jsonl").read_bytes() == before


def test_agreement_as_a_forecast(run: Path, benchmark: Callable[..., str]) -> None:
    tasks = str(run / "tasks.jsonl")

    printed = benchmark("agreement", str(run), "--data", tasks, "--program", "single")

    assert "3 codes, right 2/3" in printed
    assert "| stated | 2/3 (66.7 %" in printed
    assert "| derived | 1/1 (100.0 %" in printed
    assert "| derived | 1/1 (100.0 %, 95 % CI 21–100 %) | 1/2" in printed
    assert "Brier score" in printed


def test_attribution_of_stored_rows(run: Path, benchmark: Callable[..., str]) -> None:
    printed = benchmark("attribution", str(run), "--data", str(run / "tasks.jsonl"))

    assert "passed 2/3" in printed
    assert "| code wrong | 1/1" in printed


def test_headroom_on_the_candidates_that_were_drawn(
    run: Path, benchmark: Callable[..., str]
) -> None:
    tasks = str(run / "tasks.jsonl")

    printed = benchmark("headroom", str(run), SAMPLING, "refine", "--data", tasks)

    assert f"### {SAMPLING}: 3 tasks, 0 left out" in printed
    lines = {line.split("|")[1].strip(): line for line in printed.splitlines() if "|" in line}
    assert "2/3" in lines["first"]
    assert "0%" in lines["first"]
    assert "3/3" in lines["assertions"]
    assert "100%" in lines["assertions"]
    assert "2/3" in lines["agreement"]
    assert "### refine: 0 tasks, 3 left out" in printed
