"""The space of a job: refused before anything is spent, and searched only where it matters."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.app.space import check_space, search_space
from lift_sys.config import DEFAULT_SPACE, RunConfig
from lift_sys.errors import ConfigError
from optimizers.pools import DemoSet, Pool

SANDBOX: Any = None
CHOICE = "code_generator.demo_choice"
POOL = Pool(sets=tuple(DemoSet(name=n, tasks=(), demos={}) for n in ("none", "gold-2", "bank")))


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
        check_space(config(space), SANDBOX)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"demo_choice": ("fixed",)}, "the space names 'demo_choice'; this program has: .*demo_ch"),
        ({CHOICE: ("random",)}, "'random' is not a value .* 'fixed', 'nearest'"),
        ({"code_generator.demo_count": (9,)}, "9 is not a value"),
    ],
)
def test_a_space_that_the_program_lacks_is_refused(space: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_space(config(space), SANDBOX)


def test_a_space_without_temperatures_is_refused() -> None:
    with pytest.raises(ConfigError, match="which temperatures"):
        check_space(RunConfig(space={"n": (1,)}), SANDBOX)


def needs(job: RunConfig) -> dict[str, Any]:
    return {d.path: dict(d.needs) for d in search_space(job, POOL).dimensions if d.needs}


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
    space = search_space(config({CHOICE: ("fixed", "nearest")}), POOL)
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
