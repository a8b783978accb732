"""Intervals, pass@k and pass^k against published values and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.stats import Difference, Rate, pass_at_k, pass_hat_k


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [
        (13, 18, 0.491, 0.875),
        (18, 18, 0.824, 1.0),
        (0, 18, 0.0, 0.176),
        (1, 1, 0.207, 1.0),
        (81, 263, 0.255, 0.366),  # Newcombe 1998, table I, method 3
        (15, 148, 0.062, 0.16),
        (0, 20, 0.0, 0.161),
        (1, 29, 0.006, 0.172),
    ],
)
def test_wilson_intervals(passed: int, total: int, low: float, high: float) -> None:
    rate = Rate.of(passed, total)
    assert (round(rate.low, 3), round(rate.high, 3)) == (low, high)
    assert (rate.passed, rate.total) == (passed, total)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_its_formula_and_holds_the_share(counts: tuple[int, int]) -> None:
    passed, total = counts
    rate = Rate.of(passed, total)
    z, share = 1.959963984540054, passed / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + (z / total / 2) ** 2)
    assert rate.low == pytest.approx(centre - half, abs=1e-9)
    assert rate.high == pytest.approx(centre + half, abs=1e-9)
    assert -1e-9 <= rate.low <= share + 1e-9
    assert share - 1e-9 <= rate.high <= 1 + 1e-9


def test_nothing_tried_says_nothing() -> None:
    rate = Rate.of(0, 0)
    assert (rate.low, rate.high) == (0.0, 1.0)
    assert str(rate) == "0/0 (0.0 %, 95 % CI 0–100 %)"


def test_a_rate_as_text() -> None:
    assert str(Rate.of(13, 18)) == "13/18 (72.2 %, 95 % CI 49–88 %)"


@pytest.mark.parametrize(("passed", "total"), [(-1, 3), (4, 3), (0, -1)])
def test_impossible_counts_are_refused(passed: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"{passed} of {total} is not a rate"):
        Rate.of(passed, total)


def test_a_difference_as_text() -> None:
    difference = Difference(estimate=0.1667, low=-0.1389, high=0.447)
    assert str(difference) == "+16.7 points (95 % CI -14 to +45)"


draws = st.integers(1, 8).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))
)


@given(draws)
def test_drawing_rollouts_agrees_with_trying_every_draw(counts: tuple[int, int, int]) -> None:
    passed, total, k = counts
    rollouts = [i < passed for i in range(total)]
    every = list(itertools.combinations(rollouts, k))
    assert pass_at_k(passed, total, k) == pytest.approx(sum(map(any, every)) / len(every))
    assert pass_hat_k(passed, total, k) == pytest.approx(sum(map(all, every)) / len(every))


def test_drawing_is_unbiased_for_the_chance_of_a_pass() -> None:
    share, total, k = 0.3, 10, 4
    weights = [math.comb(total, c) * share**c * (1 - share) ** (total - c) for c in range(11)]
    at_k = sum(w * pass_at_k(c, total, k) for c, w in enumerate(weights))
    hat_k = sum(w * pass_hat_k(c, total, k) for c, w in enumerate(weights))
    assert at_k == pytest.approx(1 - (1 - share) ** k)
    assert hat_k == pytest.approx(share**k)


def test_many_rollouts_neither_overflow_nor_cancel() -> None:
    assert pass_at_k(1, 20_000, 1) == pytest.approx(1 / 20_000, rel=1e-12)
    assert pass_at_k(3, 20_000, 10_000) == pytest.approx(0.875, abs=1e-4)
    assert pass_hat_k(19_997, 20_000, 10_000) == pytest.approx(0.125, abs=1e-4)
    assert pass_hat_k(200, 20_000, 200) < 1e-300


@pytest.mark.parametrize("estimate", [pass_at_k, pass_hat_k])
@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((4, 3, 1), "4 of 3 is not a rate"),
        ((-1, 3, 1), "-1 of 3 is not a rate"),
        ((1, 3, 0), "k is 0"),
        ((1, 3, 4), "k is 4; with 3 rollouts it must be from 1 to 3"),
    ],
)
def test_impossible_draws_are_refused(
    estimate: Callable[[int, int, int], float], counts: tuple[int, int, int], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        estimate(*counts)
