"""Calibration: known figures, bounds, and what cannot be compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.stats import Calibration

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50)


def test_known_figures() -> None:
    found = Calibration.of([0.1, 0.3, 0.9, 1.0], [False, True, True, True], bins=2)

    assert found.brier == pytest.approx((0.01 + 0.49 + 0.01 + 0) / 4)
    assert found.brier_base == pytest.approx(0.75 * 0.25)
    assert [(b.low, b.high) for b in found.bins] == [(0.0, 0.5), (0.5, 1.0)]
    assert [(b.rate.passed, b.rate.total) for b in found.bins] == [(1, 2), (2, 2)]
    assert [b.forecast for b in found.bins] == pytest.approx([0.2, 0.95])


def test_a_bin_takes_its_lower_bound_and_may_be_empty() -> None:
    found = Calibration.of([0.5], [True], bins=2)

    assert [b.rate.total for b in found.bins] == [0, 1]
    assert found.bins[0].forecast == 0


@given(pairs, st.integers(1, 10))
def test_every_forecast_is_in_one_bin_that_holds_it(
    given_pairs: list[tuple[float, bool]], bins: int
) -> None:
    forecasts, outcomes = zip(*given_pairs, strict=True)
    found = Calibration.of(forecasts, outcomes, bins)

    assert sum(b.rate.total for b in found.bins) == len(given_pairs)
    assert sum(b.rate.passed for b in found.bins) == sum(outcomes)
    for b in found.bins:
        assert not b.rate.total or b.low - 1e-9 <= b.forecast <= b.high + 1e-9
    assert 0 <= found.brier <= 1


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_the_base_is_the_score_of_the_rate_itself(outcomes: list[bool]) -> None:
    rate = sum(outcomes) / len(outcomes)
    found = Calibration.of([rate] * len(outcomes), outcomes)

    assert found.brier == pytest.approx(found.brier_base)


@pytest.mark.parametrize(
    ("forecasts", "outcomes"),
    [([], []), ([0.5], []), ([1.5], [True]), ([float("nan")], [True])],
)
def test_what_cannot_be_compared(forecasts: list[float], outcomes: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"forecast|zip"):
        Calibration.of(forecasts, outcomes)
