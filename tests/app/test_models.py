"""Which models a job asks, and that each is had once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from rich.console import Console

from lift_sys.app import jobs, load, models
from lift_sys.app.answering import Request, answer
from lift_sys.app.export import Artifact, ModelRef, describe_program, save_artifact
from lift_sys.app.lineup import Lineup
from lift_sys.app.measure import Measurement, TaskSet
from lift_sys.app.models import model_source, models_of_job, weights
from lift_sys.app.progress import Progress
from lift_sys.config import RunConfig
from lift_sys.errors import ArtifactError, ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, Task
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
CODE = "```python\ndef double(x):\n    return 2 * x\n```"
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
TASK = Task(
    id="double", spec="Double x.", entry_point="double", category="mathematical", split="dev",
    source="test", hidden=(Case(args="(4,)", expected="8"),),
)  # fmt: skip


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, ScriptedEngine]:
    """Put scripted models in the place of real ones; each id may be built once."""
    built: dict[str, ScriptedEngine] = {}

    def build(model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        assert model_id not in built
        engine = ScriptedEngine(lambda r: json.dumps(IR) if r.config.response_format else CODE)
        built[model_id] = engine
        sha256 = catalogue.get(model_id).sha256
        used: Any = engine if calls is None else ReplayEngine(engine, sha256, calls)
        return dspy.LM(f"local/{model_id}", engine=used, cache=False, num_retries=0)

    monkeypatch.setattr(models, "build_lm", build)
    return built


def two_models(sandbox: Sandbox) -> SpecToCode:
    program = make_program("single", sandbox)
    set_hypers(program, {"code_generator.model": LARGE})
    return program


def artifact(sandbox: Sandbox, sha256: str) -> Artifact:
    hypers, predictors = describe_program(two_models(sandbox))
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef.of(SMALL),
        models=(ModelRef(id=LARGE, sha256=sha256),),
        hypers=hypers,
        predictors=predictors,
    )


def test_a_model_is_built_once(engines: dict[str, ScriptedEngine]) -> None:
    source = model_source()

    assert source(SMALL) is source(SMALL) is not source(LARGE)
    assert set(engines) == {SMALL, LARGE}


@pytest.mark.parametrize(
    ("space", "asked"),
    [
        ({}, (SMALL,)),
        ({"code_generator.model": ("program", LARGE)}, (SMALL, LARGE)),
        ({"code_generator.model": (LARGE,), "ir_generator.model": (SMALL, LARGE)}, (SMALL, LARGE)),
    ],
)
def test_a_job_names_the_models_of_its_space(space: dict[str, Any], asked: tuple[str, ...]) -> None:
    assert models_of_job(RunConfig(space={"temperature": (0.0,), **space})) == asked


def test_weights_that_stages_may_use_count() -> None:
    before = weights(SMALL)
    assert before != weights(LARGE)
    with pytest.raises(ModelError):
        weights("none")
    catalogue.use([catalogue.get(LARGE).model_copy(update={"sha256": "0" * 64})])
    try:
        changed = weights(SMALL)
    finally:
        catalogue.use(())
    assert changed != before


def test_a_measurement_asks_both_models_and_each_answer_once(
    engines: dict[str, ScriptedEngine], sandbox: Sandbox, tmp_path: Path
) -> None:
    chosen = jobs.Chosen(two_models(sandbox), "both", SMALL)
    lineup = Lineup(SMALL, {"both": chosen.program}, pairs=(), spenders=())
    data = TaskSet("mine", (TASK,), "0" * 64, is_test=False)
    progress = Progress(Console(quiet=True), {})
    first = Measurement(lineup, data, sandbox, tmp_path, progress).run()
    asked = {model: len(engine.requests) for model, engine in engines.items()}
    (rows,) = tmp_path.glob("*/rows.jsonl")
    rows.unlink()
    engines.clear()
    again = Measurement(lineup, data, sandbox, tmp_path, progress).run()

    assert chosen.models == lineup.models == (SMALL, LARGE)
    assert asked == {SMALL: 1, LARGE: 1}
    assert sum(len(engine.requests) for engine in engines.values()) == 0
    assert first.results[0].usage.completion_tokens == again.results[0].usage.completion_tokens
    calls = json.loads(rows.read_text())["calls"]
    assert [(c["stage"], c["model"], c["reused"]) for c in calls] == [
        ("ir", f"local/{SMALL}", True),
        ("code", f"local/{LARGE}", True),
    ]


def test_an_answer_comes_from_both_models(
    engines: dict[str, ScriptedEngine], sandbox: Sandbox
) -> None:
    chosen = jobs.Chosen(two_models(sandbox), "both", SMALL)
    made = answer(chosen, Request("Double x.", "double"))

    assert made.code == "def double(x):\n    return 2 * x"
    assert {model: len(engine.requests) for model, engine in engines.items()} == {
        SMALL: 1,
        LARGE: 1,
    }


def test_an_artifact_is_loaded_with_all_its_models(
    engines: dict[str, ScriptedEngine], sandbox: Sandbox, tmp_path: Path
) -> None:
    made = artifact(sandbox, catalogue.get(LARGE).sha256)
    program = load.load_program(save_artifact(made, tmp_path / "best.json"))

    assert program(spec="Double x.", entry_point="double").code
    assert [len(engines[model].requests) for model in (SMALL, LARGE)] == [1, 1]


def test_other_weights_of_any_model_are_refused(
    engines: dict[str, ScriptedEngine], sandbox: Sandbox, tmp_path: Path
) -> None:
    path = save_artifact(artifact(sandbox, "0" * 64), tmp_path / "best.json")
    with pytest.raises(ArtifactError, match=r"other weights of qwen2\.5-coder-1\.5b"):
        load.load_program(path)

    assert engines == {}
    same = artifact(sandbox, catalogue.get(LARGE).sha256)
    assert same.identity != artifact(sandbox, "0" * 64).identity
