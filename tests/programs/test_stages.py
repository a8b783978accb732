"""A stage's own settings: what they change in a request; by default, nothing."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import recording
from lift_sys.sandbox.base import Sandbox
from programs.hypers import hypers_of, set_hypers
from programs.modules import CodeGenerator
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import Sampling, named_models, no_models, show_nearest

CODE = "```python\ndef double(x):\n    return 2 * x\n```"
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
OTHER = "qwen2.5-coder-1.5b"
STAGES = ("reasoner", "ir_generator", "critic", "refiner", "code_generator")


def scripted(name: str = "scripted", **more: Any) -> tuple[dspy.LM, ScriptedEngine]:
    engine = ScriptedEngine(lambda r: json.dumps(IR) if r.config.response_format else CODE, **more)
    return dspy.LM(f"local/{name}", engine=engine, cache=False, num_retries=0), engine


def body_of(sampling: Sampling, **hypers: Any) -> dict[str, Any]:
    """Return the request of a code stage with these settings."""
    lm, engine = scripted()
    stage = CodeGenerator()
    set_hypers(stage, hypers)
    with dspy.context(lm=lm):
        stage(name="double", spec="Double x.", ir=None, sampling=sampling)
    return engine.bodies[0]


def test_by_default_a_request_holds_the_programs_settings_and_no_others() -> None:
    body = body_of(Sampling(temperature=0.5, seed=17))

    assert set(body) == {"model", "messages", "temperature", "seed", "max_tokens"}
    assert (body["temperature"], body["seed"]) == (0.5, 17)


@pytest.mark.parametrize(
    ("hypers", "changed"),
    [
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"temperature": 0.9}, {"temperature": 0.9}),
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"top_p": 0.8}, {"top_p": 0.8}),
        ({"seed": 0}, {}),
        ({"seed": 3}, {"seed": 20}),
        ({"max_tokens": 1024}, {"max_tokens": 1024}),
    ],
)
def test_a_stages_own_setting_is_sent(hypers: dict[str, Any], changed: dict[str, Any]) -> None:
    sampling = Sampling(temperature=0.5, seed=17)

    assert body_of(sampling, **hypers) == body_of(sampling) | changed


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_a_copy_of_a_model_for_another_rollout_draws_another_answer(temperature: float) -> None:
    lm, engine = scripted()
    stage = CodeGenerator()
    for rollout in (0, 1):
        with dspy.context(lm=lm.copy(rollout_id=rollout, temperature=0.9)):
            sampling = Sampling(temperature, seed=17)
            stage(name="double", spec="Double x.", ir=None, sampling=sampling)
    assert [(b["temperature"], b["seed"]) for b in engine.bodies] == [(0.9, 17), (0.9, 18)]


def test_a_program_shows_the_nearest_demos_in_every_stage(sandbox: Sandbox) -> None:
    program = SpecToCode(sandbox)
    show_nearest(program, 99)
    assert program.critic.demo_choice.value == program.code_generator.demo_choice.value == "nearest"
    assert program.code_generator.demo_count.value == 8
    show_nearest(program, 2)
    assert program.code_generator.demo_count.value == 2


def test_a_seed_stays_what_backends_take() -> None:
    largest = 0x7FFFFFFF

    assert body_of(Sampling(temperature=0.5, seed=largest), seed=1)["seed"] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_a_program_has_the_same_settings(sandbox: Sandbox, stage: str) -> None:
    hypers = hypers_of(make_program("single", sandbox))
    values = {name: hypers[f"{stage}.{name}"].value for name in ("temperature", "top_p", "seed")}

    assert values == {"temperature": "program", "top_p": "model", "seed": 0}
    assert hypers[f"{stage}.model"].space.choices == (
        "program",
        *(model.id for model in catalogue.all_models()),
    )


def test_a_stage_asks_the_model_that_it_names(sandbox: Sandbox) -> None:
    lm, engine = scripted("small")
    other, other_engine = scripted("large")
    asked: list[str] = []

    def models(model_id: str) -> dspy.LM:
        asked.append(model_id)
        return other

    program = SpecToCode(sandbox, models)
    set_hypers(program, {"code_generator.model": OTHER})
    with recording() as calls, dspy.context(lm=lm):
        answer = program.deepcopy()(spec="Double x.", entry_point="double")

    assert answer.code
    assert set(asked) == {OTHER}
    assert (len(engine.requests), len(other_engine.requests)) == (1, 1)
    assert [(c.stage, c.model) for c in calls] == [("ir", "local/small"), ("code", "local/large")]


def test_a_named_model_comes_before_one_that_was_set(sandbox: Sandbox) -> None:
    set_one, set_engine = scripted()
    other, other_engine = scripted()
    program = make_program("single", sandbox).with_models(lambda _: other)
    program.set_lm(set_one)
    set_hypers(program, {"ir_generator.model": OTHER})
    program(spec="Double x.", entry_point="double")

    assert (len(set_engine.requests), len(other_engine.requests)) == (1, 1)


def test_without_models_none_can_be_named(sandbox: Sandbox) -> None:
    lm, engine = scripted()
    program = make_program("direct", sandbox)
    set_hypers(program, {"code_generator.model": OTHER})
    with dspy.context(lm=lm), pytest.raises(ConfigError, match=r"a stage asks for .*1\.5b"):
        program(spec="Double x.")

    assert engine.requests == []
    with pytest.raises(ConfigError):
        no_models(OTHER)


def test_a_copy_with_other_models_leaves_the_program_as_it_was(sandbox: Sandbox) -> None:
    lm, _ = scripted()
    program = make_program("direct", sandbox)
    set_hypers(program, {"code_generator.model": OTHER, "n": 4})
    copy = program.with_models(lambda _: lm)

    assert copy(spec="Double x.", entry_point="double").code
    assert copy.dump_state() == program.dump_state()
    with pytest.raises(ConfigError):
        program(spec="Double x.")


def test_the_models_of_a_program_are_named_once_each(sandbox: Sandbox) -> None:
    program = make_program("single", sandbox)
    assert named_models(program) == ()
    set_hypers(
        program,
        {"reasoner.model": OTHER, "critic.model": "claude", "code_generator.model": OTHER},
    )

    assert named_models(program) == (OTHER, "claude")


def test_settings_survive_saving_and_loading(sandbox: Sandbox) -> None:
    program = make_program("single", sandbox)
    own = {"code_generator.temperature": 0.7, "ir_generator.top_p": 0.9, "critic.model": OTHER}
    set_hypers(program, own)
    loaded = SpecToCode(sandbox)
    loaded.load_state(json.loads(json.dumps(program.dump_state())))

    assert loaded.dump_state() == program.dump_state()
    assert {path: hypers_of(loaded)[path].value for path in own} == own


@pytest.mark.parametrize(
    ("hypers", "irs", "codes", "temperatures"),
    [
        ({}, 1, 1, {0.0}),
        ({"code_generator.temperature": 0.7}, 1, 3, {0.0, 0.7}),
        ({"ir_generator.temperature": 0.7}, 3, 3, {0.0, 0.7}),
        ({"temperature": 0.5, "ir_generator.temperature": 0.0}, 1, 3, {0.0, 0.5}),
        ({"temperature": 0.5, "code_generator.temperature": 0.0}, 3, 3, {0.0, 0.5}),
        ({"temperature": 0.5, "select": "quality"}, 3, 1, {0.5}),
        ({"code_generator.temperature": 0.7, "select": "quality"}, 1, 1, {0.0, 0.7}),
        ({"reasoner.temperature": 0.7}, 1, 1, {0.0}),
        ({"critic.temperature": 0.7}, 1, 1, {0.0}),
        ({"code_generator.temperature": 0.7, "ir_detail": "none"}, 0, 3, {0.7}),
        ({"ir_generator.temperature": 0.7, "ir_detail": "none"}, 0, 1, {0.0}),
    ],
)
def test_candidates_are_drawn_where_a_stage_that_makes_them_samples(
    sandbox: Sandbox, hypers: dict[str, Any], irs: int, codes: int, temperatures: set[float]
) -> None:
    wrong = "```python\ndef double(x):\n    return x\n```"
    engine = ScriptedEngine(lambda r: json.dumps(IR) if r.config.response_format else wrong)
    lm = dspy.LM("local/s", engine=engine, cache=False, num_retries=0)
    program = make_program("single", sandbox)
    set_hypers(program, {"n": 3, "select": "assertions"} | hypers)
    with dspy.context(lm=lm):
        answer = program(spec="Double x.", entry_point="double")
    formats = [r.config.response_format is not None for r in engine.requests]
    sampled = [r.config.seed for r in engine.requests if r.config.temperature]

    assert (formats.count(True), formats.count(False)) == (irs, codes)
    assert {r.config.temperature for r in engine.requests} == temperatures
    assert len(set(sampled)) == len(sampled)
    assert [a.index for a in answer.attempts] == list(range(max(irs, codes)))
