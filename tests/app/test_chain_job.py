"""A chain as a model id: measured, searched, exported, loaded; on scripted models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from typer.testing import CliRunner

from lift_sys.app import cli, environment, load, models
from lift_sys.app.export import (
    Artifact,
    ModelRef,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.app.models import model_source, models_of_job, priced
from lift_sys.app.report import Report
from lift_sys.app.space import check_costs, check_space
from lift_sys.app.spending import check_prices
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference import breaker, catalogue
from lift_sys.inference.budget import Account
from lift_sys.inference.failures import EngineError
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox import Sandbox
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

CHAIN = "small>large"
TASKS = 4
CODE = "```python\ndef f(x: int) -> int:\n    return x + 1\n```"
IR = {
    "summary": "Add one.",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add"],
    "assertions": ["f(1) == 2"],
}
CATALOGUE = """
[small]
backend = "vllm"
urls = ["http://127.0.0.1:1/v1"]
price = { million_output = 1.0, as_of = 2026-01-02 }

[large]
backend = "vllm"
urls = ["http://127.0.0.1:2/v1"]
price = { million_output = 10.0, as_of = 2026-03-04 }

[both]
backend = "chain"
members = ["small", "large"]
tries = 1
timeout = 60

[unpriced]
backend = "vllm"
urls = ["http://127.0.0.1:3/v1"]
"""


def small(request: Request) -> str:
    """Fail in the ways that the number of the task says."""
    text = json.dumps(IR) if request.config.response_format else CODE
    spec = str(request.messages[-1].parts)
    if "one, 1" in spec and request.config.response_format:
        return "Sorry, I cannot."
    if "one, 2" in spec:
        msg = "no power"
        raise EngineError(msg)
    return text


def large(request: Request) -> str:
    return json.dumps(IR) if request.config.response_format else CODE


Engines = dict[str, ScriptedEngine]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engines:
    said: dict[str, Callable[[Request], str]] = {"small": small, "large": large}
    made = {name: ScriptedEngine(answer) for name, answer in said.items()}

    def build(model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine: Any = made[model_id]
        if calls is not None:
            engine = ReplayEngine(engine, catalogue.identity(model_id), calls)
        return dspy.LM(f"local/{model_id}", engine=engine, cache=False, num_retries=0)

    monkeypatch.setattr(models, "build_lm", build)
    monkeypatch.setattr(breaker, "_breakers", {})
    monkeypatch.setenv("LIFT_CATALOGUE", str(tmp_path / "models.toml"))
    (tmp_path / "models.toml").write_text(CATALOGUE)
    return made


@pytest.fixture
def own(engines: Engines, tmp_path: Path) -> Engines:
    environment.prepare()
    return engines


@pytest.fixture(autouse=True)
def _shipped_again() -> Any:
    yield
    catalogue.use(())


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, list(arguments))
    if done.exception:
        raise done.exception
    return done.stdout


def evaluate(folder: Path, *options: str, model: str = CHAIN) -> str:
    path = folder / "mine.jsonl"
    task = {
        "entry_point": "f", "category": "mathematical", "split": "dev", "source": "test",
        "hidden": [{"args": "(1,)", "expected": "2"}],
    }  # fmt: skip
    lines = [json.dumps({"id": f"t{i}", "spec": f"Add one, {i}.", **task}) for i in range(TASKS)]
    path.write_text("\n".join(lines) + "\n")
    common = ("--model", model, "--data", str(path), "--runs", str(folder / "runs"))
    return invoke("eval", *common, *options)


def test_a_chain_is_measured_and_the_report_tells_who_answered_and_what_it_cost(
    engines: Engines, tmp_path: Path
) -> None:
    text = evaluate(tmp_path, "--preset", "single", "--set", "code_sees=spec")
    name = "single, code_sees=spec"
    assert f"| {name} | 4/4 " in text
    assert f"| {name} | small>large | small | 5 of 8 | 6 | 1 not JSON, 2 unavailable |" in text
    assert f"| {name} | small>large | large | 3 of 8 | 3 | never |" in text
    report = Report.model_validate_json(
        evaluate(tmp_path, "--preset", "single", "--set", "code_sees=spec", "--json")
    )
    (result,) = report.results
    words = {"ir": len(json.dumps(IR).split(" ")), "code": len(CODE.split(" "))}
    by_small = 2 * words["ir"] + 3 * words["code"] + 3
    usd = (by_small + 10 * (2 * words["ir"] + words["code"])) / 1e6
    assert result.cost
    assert result.cost.spent.usd == pytest.approx(usd)
    assert str(result.cost.spent.as_of) == "2026-01-02"
    assert [stage.stage for stage in result.cost.stages] == ["ir", "code"]
    assert result.usage.completion_tokens == by_small + 2 * words["ir"] + words["code"]


def test_answers_are_shared_with_a_member_that_is_measured_alone(
    engines: Engines, tmp_path: Path
) -> None:
    evaluate(tmp_path, "--preset", "direct", model="large")
    asked = len(engines["large"].requests)
    assert asked == TASKS
    evaluate(tmp_path, "--preset", "direct")
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "runs").iterdir())
    assert names == ["eval-large", "eval-small-then-large"]


def test_a_spec_is_answered_by_a_chain_and_json_says_by_whom(own: Engines) -> None:
    command = ("run", "Add one, 2.", "--name", "f", "--preset", "direct", "--model", CHAIN)
    made = json.loads(invoke(*command, "--json"))
    (use,) = made["chains"]
    assert use["answered"] == {"large": 1}
    assert use["passed_on"] == {"small": {"unavailable": 1}}
    assert made["spent"]["usd"] == pytest.approx(10 * len(CODE.split(" ")) / 1e6)
    said = " ".join(invoke(*command).split())
    told = "Calls of small>large by who answered: small 0 (passed on: 1 unavailable), large 1."
    assert told in said
    assert "It cost 0.0001 USD at the prices of 2026-03-04." in said


def with_chain(sandbox: Sandbox) -> SpecToCode:
    program = make_program("single", sandbox)
    set_hypers(program, {"ir_generator.model": CHAIN, "code_generator.model": "large"})
    return program


def test_an_artifact_names_a_chain_and_is_loaded_with_it(
    own: Engines, sandbox: Sandbox, tmp_path: Path
) -> None:
    hypers, predictors = describe_program(with_chain(sandbox))
    artifact = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef.of("both"),
        models=(ModelRef.of(CHAIN), ModelRef.of("large")),
        hypers=hypers,
        predictors=predictors,
    )
    path = save_artifact(artifact, tmp_path / "best.json")
    program = load.load_program(path)
    assert program(spec="Add one, 1.", entry_point="f").code
    assert [len(own[name].requests) for name in ("small", "large")] == [1, 2]
    assert load_artifact(path).models[0].sha256 == catalogue.identity(CHAIN)
    assert catalogue.identity("both") != catalogue.identity(CHAIN)  # its tries differ


def test_a_job_may_search_a_chain_and_a_model_of_a_provider(own: Engines, sandbox: Sandbox) -> None:
    searched = ("program", CHAIN, "openai/some")
    space: dict[str, Any] = {"temperature": (0.0,), "code_generator.model": searched}
    check_space(RunConfig(model="small", space=space), make_program("single", sandbox))
    assert models_of_job(RunConfig(model="both", space=space)) == ("both", CHAIN, "openai/some")
    wrong: dict[str, Any] = {"temperature": (0.0,), "code_generator.model": ("small>none",)}
    with pytest.raises(ConfigError, match="'small>none' is not a value of the hyper"):
        check_space(RunConfig(space=wrong), make_program("single", sandbox))


def test_what_a_chain_costs_is_known_where_its_members_costs_are(own: Engines) -> None:
    space: dict[str, Any] = {"temperature": (0.0,)}
    job = RunConfig(model=CHAIN, space=space, objectives=("usd",))
    check_costs(job)
    check_prices(Budget(usd=1.0), models_of_job(job))
    assert priced(job)
    unknown = job.model_copy(update={"model": "small>unpriced"})
    assert not priced(unknown)
    with pytest.raises(ConfigError, match="what unpriced costs is not known"):
        check_costs(unknown)
    with pytest.raises(ConfigError, match="model unpriced has no known price"):
        check_prices(Budget(usd=1.0), models_of_job(unknown))
    free = job.model_copy(update={"model": "qwen2.5-coder-0.5b>qwen2.5-coder-1.5b"})
    with pytest.raises(ConfigError, match="costs no USD here"):
        check_costs(free)


def test_members_of_a_chain_are_the_models_of_their_own_ids(own: Engines) -> None:
    paid: list[str] = []

    class Memory(dict[str, Any]):
        def put(self, entry: Any) -> None:
            self[entry.key] = entry

    class Purse(Account):
        def __init__(self) -> None:
            pass

        def paying(self, charge: Any) -> Any:
            paid.append(charge.model)
            raise EngineError(charge.model)

    leases: Any = object()
    source = model_source(Memory(), Purse(), leases)
    chain = source(CHAIN).engine
    assert [member.engine for member in chain.members] == [
        source("small").engine,
        source("large").engine,
    ]
    assert all(member.engine.leases is leases for member in chain.members)


def test_the_list_of_models_shows_a_chain(engines: Engines) -> None:
    assert "small, then large" in invoke("models", "list")
