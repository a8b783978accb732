"""Every optimizer of DSPy's as a job: it is paid for once, told of, and its artifact answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from rich.console import Console
from typer.testing import CliRunner

from lift_sys.app import affordable, cli, cli_models, models
from lift_sys.app.data import Data
from lift_sys.app.export import build_program, load_artifact
from lift_sys.app.job import Job
from lift_sys.app.progress import Progress
from lift_sys.app.run import Outcome, optimize
from lift_sys.app.store import RunDirectory
from lift_sys.app.teleprompting import ONLY_JOINT, check_optimizer, predictors_of
from lift_sys.config import RunConfig
from lift_sys.errors import BudgetSpent, ConfigError, ProviderError
from lift_sys.inference.failures import EngineError
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.base import ClosedSandbox
from optimizers.recipes import RECIPES
from programs.ensemble import Ensemble
from programs.presets import PRESETS, make_program
from tests.optimizers.half_known import TASKS, answer

HASHES = {name: str(number) * 64 for number, name in enumerate(("train", "dev", "phase3"))}
LABELLED = tuple(
    task.model_copy(
        update={
            "gold_ir": SpecIR(
                intent=Intent(summary="Multiplies"),
                signature=FunctionSignature(name=task.entry_point, returns="int"),
            ),
            "reference_code": f"def {task.entry_point}(x):\n    return x * {task.id[-1]}",
        }
    )
    for task in TASKS
)
DATA = Data(train=LABELLED, dev=TASKS, test=TASKS[:2], hashes=HASHES)

LARGER = "qwen2.5-coder-1.5b"


def config(name: str, **changes: Any) -> RunConfig:
    fields = {"optimizer": name, "seed": 3, "pool_tasks": 4, "trials": 7, "dev_tasks": 4}
    return RunConfig.model_validate({**fields, **changes})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    return install(monkeypatch, answer)


def install(monkeypatch: pytest.MonkeyPatch, script: Callable[[Request], str]) -> ScriptedEngine:
    made = ScriptedEngine(script)

    def build(model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        used = ReplayEngine(made, "weights", calls) if calls is not None else made
        return dspy.LM(f"local/{model_id}", engine=used, cache=False, num_retries=0)

    monkeypatch.setattr(models, "build_lm", build)
    # Scripted answers are shorter than those of the model whose rates are known.
    monkeypatch.setattr(affordable, "shipped_rates", dict)
    return made


def run(job: RunConfig, runs: Path, sandbox: Sandbox, data: Data = DATA) -> Outcome:
    with Progress(Console(file=io.StringIO()), {}) as progress:
        asked = Job.of(job, data, sandbox)
        return optimize(asked, RunDirectory(asked.place(runs)), sandbox, progress)


@pytest.mark.parametrize("name", RECIPES)
def test_a_job_ends_in_a_report_and_an_artifact_that_answers(
    name: str, engine: ScriptedEngine, sandbox: Sandbox, tmp_path: Path
) -> None:
    job = config(name, preset="single" if name == "ensemble" else "direct")
    outcome = run(job, tmp_path, sandbox)
    made = outcome.report.compilation
    assert made is not None
    assert outcome.report.search is None
    assert (made.optimizer, made.before.passed, made.after.passed) == (name, 2, 4)
    assert f"Optimizer: {name}, from the program {job.preset}." in outcome.text
    assert outcome.report.usage.calls == len(engine.requests)
    assert (made.scored > 0) is (name != "labeled_few_shot")
    assert (made.programs > 1) is (name in MEASURES)

    artifact = load_artifact(outcome.artifact)
    assert artifact.scores["dev"].passed == 4
    assert artifact.provenance["optimizer"] == name
    program = build_program(artifact, sandbox)
    assert isinstance(program, Ensemble) is (name == "ensemble")
    with dspy.context(lm=models.model_source()("m")):
        said = program(spec=TASKS[3].spec, entry_point=TASKS[3].entry_point)
    assert "return x * 5" in said.code

    asked = len(engine.requests)
    again = run(job, tmp_path, sandbox)
    assert len(engine.requests) == asked
    assert again.artifact.read_bytes() == outcome.artifact.read_bytes()
    assert again.report == outcome.report


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.writes])
def test_the_prompt_model_writes_and_the_program_keeps_its_own(
    name: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[tuple[str, bool]] = set()

    def noted(request: Request) -> str:
        asked.add((request.model.rpartition("/")[2], current_stage() in {"ir", "code"}))
        return answer(request)

    install(monkeypatch, noted)
    job = config(name, preset="direct", prompt_model=LARGER)
    run(job, tmp_path, sandbox)
    # Here demos alone pass all tasks, so that better_together comes to no instructions.
    wrote = {(LARGER, False)} if name != "better_together" else set()
    assert asked == {(job.model, True)} | wrote


MEASURES = {
    "random_search",
    "bootstrap_optuna",
    "copro",
    "mipro_v2",
    "gepa",
    "infer_rules",
    "better_together",
    "ensemble",
}
"""Optimizers that run whole programs on the dev tasks in DSPy's own way."""


