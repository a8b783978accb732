"""DSPy's optimizers in the uniform form: each finds something, keeps the rest, and is repeatable.

The scripted model knows two of four tasks by itself, and all of them once it is shown a demo or
told the magic word, which every proposer proposes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.app.export import (
    Artifact,
    ModelRef,
    build_program,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.errors import BudgetSpent, ProviderError, SandboxError
from lift_sys.inference.failures import EngineError, RefusedError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.record import canonical_json
from optimizers.recipes import RECIPES
from optimizers.teleprompters import build
from programs.hypers import hypers_of
from programs.spec_to_code import SpecToCode
from tests.optimizers.half_known import (
    DEMOS,
    EITHER,
    EXAMPLES,
    INSTRUCTIONS,
    SETTINGS,
    SINGLE,
    TASKS,
    USED,
    Setup,
    answer,
    demos_of,
    instructions_of,
    state,
)


@pytest.mark.parametrize("name", SINGLE)
def test_what_is_found_is_a_program_like_any_other(name: str, setup: Setup, tmp_path: Path) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile(name, student)

    assert state(student) == before
    assert instructions_of(setup.student()) == instructions_of(student)
    assert type(compiled) is SpecToCode
    demos, instructions = demos_of(compiled), instructions_of(compiled)
    changed = {p for p, text in instructions.items() if text != instructions_of(student)[p]}
    assert bool(demos) >= (name in DEMOS)
    assert bool(changed) >= (name in INSTRUCTIONS)
    assert demos or changed
    assert set(demos) | changed <= set(USED)
    assert setup.passed(student) == 2
    assert setup.passed(compiled) == 4

    own = {"demo_choice", "demo_count"} if name == "knn_few_shot" else set()
    for path, hyper in hypers_of(student).items():
        if path.split(".")[-1] not in own:
            assert hypers_of(compiled)[path].value == hyper.value
    hypers, predictors = describe_program(compiled)
    artifact = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id="m", sha256="0" * 64),
        hypers=hypers,
        predictors=predictors,
    )
    loaded = build_program(
        load_artifact(save_artifact(artifact, tmp_path / "a.json")), setup.sandbox
    )
    assert describe_program(loaded) == (hypers, predictors)
    assert setup.passed(loaded) == 4
    for demo in (d for found in demos.values() for d in found):
        assert not {"task_id", "visible", "augmented"} & set(demo)


def test_members_of_an_ensemble_vote(setup: Setup, tmp_path: Path) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile("ensemble", student)

    assert state(student) == before
    assert len(compiled.programs) == 3
    assert any(demos_of(member) for member in compiled.programs)
    assert setup.passed(compiled) == 4
    for member in compiled.programs:
        assert {p: h.value for p, h in hypers_of(member).items()} == {
            p: h.value for p, h in hypers_of(student).items()
        }
    again = setup.compile("ensemble")
    assert state(again) == state(compiled)
    blank = setup.compile("ensemble", trials=3, demos=1)
    blank.load_state(json.loads(state(compiled)))
    assert state(blank) == state(compiled)
    assert setup.passed(blank) == 4


@pytest.mark.parametrize("name", SINGLE)
def test_the_same_seed_finds_the_same_and_spends_no_more_than_told(name: str, setup: Setup) -> None:
    measured = 0
    metric = setup.metric

    def counting(gold: Any, pred: Any, trace: Any = None, *named: Any) -> Any:
        nonlocal measured
        measured += trace is None
        return metric(gold, pred, trace, *named)

    def bodies() -> str:
        asked = canonical_json(setup.engine.bodies)
        setup.engine.bodies.clear()
        return asked

    settings = replace(SETTINGS, trials=20) if name == "simba" else SETTINGS
    with dspy.context(lm=setup.lm):
        found = build(name, counting, settings).compile(setup.student(), trainset=EXAMPLES)
    asked = bodies()
    # GEPA ends before an iteration: the last one may pass its budget.
    assert measured <= (settings.trials + (name == "gepa")) * len(TASKS) + 6 * (name == "gepa")
    again = setup.compile(name)
    assert state(again) == state(found)
    assert bodies() == asked
    setup.compile(name, seed=4)
    assert (bodies() != asked) is (name != "labeled_few_shot")


@pytest.mark.parametrize(
    ("which", "name"),
    [
        *(("model", name) for name in RECIPES if name != "labeled_few_shot"),
        *(
            ("budget", name)
            for name in ("bootstrap_few_shot", "mipro_v2", "simba", "copro", "gepa")
        ),
        *(("sandbox", name) for name in ("bootstrap_few_shot", "mipro_v2", "simba", "gepa")),
        *(("proposer", name) for name in sorted(INSTRUCTIONS | EITHER - {"better_together"})),
    ],
)
def test_a_failure_of_a_backend_ends_the_compile(name: str, which: str, setup: Setup) -> None:
    def failing(request: Request) -> str:
        if len(engine.requests) > 6 and which == "model":
            raise EngineError("it is gone")
        if len(engine.requests) > 6 and which == "budget":
            raise RefusedError("it is gone")
        if not current_stage() and which == "proposer":
            raise EngineError("it is gone")
        return answer(request)

    def metric(gold: Any, pred: Any, trace: Any = None, *named: Any) -> Any:
        if len(engine.requests) > 6 and which == "sandbox":
            raise SandboxError("it is gone")
        return setup.metric(gold, pred, trace, *named)

    engine = ScriptedEngine(failing)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    kinds = {"sandbox": SandboxError, "budget": BudgetSpent}
    kind = kinds.get(which, ProviderError)
    with dspy.context(lm=lm), pytest.raises(kind, match="it is gone"):
        build(name, metric, SETTINGS).compile(setup.student(), trainset=EXAMPLES)
    if which in {"model", "budget"}:
        assert len(engine.requests) == 7


@pytest.mark.parametrize(
    "name", sorted(set(RECIPES) - INSTRUCTIONS - {"labeled_few_shot", "simba"})
)
def test_failing_traces_make_no_demos(name: str, setup: Setup) -> None:
    """A prediction with a score of 0 is truthy."""

    def nothing_passes(*_: Any) -> dspy.Prediction:
        return dspy.Prediction(score=0.0, feedback="wrong")

    settings = replace(SETTINGS, trials=7)
    with dspy.context(lm=setup.lm):
        compiled = build(name, nothing_passes, settings).compile(setup.student(), trainset=EXAMPLES)
    assert not demos_of(compiled)
