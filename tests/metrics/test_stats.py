"""Intervals and paired tests against published values and brute force."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.stats import ALPHA, Rate, compare


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


def outcomes(first: list[bool], second: list[bool]) -> tuple[dict[str, bool], dict[str, bool]]:
    return (
        {f"t{i}": value for i, value in enumerate(first)},
        {f"t{i}": value for i, value in enumerate(second)},
    )


def brute_force(gained: int, lost: int) -> float:
    """Return the share of all equally likely ways to flip that are at least as one-sided."""
    flips = gained + lost
    ways = [sum(signs) for signs in itertools.product((0, 1), repeat=flips)]
    extreme = max(gained, lost)
    return sum(w >= extreme or w <= flips - extreme for w in ways) / len(ways)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=10))
def test_mcnemar_agrees_with_brute_force(pairs: list[tuple[bool, bool]]) -> None:
    first, second = outcomes([a for a, _ in pairs], [b for _, b in pairs])
    found = compare(first, second)
    assert set(found.only_first) == {t for t in first if first[t] > second[t]}
    assert set(found.only_second) == {t for t in first if second[t] > first[t]}
    expected = brute_force(len(found.only_second), len(found.only_first))
    assert found.p_value == pytest.approx(expected)
    assert compare(second, first).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value", "verdict"),
    [
        (0, 0, 1.0, "not enough evidence of a difference"),
        (1, 0, 1.0, "not enough evidence of a difference"),
        (5, 0, 0.0625, "not enough evidence of a difference"),
        (6, 0, 0.03125, "better"),
        (0, 6, 0.03125, "worse"),
        (3, 3, 1.0, "not enough evidence of a difference"),
        (8, 1, 0.0390625, "better"),
        (1, 8, 0.0390625, "worse"),
    ],
)
def test_what_flips_show(gained: int, lost: int, p_value: float, verdict: str) -> None:
    same = [True, False, True]
    first, second = outcomes(
        [False] * gained + [True] * lost + same, [True] * gained + [False] * lost + same
    )
    found = compare(first, second)
    assert found.p_value == pytest.approx(p_value)
    assert found.verdict == verdict
    assert (found.p_value <= ALPHA) == (verdict in {"better", "worse"})


@pytest.mark.parametrize("other", [{}, {"a": True}, {"a": True, "b": True, "c": True}])
def test_other_tasks_cannot_be_compared(other: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="same tasks on both sides"):
        compare({"a": True, "b": False}, other)


def test_no_tasks_are_no_evidence() -> None:
    assert compare({}, {}).p_value == 1.0