def timeless(outcome: Outcome) -> dict[str, Any]:
    kept = load_artifact(outcome.artifact).model_dump(exclude={"sha256"})
    kept["scores"]["test"].pop("seconds")
    return kept


@pytest.mark.parametrize("name", ["mipro_v2", "gepa"])
def test_an_interrupted_job_pays_for_nothing_twice(
    name: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = install(monkeypatch, answer)
    expected = run(config(name), tmp_path / "whole", sandbox)

    def failing(request: Request) -> str:
        if len(broken.requests) > 9:
            raise EngineError("it is gone")
        return answer(request)

    broken = install(monkeypatch, failing)
    with pytest.raises(ProviderError, match="it is gone"):
        run(config(name), tmp_path / "cut", sandbox)
    rest = install(monkeypatch, answer)
    outcome = run(config(name), tmp_path / "cut", sandbox)

    assert timeless(outcome) == timeless(expected)
    assert len(rest.requests) == len(whole.requests) - 9
    assert outcome.report.usage == expected.report.usage


def test_a_budget_ends_a_job_that_goes_on_with_a_larger_one(
    engine: ScriptedEngine, sandbox: Sandbox, tmp_path: Path
) -> None:
    job = config("copro", preset="direct")
    expected = run(job, tmp_path / "whole", sandbox)
    whole = len(engine.requests)
    engine.requests.clear()
    with pytest.raises(BudgetSpent, match="copro was not done, and there is no winner yet"):
        run(config("copro", preset="direct", budget={"tokens": 400}), tmp_path / "cut", sandbox)
    assert engine.requests
    outcome = run(job, tmp_path / "cut", sandbox)
    assert timeless(outcome) == timeless(expected)
    assert len(engine.requests) == whole


def test_a_seed_decides_what_is_tried(
    engine: ScriptedEngine, sandbox: Sandbox, tmp_path: Path
) -> None:
    found = []
    for seed in range(4):
        job = config("bootstrap_few_shot", preset="direct", seed=seed, demos=1)
        found.append(load_artifact(run(job, tmp_path, sandbox).artifact).predictors)
    assert any(other != found[0] for other in found[1:])


def test_the_command_runs_it(
    engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_models, "pull_with_progress", lambda _: None)
    options = "--optimizer bootstrap_few_shot --preset direct --dev-tasks 2 --pool-tasks 2"
    done = CliRunner().invoke(cli.app, ["optimize", *options.split(), "--runs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "Optimizer: bootstrap_few_shot, from the program direct." in done.stdout
    assert "the winner was chosen on it" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_only_predictors_that_are_asked_are_changed(preset: str) -> None:
    asked = predictors_of(RunConfig(preset=preset), make_program(preset, ClosedSandbox()))
    assert ("ir_generator.predict" in asked) is (preset != "direct")
    assert ("reasoner.predict" in asked) is (preset in {"chain_of_thought", "hybrid"})
    assert ("critic.predict" in asked) is (preset == "refine")
    assert "code_generator.predict" in asked


OTHER: dict[str, Any] = {
    "demo_sets": ("bank",),
    "teachers": ({"preset": "direct"},),
    "demos_for": "predictor",
    "instructions": {"copro": 1},
    "search_tokens": 1,
    "drop_alpha": 0.1,
    "reevaluate": 1,
    "space": {"temperature": (0.0,)},
    "first_points": (),
    "objectives": ("tokens",),
    "wish": "cheapest within 2 points",
}


@pytest.mark.parametrize("field", ONLY_JOINT)
def test_fields_of_the_joint_search_mean_nothing_to_others(field: str) -> None:
    with pytest.raises(ConfigError, match=f"the optimizer 'gepa' does not use '{field}'"):
        check_optimizer(config("gepa", **{field: OTHER[field]}))
    check_optimizer(config("joint", **{field: OTHER[field]}))


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (config("best"), "no optimizer 'best'; choose one of: joint, labeled_few_shot"),
        (config("joint", preset="direct"), "'joint' does not use 'preset'"),
        (config("gepa", pool_tasks=0), "pool_tasks must be at least 1"),
        (config("gepa", preset="nosuch"), "there is no preset 'nosuch'"),
        (config("joint", prompt_model=LARGER), "nothing asks the prompt_model 'qwen"),
        (config("infer_rules", prompt_model=LARGER), "nothing asks the prompt_model 'qwen"),
        (config("copro", trials=3), r"at least 4 trials \(2 for each of 2 predictors\)"),
    ],
)
def test_what_cannot_be_done_is_refused(job: RunConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_optimizer(job)


def test_labels_need_gold_answers(engine: ScriptedEngine, sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no train task has both"):
        run(config("labeled_few_shot"), tmp_path, sandbox, replace(DATA, train=TASKS))
    assert not engine.requests
