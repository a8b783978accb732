"""McNemar's test, its interval, Holm's correction and the sentence they come to."""

from __future__ import annotations

import functools
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.stats import ALPHA, Comparison, compare, correct, holm, power


def flipped(gained: int, lost: int, tasks: int) -> tuple[dict[str, bool], dict[str, bool]]:
    """Return outcomes of two programs: gains first, then losses, then tasks that both pass."""
    first = {f"t{i}": i >= gained for i in range(tasks)}
    second = {f"t{i}": not gained <= i < gained + lost for i in range(tasks)}
    return first, second


@functools.cache
def comparison(gained: int, lost: int, tasks: int) -> Comparison:
    return compare(*flipped(gained, lost, tasks))


def brute_force(gained: int, lost: int) -> float:
    """Return the share of all equally likely ways to flip that are at least as one-sided."""
    flips = gained + lost
    ways = [sum(signs) for signs in itertools.product((0, 1), repeat=flips)]
    extreme = max(gained, lost)
    return sum(w >= extreme or w <= flips - extreme for w in ways) / len(ways)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=10))
def test_mcnemar_agrees_with_brute_force(pairs: list[tuple[bool, bool]]) -> None:
    first = {f"t{i}": a for i, (a, _) in enumerate(pairs)}
    second = {f"t{i}": b for i, (_, b) in enumerate(pairs)}
    found = compare(first, second)
    assert found.tasks == len(pairs)
    assert set(found.only_first) == {t for t in first if first[t] > second[t]}
    assert set(found.only_second) == {t for t in first if second[t] > first[t]}
    expected = brute_force(len(found.only_second), len(found.only_first))
    assert found.p_value == found.p_corrected == pytest.approx(expected)
    assert compare(second, first).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(
    ("gained", "lost", "tasks", "p_value"),
    [
        (5, 0, 18, 0.0625),  # 18/18 against 13/18
        (12, 2, 50, 0.0129),  # Armitage and Berry 1994, p. 127
        (1, 7, 21, 0.0703),  # Bentur 2009, in Fagerland et al. 2013, table 6
        (6, 16, 161, 0.0525),  # Cavo 2012, likewise
    ],
)
def test_published_p_values(gained: int, lost: int, tasks: int, p_value: float) -> None:
    assert comparison(gained, lost, tasks).p_value == pytest.approx(p_value, abs=5e-5)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value", "verdict"),
    [
        (6, 0, 0.03125, "better"),
        (0, 6, 0.03125, "worse"),
        (8, 1, 0.0390625, "better"),
        (1, 8, 0.0390625, "worse"),
        (5, 0, 0.0625, "not enough evidence: about 9 more tasks needed"),
        (0, 5, 0.0625, "not enough evidence: about 9 more tasks needed"),
        (
            0, 0, 1.0,
            "no difference seen; with these 18 tasks only differences of at least 41 points would "
            "show",
        ),
    ],
)  # fmt: skip
def test_what_flips_show(gained: int, lost: int, p_value: float, verdict: str) -> None:
    found = comparison(gained, lost, 18)
    assert found.p_value == pytest.approx(p_value)
    assert found.verdict == verdict
    assert (found.p_value <= ALPHA) == (verdict in {"better", "worse"})


@pytest.mark.parametrize(
    ("gained", "tasks", "verdict"),
    [
        (0, 0, "no difference seen; 0 tasks are too few to show any"),
        (0, 5, "no difference seen; 5 tasks are too few to show any"),
        (5, 5, "not enough evidence: about 1 more task needed"),
        (1, 1, "not enough evidence: about 5 more tasks needed"),
        (1, 378, "not enough evidence: about 2,610 more tasks needed"),
    ],
)
def test_few_tasks_and_small_differences(gained: int, tasks: int, verdict: str) -> None:
    assert comparison(gained, 0, tasks).verdict == verdict


flips = st.integers(1, 25).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda m: st.tuples(st.integers(0, m), st.just(m), st.just(n))
    )
)


@settings(max_examples=60, deadline=None)
@given(flips, st.integers(1, 10))
def test_so_many_more_tasks_are_enough_and_fewer_are_not(
    counts: tuple[int, int, int], together: int
) -> None:
    gained, flipping, tasks = counts
    found = correct([comparison(gained, flipping - gained, tasks)] * together)[0]
    if found.verdict in {"better", "worse"}:
        assert found.p_corrected <= ALPHA
        return
    assert found.p_corrected > ALPHA
    if 2 * gained == flipping:
        assert found.verdict.startswith("no difference seen; ")
        return
    (digits,) = re.findall(r"about ([\d,]+) more", found.verdict)
    more = int(digits.replace(",", ""))
    shares = (2 * gained - flipping) / tasks, flipping / tasks
    assert more >= 1
    assert power(tasks + more, *shares, ALPHA / together) >= 0.8
    assert power(tasks + more - 1, *shares, ALPHA / together) < 0.8


