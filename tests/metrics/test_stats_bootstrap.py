"""The paired bootstrap over tasks against enumeration, scipy and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import bootstrap

from metrics.stats import compare_rollouts

Outcomes = dict[str, list[float]]


def one_each(gains: list[float]) -> tuple[Outcomes, Outcomes]:
    """Return programs with one rollout a task that differ by these gains, each from -1 to 1."""
    first = {f"t{i}": [max(0.0, -gain)] for i, gain in enumerate(gains)}
    second = {f"t{i}": [max(0.0, gain)] for i, gain in enumerate(gains)}
    return first, second


def test_means_are_of_tasks_whatever_their_number_of_rollouts() -> None:
    found = compare_rollouts({"a": [0, 1], "b": [0]}, {"a": [1], "b": [0, 0, 1]}, seed=0)
    assert found.tasks == 2
    assert found.difference.estimate == pytest.approx((0.5 + 1 / 3) / 2)


def test_it_agrees_with_every_way_to_draw_tasks() -> None:
    gains = [0.5, -0.25, 1.0, 0.0, 0.25]
    means = np.array([np.mean(d) for d in itertools.product(gains, repeat=len(gains))])
    found = compare_rollouts(*one_each(gains), seed=0, resamples=200_000)
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.difference.low == pytest.approx(low, abs=0.051)  # the means are 0.05 apart
    assert found.difference.high == pytest.approx(high, abs=0.051)
    assert found.p_value == pytest.approx(2 * np.mean(means <= 1e-12), abs=0.005)


def test_it_agrees_with_scipy() -> None:
    gains = np.random.default_rng(1).uniform(-0.6, 1, size=60)
    found = compare_rollouts(*one_each(list(gains)), seed=0)
    theirs = bootstrap((gains,), np.mean, method="percentile", rng=2).confidence_interval
    assert found.difference.low == pytest.approx(theirs.low, abs=0.01)
    assert found.difference.high == pytest.approx(theirs.high, abs=0.01)


def test_rollouts_of_a_task_are_not_independent_tries() -> None:
    draws = np.random.default_rng(3)
    ends = draws.integers(0, 2, size=(2, 30))
    once = [{f"t{i}": [float(end)] for i, end in enumerate(side)} for side in ends]
    often = [{t: outcome * 20 for t, outcome in side.items()} for side in once]
    assert compare_rollouts(*often, seed=0) == compare_rollouts(*once, seed=0)


@pytest.mark.parametrize("lift", [0.0, 0.15])
def test_the_interval_holds_the_truth_about_95_times_in_a_hundred(lift: float) -> None:
    draws = np.random.default_rng(4)
    held = significant = 0
    for _ in range(400):
        ease = draws.uniform(0.1, 0.8, size=40)
        sides = [
            {f"t{i}": list(draws.binomial(1, p, size=3)) for i, p in enumerate(chances)}
            for chances in (ease, ease + lift)
        ]
        found = compare_rollouts(*sides, seed=0, resamples=1000)
        held += found.difference.low <= lift <= found.difference.high
        significant += found.p_value <= 0.05
    assert 0.91 <= held / 400 <= 0.98
    assert significant / 400 <= 0.09 if lift == 0 else significant / 400 > 0.5


def test_the_seed_decides() -> None:
    sides = one_each([0.5, -0.25, 1.0, 0.0, 0.25, 0.3])
    assert compare_rollouts(*sides, seed=7) == compare_rollouts(*sides, seed=7)
    assert compare_rollouts(*sides, seed=7) != compare_rollouts(*sides, seed=8)


def test_sides_change_places() -> None:
    first, second = one_each([0.5, -0.25, 1.0, 0.1, 0.25, 0.3])
    ahead, behind = (compare_rollouts(*s, seed=0) for s in ((first, second), (second, first)))
    assert ahead.p_value == behind.p_value
    assert ahead.difference.low == pytest.approx(-behind.difference.high)


def test_no_difference_is_no_evidence() -> None:
    found = compare_rollouts(*one_each([0.0] * 9), seed=0)
    assert (found.difference.low, found.difference.high, found.p_value) == (0.0, 0.0, 1.0)


def test_a_p_value_is_never_zero() -> None:
    assert compare_rollouts(*one_each([1.0] * 9), seed=0, resamples=999).p_value == 0.002


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({}, {}, "at least one"),
        ({"a": [1]}, {"b": [1]}, "same tasks"),
        ({"a": []}, {"a": [1]}, "at least one rollout"),
        ({"a": [1]}, {"a": [1.5]}, "from 0 to 1"),
        ({"a": [1]}, {"a": [float("nan")]}, "from 0 to 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: Outcomes, second: Outcomes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        compare_rollouts(first, second, seed=0)
