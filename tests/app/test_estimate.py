"""What a job costs is estimated from rates, as ranges; what has no rate is unknown."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lift_sys.app.data import Data, load_data
from lift_sys.app.estimate import (
    NO_DEMOS,
    Cost,
    Estimate,
    Estimator,
    estimate_job,
)
from lift_sys.app.rates import StageRate
from lift_sys.app.space import search_space
from lift_sys.config import RunConfig
from lift_sys.sandbox.base import ClosedSandbox
from programs.presets import make_program

MODEL = "qwen2.5-coder-0.5b"
CLAUDE = "claude"


def rate(tokens: int) -> StageRate:
    return StageRate(calls=9, tokens_out=tokens, tokens_in=1000, seconds=2)


RATES = {(MODEL, "code"): rate(10), (MODEL, "ir"): rate(100), (CLAUDE, "code"): rate(10)}
PROGRAM = make_program("single", ClosedSandbox())
DIRECT = {"ir_detail": "none", "code_sees": "spec"}


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(RunConfig())


def phases(config: RunConfig, data: Data, *, open_test: bool = False) -> dict[str, Estimate]:
    space = search_space(config, NO_DEMOS, PROGRAM)
    found = estimate_job(config, data, space, RATES, open_test=open_test)
    return {phase.name: phase.estimate for phase in found}


def fixed(**more: Any) -> RunConfig:
    """A job with one point only, whose answers cost 110 tokens."""
    return RunConfig(space={"temperature": (0.0,)}, first_points=(), **more)


def test_a_point_costs_the_answers_of_its_stages() -> None:
    estimate = Estimator(MODEL, RATES).point({"demos": "none", "temperature": 0.7, "n": 3})

    assert estimate.low == Cost(110, 2000, 4)
    assert estimate.high == Cost(330, 6000, 12)
    assert estimate.used == {(MODEL, "code"), (MODEL, "ir")}


def test_points_do_not_remember_each_other() -> None:
    estimator = Estimator(MODEL, RATES)
    before = estimator.point({})
    estimator.point({"n": 3, "temperature": 0.7, "reason": True})

    assert estimator.point({}) == before


def test_prices_of_the_catalogue_count() -> None:
    direct = Estimator(CLAUDE, RATES).point(DIRECT)

    assert direct.low.usd == pytest.approx((1000 * 3 + 10 * 15) / 1e6)


def test_a_stage_without_a_rate_is_unknown() -> None:
    estimate = Estimator(MODEL, RATES).point({"reason": True, "ir_generator.model": CLAUDE})

    assert estimate.unknown == {(MODEL, "reason"), (CLAUDE, "ir")}


def test_each_phase_is_estimated(data: Data) -> None:
    found = phases(fixed(trials=3, search_tokens=10**6), data)

    assert {name: estimate.high.tokens_out for name, estimate in found.items()} == {
        "demo pool": 6 * 110,
        "search": pytest.approx(3 * 8 * 110),
        "re-evaluation": pytest.approx(2 * 8 * 110),
        "final table": pytest.approx(8 * (10 + 110 + 110)),
    }


def test_every_teacher_is_asked_and_proposals_are_unknown(data: Data) -> None:
    teachers = ({"preset": "direct"}, {"preset": "single", "rollout": 1})
    job = RunConfig.model_validate({"teachers": teachers, "instructions": {"grounded": 2}})
    found = phases(job, data)

    assert found["demo pool"].high.tokens_out == 6 * (10 + 110)
    assert found["instructions"].unknown == {(MODEL, "proposed instructions")}
    other = phases(job.model_copy(update={"prompt_model": "other"}), data)
    assert other["instructions"].unknown == {("other", "proposed instructions")}


def test_the_search_ends_with_its_tokens_and_the_other_phases_do_not(data: Data) -> None:
    job = fixed(trials=100, search_tokens=1_100)
    found = phases(job, data, open_test=True)

    assert found["search"].high.tokens_out == pytest.approx(1_100)
    assert found["search"].high.seconds == pytest.approx(10 * 4)
    assert found["re-evaluation"].low.tokens_out == 0  # both may sample nothing
    assert found["re-evaluation"].high.tokens_out == pytest.approx(2 * 8 * 110)
    assert found["final table"].low.tokens_out == pytest.approx(18 * 230)


def test_first_points_count_as_what_they_are(data: Data) -> None:
    space = {"ir_detail": ("basic", "none"), "temperature": (0.0,)}
    one = {**DIRECT, "temperature": 0.0}
    job = RunConfig.model_validate({"space": space, "first_points": (one,), "trials": 1})

    assert phases(job, data)["search"].high.tokens_out == 8 * 10


def test_the_mean_lies_between_the_cheapest_and_the_dearest_point() -> None:
    job = RunConfig.model_validate({"space": {"n": (1, 3), "temperature": (0.0, 0.7)}})
    mean = Estimator(MODEL, RATES).mean(search_space(job, NO_DEMOS, PROGRAM), seed=0)

    assert mean.low.tokens_out == pytest.approx(110)
    assert 110 < mean.high.tokens_out < 330


def test_an_empty_estimate_stays_within_any_limit() -> None:
    assert Estimate().within(0) == Estimate()
    assert dataclasses.replace(Estimate(), low=Cost(10, 20)).within(5).low == Cost(5, 10)