@settings(max_examples=100, deadline=None)
@given(flips)
def test_the_interval_leaves_out_zero_exactly_when_the_test_does(
    counts: tuple[int, int, int],
) -> None:
    gained, flipping, tasks = counts
    found = comparison(gained, flipping - gained, tasks)
    span = found.difference
    assert span.estimate == pytest.approx((2 * gained - flipping) / tasks)
    assert -1 <= span.low < span.high <= 1
    assert span.low <= span.estimate <= span.high
    assert (span.low > 0 or span.high < 0) == (found.p_value <= ALPHA)
    mirrored = comparison(flipping - gained, gained, tasks).difference
    assert (mirrored.low, mirrored.high) == pytest.approx((-span.high, -span.low))


@pytest.mark.parametrize("tasks", [1, 5, 18, 100])
def test_without_flips_the_interval_is_that_of_the_share_of_flips(tasks: int) -> None:
    end = 1 - 0.025 ** (1 / tasks)  # Clopper-Pearson for none of so many
    span = comparison(0, 0, tasks).difference
    assert (span.low, span.high) == pytest.approx((-end, end), abs=1e-6)


@pytest.mark.parametrize(
    ("gained", "lost", "tasks"), [(4, 1, 18), (7, 1, 21), (12, 2, 50), (40, 20, 300), (3, 3, 6)]
)
def test_the_interval_agrees_with_its_definition_by_simulation(
    gained: int, lost: int, tasks: int
) -> None:
    draws = np.random.default_rng(0)
    net = 2 * draws.beta(gained, lost + 1, 400_000) - 1
    fewer, rest = gained + lost, tasks - gained - lost
    flipping = draws.beta(fewer, rest + 1, 400_000)
    flipping_more = draws.beta(fewer + 1, rest, 400_000) if rest else np.ones(400_000)
    low = min(np.quantile(net * flipping, 0.025), np.quantile(net * flipping_more, 0.025))
    assert comparison(gained, lost, tasks).difference.low == pytest.approx(low, abs=0.003)


@pytest.mark.parametrize(("gain", "loss"), [(0.05, 0.05), (0.3, 0.1), (0.5, 0.0), (0.1, 0.6)])
def test_the_interval_holds_the_truth_at_least_95_times_in_a_hundred(
    gain: float, loss: float
) -> None:
    tasks, held = 10, 0.0
    for gained, lost in itertools.product(range(tasks + 1), repeat=2):
        same = tasks - gained - lost
        if same < 0:
            continue
        ways = math.comb(tasks, gained) * math.comb(tasks - gained, lost)
        chance = ways * gain**gained * loss**lost * (1 - gain - loss) ** same
        span = comparison(gained, lost, tasks).difference
        if span.low <= gain - loss <= span.high:
            held += chance
    assert 0.95 <= held <= 1


@pytest.mark.parametrize("other", [{}, {"a": True}, {"a": True, "b": True, "c": True}])
def test_other_tasks_cannot_be_compared(other: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="same tasks on both sides"):
        compare({"a": True, "b": False}, other)


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.001, 0.01, 0.03, 0.5], [0.004, 0.03, 0.06, 0.5]),  # MultipleTesting.jl's manual
        ([0.05, 0.03, 0.01, 0.5], [0.1, 0.09, 0.04, 0.5]),  # R's p.adjust
        ([1, 0.5, 0.1, 0.001, 0.0001, 0.002], [1, 1, 0.3, 0.005, 0.0006, 0.008]),  # likewise
        ([0.05, 0.05, 0.05], [0.15, 0.15, 0.15]),  # likewise
        ([0.01, 0.013, 0.5], [0.03, 0.03, 0.5]),  # never smaller than that of a smaller one
    ],
)
def test_holms_correction(raw: list[float], corrected: list[float]) -> None:
    assert holm(raw) == pytest.approx(corrected)


@given(st.lists(st.floats(0, 1), max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holms_correction_agrees_with_rejecting_step_by_step(
    raw: list[float], level: float
) -> None:
    corrected = holm(raw)
    rejected = []
    for step, i in enumerate(sorted(range(len(raw)), key=raw.__getitem__)):
        if raw[i] * (len(raw) - step) > level:
            break
        rejected.append(i)
    assert [i for i in range(len(raw)) if corrected[i] <= level] == sorted(rejected)


def test_verdicts_follow_the_corrected_p() -> None:
    alone = [comparison(6, 0, 18), comparison(9, 0, 18)]
    assert [c.verdict for c in alone] == ["better", "better"]
    found = correct([*alone, comparison(0, 5, 18)])
    assert [c.p_corrected for c in found] == pytest.approx([0.0625, 3 * 2 / 2**9, 0.0625])
    assert found[1].verdict == "better"
    assert found[0].verdict.startswith("not enough evidence")
    assert correct([alone[0]]) == (alone[0],)
    assert correct([]) == ()
