"""Recipes: defects of DSPy that are avoided, settings that are refused, a user's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dspy
import optuna
import pytest
from dspy.lm15 import Request
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.errors import ConfigError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.record import canonical_json
from optimizers.teleprompters import Uniform, build
from optimizers.watching import Effort
from programs.hypers import hypers_of, set_hypers
from programs.spec_to_code import SpecToCode
from tests.optimizers.half_known import (
    EXAMPLES,
    LABELS,
    MAGIC,
    SETTINGS,
    USED,
    Setup,
    answer,
    demos_of,
    instructions_of,
    state,
)


@pytest.mark.parametrize("name", ["bootstrap_optuna", "gepa", "infer_rules", "mipro_v2"])
def test_predictors_that_are_switched_off_do_no_harm(name: str, setup: Setup) -> None:
    compiled = setup.compile(name, predictors=None)
    assert set(demos_of(compiled)) <= set(USED)
    assert setup.passed(compiled) == 4


def test_equal_requests_of_a_proposer_get_different_seeds(setup: Setup) -> None:
    setup.compile("copro", trials=12)
    asked = [
        canonical_json(b) for b in setup.engine.bodies if '"temperature":1.4' in canonical_json(b)
    ]
    assert len(asked) == len(set(asked)) == 10


def mumbling() -> dspy.LM:
    """Return the model, but with nothing to read in what it proposes."""

    def mumble(request: Request) -> str:
        return answer(request) if current_stage() else "no fields here"

    return dspy.LM("local/script", engine=ScriptedEngine(mumble), cache=False, num_retries=0)


def test_rules_that_cannot_be_read_are_none(setup: Setup) -> None:
    compiled = replace(setup, lm=mumbling()).compile("infer_rules")

    assert instructions_of(compiled) == instructions_of(setup.student())
    assert demos_of(compiled)


@pytest.mark.parametrize("name", ["copro", "mipro_v2"])
def test_instructions_that_cannot_be_read_end_the_compile(name: str, setup: Setup) -> None:
    with pytest.raises(ConfigError, match="asked to write instructions, and its answer cannot"):
        replace(setup, lm=mumbling()).compile(name)


def test_seed_0_is_a_seed(setup: Setup) -> None:
    """DSPy's MIPROv2 takes 0 for none, and then its own 9."""
    found = [str(setup.compile("mipro_v2", seed=seed).dump_state()) for seed in (0, 9)]
    assert found[0] != found[1]


def test_mipro_without_demos_searches_instructions(setup: Setup) -> None:
    compiled = setup.compile("mipro_v2", demos=0)
    assert not demos_of(compiled)
    assert setup.passed(compiled) == 4


def test_nothing_of_dspy_is_left_behind(setup: Setup) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    first = setup.compile("mipro_v2")
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    optuna.logging.set_verbosity(verbosity)
    assert vars(first).keys() == vars(setup.student()).keys() | {"_compiled"}
    assert first._compiled is False
    first._compiled = True
    second = setup.compile("bootstrap_few_shot", first)
    assert demos_of(second)
    assert instructions_of(second) == instructions_of(first)


def test_a_valset_selects_and_makes_no_demos(setup: Setup) -> None:
    with dspy.context(lm=setup.lm):
        optimizer = build("random_search", setup.metric, SETTINGS)
        compiled = optimizer.compile(setup.student(), trainset=EXAMPLES[:1], valset=EXAMPLES[1:])
    names = {demo["name"] for demos in demos_of(compiled).values() for demo in demos}
    assert names == {"times2"}


def test_labels_become_demos_of_the_predictors_that_they_are_for(setup: Setup) -> None:
    demos = demos_of(setup.compile("labeled_few_shot"))
    known = [label["code_generator.predict"] for label in LABELS.values()]
    assert set(demos) == {"code_generator.predict"}
    assert all(demo in known for demo in demos["code_generator.predict"])
    assert not demos_of(setup.compile("labeled_few_shot", labels={}))


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_compile_took_is_known(threads: int, setup: Setup) -> None:
    optimizer = Uniform("mipro_v2", setup.metric, replace(SETTINGS, threads=threads))
    assert optimizer.effort == Effort(0, 0, ())
    with dspy.context(lm=setup.lm):
        optimizer.compile(setup.student(), trainset=EXAMPLES)
    effort = optimizer.effort
    assert len(effort.calls) == len(setup.engine.requests)
    assert {"ir", "code", ""} == {call.stage for call in effort.calls}
    assert effort.scored >= effort.programs * len(EXAMPLES)
    assert 1 < effort.programs <= SETTINGS.trials


class Renaming(Teleprompter):
    """A user's own: tells every predictor the magic word and sets a hyper."""

    def compile(self, student: SpecToCode, *, trainset: Sequence[dspy.Example]) -> SpecToCode:
        for predictor in student.predictors():
            text = predictor.signature.instructions
            predictor.signature = predictor.signature.with_instructions(f"{text}\n{MAGIC}.")
        set_hypers(student, {"n": 5})
        return student


@pytest.mark.parametrize("own", [Renaming, lambda: dspy.LabeledFewShot(k=1)])
def test_a_teleprompter_of_ones_own_is_as_good(own: Any, setup: Setup) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile(own(), student)
    assert state(student) == before
    assert setup.passed(compiled) == 4
    assert compiled.n.value == (5 if own is Renaming else 2)


def test_hypers_survive_what_dspy_does_to_programs(setup: Setup) -> None:
    student = setup.student()
    values = {path: hyper.value for path, hyper in hypers_of(student).items()}
    loaded = SpecToCode(setup.sandbox)
    loaded.load_state(json.loads(state(student)))
    for copy in (student.deepcopy(), student.reset_copy(), loaded):
        assert {path: hyper.value for path, hyper in hypers_of(copy).items()} == values


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("best", {}, "no optimizer 'best'; choose one of: labeled_few_shot"),
        ("gepa", {"trials": 0}, "trials must be at least 1 and is 0"),
        ("gepa", {"demos": -1}, "demos must be at least 0 and is -1"),
        ("copro", {"trials": 3}, r"copro needs at least 4 trials \(2 for each of 2 predictors\)"),
        ("simba", {"trials": 6}, "simba needs at least 7 trials and was given 6"),
        ("random_search", {"demos": 0}, "random_search needs demos of at least 1"),
        ("knn_few_shot", {"show_nearest": None}, "knn_few_shot needs the setting show_nearest"),
        ("gepa", {"predictors": ("x",)}, "no predictor 'x'; this program has: reasoner.predict"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    name: str, changes: dict[str, Any], said: str, setup: Setup
) -> None:
    with pytest.raises(ConfigError, match=said):
        setup.compile(name, **changes)
    assert not setup.engine.requests


def test_bad_input_is_refused(setup: Setup) -> None:
    def nan(*_: Any) -> float:
        return float("nan")

    student = setup.student()
    with pytest.raises(ConfigError, match="a model in force"):
        build("gepa", setup.metric).compile(student, trainset=EXAMPLES)
    with dspy.context(lm=setup.lm):
        with pytest.raises(ConfigError, match="at least one train task"):
            build("gepa", setup.metric).compile(student, trainset=[])
        with pytest.raises(ConfigError, match="'gepa' takes no teacher"):
            build("gepa", setup.metric).compile(student, trainset=EXAMPLES, teacher=student)
        with pytest.raises(ConfigError, match="returned NaN"):
            build("random_search", nan).compile(student, trainset=EXAMPLES)
