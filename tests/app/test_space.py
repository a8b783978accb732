"""The space of a job: refused before anything is spent, and searched only where it matters."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.app.space import (
    asked_predictors,
    check_space,
    check_temperatures,
    search_space,
)
from lift_sys.config import DEFAULT_SPACE, RunConfig
from lift_sys.errors import ConfigError
from optimizers.pools import DemoSet, Instructions, Pool
from programs.presets import make_program

SANDBOX: Any = None
CHOICE = "code_generator.demo_choice"
SHOWN: dict[str, tuple[dict[str, Any], ...]] = {"code_generator.predict": ({"spec": "s"},)}
POOL = Pool(
    sets=(
        DemoSet(name="none", tasks=(), demos={}),
        DemoSet(name="gold-2", tasks=(), demos=SHOWN),
        DemoSet(name="bank", tasks=(), demos={**SHOWN, "ir_generator.predict": ({"spec": "s"},)}),
    ),
    instructions={
        path: (Instructions(name="copro-1", text="Do better."),)
        for path in ("reasoner.predict", "code_generator.predict")
    },
)
NO_WORDS = POOL.model_copy(update={"instructions": {}})
PROGRAM = make_program("single", SANDBOX)


def config(space: dict[str, tuple[Any, ...]], **more: Any) -> RunConfig:
    return RunConfig.model_validate({"space": DEFAULT_SPACE | space, **more})


def test_the_choice_of_demos_can_be_searched_for_each_stage() -> None:
    stages = ("reasoner", "ir_generator", "critic", "refiner", "code_generator")
    for stage in stages:
        space = {
            f"{stage}.demo_choice": ("fixed", "nearest"),
            f"{stage}.demo_count": (0, 8),
            f"{stage}.demo_tokens": (500, 32_768),
        }
        check_space(config(space), PROGRAM)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (
            {"demo_choice": ("fixed",)},
            "the space names 'demo_choice', and the hypers of this program are: .*demo_ch",
        ),
        ({CHOICE: ("random",)}, "'random' is not a value .* 'fixed', 'nearest'"),
        ({"code_generator.demo_count": (9,)}, "9 is not a value"),
    ],
)
def test_a_space_that_the_program_lacks_is_refused(space: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_space(config(space), PROGRAM)


def test_a_space_without_temperatures_is_refused() -> None:
    with pytest.raises(ConfigError, match="which temperatures"):
        check_temperatures(RunConfig(space={"n": (1,)}))


def needs(job: RunConfig, pool: Pool = NO_WORDS) -> dict[str, Any]:
    return {d.path: dict(d.needs) for d in search_space(job, pool, PROGRAM).dimensions if d.needs}


def test_the_default_space_is_what_it_always_was() -> None:
    assert [
        (d.path, d.choices) for d in search_space(RunConfig(), NO_WORDS, PROGRAM).dimensions
    ] == [
        ("demos", ("none", "gold-2", "bank")),
        *DEFAULT_SPACE.items(),
        ("select", ("assertions",)),
    ]


def test_a_choice_needs_demos_to_choose_from() -> None:
    assert needs(config({CHOICE: ("fixed", "nearest")})) == {
        "n": {"temperature": (0.3, 0.7)},
        CHOICE: {"demos": ("gold-2", "bank")},
    }
    assert needs(config({})) == {"n": {"temperature": (0.3, 0.7)}}


def test_first_points_are_completed_and_kept_in_the_space() -> None:
    asked: tuple[dict[str, Any], ...] = (
        {"demos": "bank", CHOICE: "nearest", "n": 99},
        {"demos": "lost"},
    )
    space = search_space(config({CHOICE: ("fixed", "nearest")}), NO_WORDS, PROGRAM)
    rest: dict[str, Any] = {"code_sees": "ir", "reason": False, "temperature": 0.0, "n": 1}
    rest["select"] = "assertions"
    assert tuple(space.complete(point) for point in asked) == (
        {"demos": "bank", CHOICE: "nearest", **rest},
        {"demos": "none", CHOICE: "fixed", **rest},
    )


@pytest.mark.parametrize(
    ("space", "needed"),
    [
        ({}, {"n": {"temperature": (0.5, 1.0)}}),
        ({"critic.seed": (0, 1)}, {"n": {"temperature": (0.5, 1.0)}}),
        ({"code_generator.temperature": ("program", 0.7)}, {}),
    ],
)
def test_several_candidates_need_a_temperature_or_a_stage_that_has_its_own(
    space: dict[str, Any], needed: dict[str, Any]
) -> None:
    job = RunConfig(space={"temperature": (0.0, 0.5, 1.0), "n": (1, 2), **space})
    assert needs(job) == needed


ROUNDS = {"refine_iterations": (0, 1, 2)}


@pytest.mark.parametrize(
    ("space", "path", "needed"),
    [
        (
            {"refiner.model": ("program", "m"), **ROUNDS},
            "refiner.model",
            {"refine_iterations": (1, 2)},
        ),
        ({"repair": ("ir", "code"), **ROUNDS}, "repair", {"refine_iterations": (1, 2)}),
        ({"ir_detail": ("basic", "none")}, "code_sees", {"ir_detail": ("basic",)}),
        (
            {"ir_detail": ("none", "basic"), "reasoner.seed": (0, 1)},
            "reasoner.seed",
            {"ir_detail": ("basic",), "reason": (True,), "temperature": (0.3, 0.7)},
        ),
        (
            {"select": ("first", "assertions"), "ir_from": (0, 1)},
            "select",
            {"n": (2, 3)},
        ),
        ({"select": ("first", "assertions"), "ir_from": (0, 1)}, "n", None),
        ({"code_generator.model": ("program", "m")}, "code_generator.model", None),
    ],
)
def test_what_makes_no_difference_is_not_asked(
    space: dict[str, Any], path: str, needed: dict[str, Any] | None
) -> None:
    assert needs(config(space)).get(path) == needed


def test_what_never_makes_a_difference_is_left_with_its_first_choice() -> None:
    job = config({"refiner.seed": (1, 2), "ir_detail": ("none",), "assertions": (8, 3)})
    left = {d.path: d.choices for d in search_space(job, POOL, PROGRAM).dimensions}
    assert (left["refiner.seed"], left["assertions"]) == ((1,), (8,))
    assert left["reasoner.instructions"] == ("own",)
    assert left["code_generator.instructions"] == ("own", "copro-1")


def test_instructions_are_asked_where_their_stage_is() -> None:
    asked = needs(config({}), POOL)
    assert asked["reasoner.instructions"] == {"reason": (True,)}
    assert "code_generator.instructions" not in asked


def test_each_predictor_may_have_a_demo_set_of_its_own() -> None:
    more = {CHOICE: ("fixed", "nearest"), "critic.demo_choice": ("fixed", "nearest")}
    job = config({"ir_detail": ("none", "basic"), **more}, demos_for="predictor")
    space = search_space(job, POOL, PROGRAM)
    choices = {d.path: d.choices for d in space.dimensions}
    assert choices["code_generator.demos"] == ("none", "gold-2", "bank")
    assert choices["ir_generator.demos"] == ("none", "bank")
    assert "demos" not in choices
    assert choices["critic.demo_choice"] == ("fixed",)
    asked = needs(job)
    assert asked["ir_generator.demos"] == {"ir_detail": ("basic",)}
    assert asked[CHOICE] == {"code_generator.demos": ("gold-2", "bank")}


def test_instructions_are_proposed_for_stages_that_can_be_asked() -> None:
    writers = ("ir_generator.predict", "code_generator.predict")
    assert asked_predictors(config({"reason": (False,)}), PROGRAM) == writers
    assert asked_predictors(config({}), PROGRAM) == ("reasoner.predict", *writers)
    everything: dict[str, tuple[Any, ...]] = {
        "refine_iterations": (0, 1), "critique": ("model", "both"), "repair": ("ir", "blamed"),
    }  # fmt: skip
    assert len(asked_predictors(config(everything), PROGRAM)) == 6
    direct = config({"ir_detail": ("none",)})
    assert asked_predictors(direct, PROGRAM) == ("code_generator.predict",)
