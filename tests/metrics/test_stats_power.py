"""Power of the exact test, and how many tasks it needs, against enumeration and simulation."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from metrics.stats import (
    ALPHA,
    POWER,
    Rate,
    minimum_detectable,
    passes_to_clear,
    power,
    tasks_needed,
    tasks_to_clear,
)
from metrics.stats.power import normal_approximation


@functools.cache
def significant(gained: int, lost: int) -> bool:
    flips = gained + lost
    return flips > 0 and bool(binomtest(gained, flips).pvalue <= ALPHA)


def every_outcome(tasks: int, gain: float, loss: float) -> float:
    """Return the power by adding up the chances of all significant numbers of gains and losses."""
    found = 0.0
    for gained, lost in itertools.product(range(tasks + 1), repeat=2):
        same = tasks - gained - lost
        if same >= 0 and significant(gained, lost):
            ways = math.comb(tasks, gained) * math.comb(tasks - gained, lost)
            found += ways * gain**gained * loss**lost * (1 - gain - loss) ** same
    return found


@pytest.mark.parametrize("tasks", [0, 1, 5, 6, 12, 18])
@pytest.mark.parametrize(("gain", "loss"), [(0.3, 0.0), (0.0, 0.3), (0.4, 0.1), (1.0, 0.0)])
def test_power_agrees_with_adding_up_every_outcome(tasks: int, gain: float, loss: float) -> None:
    found = power(tasks, gain - loss, gain + loss)
    assert found == pytest.approx(every_outcome(tasks, gain, loss), abs=1e-9)


def test_power_agrees_with_simulation() -> None:
    gain, loss, tasks = 0.2, 0.08, 120
    draws = np.random.default_rng(0).multinomial(tasks, [gain, loss, 1 - gain - loss], size=4000)
    share = np.mean([significant(int(g), int(lost)) for g, lost, _ in draws])
    assert power(tasks, gain - loss, gain + loss) == pytest.approx(float(share), abs=0.03)


def test_without_a_difference_power_stays_below_the_level() -> None:
    for tasks, discordant in itertools.product((10, 50, 200), (0.0, 0.2, 1.0)):
        assert power(tasks, 0.0, discordant) <= ALPHA


@pytest.mark.parametrize(
    ("difference", "discordant", "tasks"),
    [
        (0.40, 0.50, 23),  # powerandsamplesize.com's example of Connor 1987
        (1 / 6, 0.20, 55),
        (1 / 6, 0.30, 83),
        (0.05, 0.15, 469),
    ],
)
def test_the_normal_approximation(difference: float, discordant: float, tasks: int) -> None:
    assert normal_approximation(difference, discordant) == tasks
    assert normal_approximation(-difference, discordant) == tasks
    assert power(tasks, difference, discordant) == pytest.approx(POWER, abs=0.05)
    assert tasks <= tasks_needed(difference, discordant) <= 1.1 * tasks


shares = st.floats(0.05, 1).flatmap(
    lambda discordant: st.tuples(st.floats(0.05, discordant), st.just(discordant))
)


@settings(max_examples=60, deadline=None)
@given(shares, st.sampled_from([0.05, 0.05 / 3, 0.005]))
def test_so_many_tasks_are_enough_and_one_fewer_is_not(
    pair: tuple[float, float], alpha: float
) -> None:
    needed = tasks_needed(*pair, alpha)
    assert power(needed, *pair, alpha) >= POWER
    assert power(needed - 1, *pair, alpha) < POWER
    assert tasks_needed(-pair[0], pair[1], alpha) == needed


def test_a_minute_difference_is_answered_at_once() -> None:
    assert tasks_needed(1 / 378, 99 / 378) == normal_approximation(1 / 378, 99 / 378) > 10_000


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 400), st.floats(0, 1))
def test_the_least_difference_that_shows(tasks: int, discordant: float) -> None:
    least = minimum_detectable(tasks, discordant)
    assert least is not None
    assert 0 < least < 1
    for change, enough in ((1e-4, True), (-1e-4, False)):
        other = least + change
        assert (power(tasks, other, max(discordant, other)) >= POWER) == enough


@pytest.mark.parametrize(("tasks", "alpha"), [(0, 0.05), (5, 0.05), (6, 0.05 / 3), (7, 0.005)])
def test_too_few_tasks_show_nothing(tasks: int, alpha: float) -> None:
    assert minimum_detectable(tasks, 0.3, alpha) is None


def test_eighteen_tasks_show_no_less_than_two_fifths() -> None:
    assert minimum_detectable(18, 0.0) == pytest.approx(0.404, abs=0.001)


@pytest.mark.parametrize(("difference", "discordant"), [(0.3, 0.2), (0.3, 1.1), (-0.3, 0.2)])
def test_impossible_shares_are_refused(difference: float, discordant: float) -> None:
    for ask in (
        lambda: power(10, difference, discordant),
        lambda: tasks_needed(difference, discordant),
    ):
        with pytest.raises(ValueError, match="needs a discordant share"):
            ask()


def test_no_number_of_tasks_shows_nothing() -> None:
    with pytest.raises(ValueError, match="difference of 0"):
        tasks_needed(0.0, 0.3)


@given(tasks=st.integers(1, 2000), target=st.floats(0.05, 0.95))
def test_passes_to_clear_are_where_the_wilson_interval_begins(tasks: int, target: float) -> None:
    needed = passes_to_clear(tasks, target)
    if needed <= tasks:
        assert Rate.of(needed, tasks).low >= target - 1e-9
    assert Rate.of(min(needed - 1, tasks), tasks).low < target + 1e-9


@given(target=st.floats(0.3, 0.95), above=st.floats(0.03, 0.5))
def test_tasks_to_clear_have_the_wanted_power(target: float, above: float) -> None:
    share = min(1.0, target + above)
    tasks = tasks_to_clear(share, target)
    found = sum(
        binom.pmf(passed, tasks, share)
        for passed in range(tasks + 1)
        if Rate.of(passed, tasks).low >= target - 1e-9
    )
    assert found >= POWER - 1e-6


def test_clearing_85_percent_takes_22_tasks_at_least() -> None:
    assert tasks_to_clear(1.0, 0.85) == 22
    assert passes_to_clear(21, 0.85) == 22
    assert passes_to_clear(80, 0.85) == 75


@pytest.mark.parametrize(("share", "target"), [(0.85, 0.85), (0.8, 0.85), (1.0, 1.0), (0.5, 0.0)])
def test_no_number_of_tasks_shows_what_is_not_there(share: float, target: float) -> None:
    with pytest.raises(ValueError, match="no number of tasks"):
        tasks_to_clear(share, target)
