"""A job's configuration: checked before anything is spent, and named by its hash."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lift_sys.config import Budget, RunConfig, Teacher
from lift_sys.wish import Wish

HASHES = {"train": "a" * 64, "dev": "b" * 64}


def test_json_loses_nothing() -> None:
    config = RunConfig(seed=3, space={"temperature": (0.0, 1), "reason": (True, False), "n": (1,)})
    back = RunConfig.model_validate_json(config.model_dump_json())
    assert repr(back) == repr(config)
    assert back.content_hash(HASHES) == config.content_hash(HASHES)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"trails": 3}, "trails\n.*Extra inputs"),
        ({"trials": 0}, "trials\n.*greater than or equal to 1"),
        ({"demos": 9}, "demos\n.*less than or equal to 8"),
        ({"demos": 0}, "demos"),
        ({"demo_sets": ("all",)}, "demo_sets.0\n.*'spread', 'short' or 'bank'"),
        ({"pool_tasks": -1}, "pool_tasks"),
        ({"teachers": ({}, {"preset": "single"})}, "the teacher 'single' is named twice"),
        ({"teachers": ({"preset": "single", "rollout": -1},)}, "teachers.0.rollout"),
        ({"demos_for": "stage"}, "demos_for"),
        ({"instructions": {"magic": 1}}, "instructions.magic.*\n.*'grounded', 'copro' or 'gepa'"),
        ({"instructions": {"gepa": 0}}, "instructions.gepa\n.*greater than or equal to 1"),
        ({"instructions": {"gepa": 1}, "pool_tasks": 0}, "pool_tasks must be at least 1"),
        ({"dev_tasks": 0}, "dev_tasks"),
        ({"test_tasks": 0}, "test_tasks"),
        ({"search_tokens": 0}, "search_tokens"),
        ({"drop_alpha": 1.0}, "drop_alpha\n.*less than 1"),
        ({"reevaluate": -1}, "reevaluate"),
        ({"objectives": ("euros",)}, "objectives.0\n.*'tokens', 'usd' or 'seconds'"),
        ({"wish": "good"}, "wish\n.*'good' is not understood"),
        ({"seed": "x"}, "seed"),
        ({"space": {"n": ()}}, "space of 'n' has no choices"),
        ({"space": {"n": ([1],)}}, "space.n.0"),
        ({"schema_version": 2}, "version 2 of RunConfig .*upgrade lift-sys"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RunConfig.model_validate(fields)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"optimizer": "gepa"},
        {"preset": "direct"},
        {"seed": 1},
        {"train_data": "x"},
        {"dev_data": "x"},
        {"test_data": "x"},
        {"pool_tasks": 0},
        {"demos": 1},
        {"demo_sets": ("spread", "bank")},
        {"teachers": ()},
        {"demos_for": "predictor"},
        {"instructions": {"copro": 1}},
        {"prompt_model": "other"},
        {"dev_tasks": 1},
        {"test_tasks": 1},
        {"trials": 1},
        {"search_tokens": 1},
        {"drop_alpha": 0.1},
        {"reevaluate": 1},
        {"objectives": ("tokens",)},
        {"space": {"n": (1,)}},
        {"first_points": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_follows_every_field(change: dict[str, Any]) -> None:
    changed = RunConfig.model_validate(change)
    assert changed.content_hash(HASHES) != RunConfig().content_hash(HASHES)


def test_every_field_that_is_asked_is_covered_above() -> None:
    covered = test_the_hash_follows_every_field.pytestmark[0].args[1]
    names = {name for change in covered for name in change}
    unasked = {"schema_version", "wish", "budget", "executor"}
    assert names == set(RunConfig.model_fields) - unasked


def test_one_search_fulfils_several_wishes() -> None:
    one = RunConfig(objectives=("tokens",))
    for wish in ("best under tokens=100", "cheapest within 2 points"):
        other = RunConfig(objectives=("tokens",), wish=Wish.model_validate(wish))
        assert other.content_hash(HASHES) == one.content_hash(HASHES)


def test_the_hash_follows_the_data() -> None:
    config = RunConfig()
    assert config.content_hash(HASHES) != config.content_hash(HASHES | {"dev": "c" * 64})
    assert config.content_hash(dict(reversed(HASHES.items()))) == config.content_hash(HASHES)


def test_a_larger_budget_is_the_same_job() -> None:
    config = RunConfig(budget=Budget(tokens=5))
    assert config.content_hash(HASHES) == RunConfig().content_hash(HASHES)
    assert "budget" not in config.asked()


@pytest.mark.parametrize("budget", [{"tokens": 0}, {"usd": 0}, {"seconds": float("inf")}, {"x": 1}])
def test_a_wrong_budget_is_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"budget": budget})


def test_the_name_of_a_teacher_tells_what_it_is() -> None:
    names = {
        "single": Teacher(),
        "refine-t0.7-r2": Teacher(preset="refine", temperature=0.7, rollout=2),
        "direct-m-t0": Teacher(preset="direct", model="m", temperature=0),
    }
    assert [teacher.name for teacher in names.values()] == list(names)
