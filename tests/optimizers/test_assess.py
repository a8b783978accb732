"""The plan's decision tree, for every ladder that could be measured."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.stats import Rate
from optimizers.assess import (
    PROMPTS,
    UPGRADES,
    Climb,
    Cost,
    End,
    Reason,
    Rung,
    Thresholds,
    best,
    is_below_floor,
    next_step,
    option,
    prompts_to_keep,
    share,
    tuning,
)

PLAN = Thresholds()
TASKS = 80

rates = st.integers(0, TASKS).map(lambda passed: Rate.of(passed, TASKS))
ladders = st.fixed_dictionaries({rung: st.none() | rates for rung in Rung})
Ladder = dict[Rung, Rate | None]


class Climbed(NamedTuple):
    found: Ladder
    reasons: list[Reason]
    end: End


def climb(ladder: Ladder, thresholds: Thresholds = PLAN) -> Climbed:
    """Run the tree to its end on rungs that would pass this much."""
    found: Ladder = {}
    reasons = []
    while isinstance(step := next_step(found, thresholds), Climb):
        assert step.rung not in found
        found[step.rung] = ladder[step.rung]
        reasons.append(step.reason)
    return Climbed(found, reasons, step)


def ladder(**passed: int | None) -> Ladder:
    """Return what each rung passes; those that are not named cannot be run."""
    named = {Rung[name]: n for name, n in passed.items()}
    return {r: None if (n := named.get(r)) is None else Rate.of(n, TASKS) for r in Rung}


@given(ladders)
def test_every_climb_ends_and_tries_prompts_first(rungs: Ladder) -> None:
    found, reasons, _ = climb(rungs)
    assert list(found)[:2] == list(PROMPTS[: len(found)])
    assert len(reasons) == len(found) <= len(Rung)


@given(ladders)
def test_it_ends_at_the_first_rung_that_shows_the_target(rungs: Ladder) -> None:
    found, _, end = climb(rungs)
    shown = [r for r, rate in found.items() if rate and rate.low >= PLAN.target]
    above = [r for r, rate in found.items() if rate and share(rate) > PLAN.target]
    if end.reason is Reason.REACHED:
        assert shown == [end.rung] == [list(found)[-1]]
    elif end.reason is Reason.MORE_TASKS:
        assert not shown
        assert above == [end.rung] == [list(found)[-1]]
    else:
        assert end == End(Reason.EXHAUSTED, best(found))
        assert not above


@given(ladders)
def test_below_the_floor_it_skips_to_claude(rungs: Ladder) -> None:
    found, reasons, end = climb(rungs)
    measured = [rate for rung in PROMPTS if (rate := found.get(rung))]
    below = bool(measured) and all(share(rate) < PLAN.floor for rate in measured)
    assert is_below_floor(found, PLAN) == below
    order = list(found)
    if below:
        assert order[2] is Rung.CLAUDE
        assert reasons[2] is Reason.BELOW_FLOOR
        tried = [rung for rung in UPGRADES if rung in found]
        assert not tried or found[Rung.CLAUDE] is None
    elif len(order) > 2:
        assert order[2:] == [*UPGRADES, Rung.CLAUDE, Rung.TUNED][: len(order) - 2]
    if end.reason is Reason.EXHAUSTED:
        assert order[-1] is Rung.TUNED


@given(ladders)
def test_a_rung_that_cannot_be_run_ends_no_climb(rungs: Ladder) -> None:
    found, _, end = climb(rungs)
    if end.rung is None:
        assert not any(found.values())
    else:
        assert found[end.rung] is not None


@given(ladders, st.sampled_from(list(Rung)), st.integers(1, TASKS))
def test_passing_more_never_lengthens_the_climb_of_an_end(
    rungs: Ladder, better: Rung, more: int
) -> None:
    """A rung at which the climb ends goes on ending it when it passes more."""
    found, _, end = climb(rungs)
    if end.rung is not better or end.reason is Reason.EXHAUSTED:
        return
    rate = rungs[better]
    assert rate
    higher = {**rungs, better: Rate.of(min(TASKS, rate.passed + more), TASKS)}
    assert list(climb(higher).found) == list(found)


def test_the_plans_own_case() -> None:
    """72.2 % of 18 tasks: below 78 %, so Claude is next."""
    found = {rung: Rate.of(13, 18) for rung in PROMPTS}
    assert next_step(found, PLAN) == Climb(Rung.CLAUDE, Reason.BELOW_FLOOR)


@pytest.mark.parametrize(
    ("passed", "order", "end"),
    [
        ({"ZERO_SHOT": 76}, "ZERO_SHOT", End(Reason.REACHED, Rung.ZERO_SHOT)),
        ({"ZERO_SHOT": 70}, "ZERO_SHOT", End(Reason.MORE_TASKS, Rung.ZERO_SHOT)),
        (
            {"ZERO_SHOT": 60, "FEW_SHOT": 66, "LARGER": 77},
            "ZERO_SHOT FEW_SHOT LARGER",
            End(Reason.REACHED, Rung.LARGER),
        ),
        (
            {"ZERO_SHOT": 68, "FEW_SHOT": 66, "LARGER": 68, "HYBRID": 64, "TUNED": 80},
            "ZERO_SHOT FEW_SHOT LARGER BEST_OF_N HYBRID CLAUDE TUNED",
            End(Reason.REACHED, Rung.TUNED),
        ),
        (
            {"ZERO_SHOT": 26, "FEW_SHOT": 30, "CLAUDE": 68},
            "ZERO_SHOT FEW_SHOT CLAUDE TUNED",
            End(Reason.EXHAUSTED, Rung.CLAUDE),
        ),
        (
            {"ZERO_SHOT": 26, "FEW_SHOT": 30, "LARGER": 76},
            "ZERO_SHOT FEW_SHOT CLAUDE LARGER",
            End(Reason.REACHED, Rung.LARGER),
        ),
        ({}, " ".join(r.name for r in Rung), End(Reason.EXHAUSTED, None)),
    ],
)
def test_climbs(passed: dict[str, int], order: str, end: End) -> None:
    """With 80 tasks, 68 are exactly 85 %, which no number of tasks would show; 76 show it."""
    climbed = climb(ladder(**passed))
    assert " ".join(rung.name for rung in climbed.found) == order
    assert climbed.end == end


@pytest.mark.parametrize(
    ("plain", "shown", "kept"),
    [
        (26, 26, Rung.FEW_SHOT),
        (26, 27, Rung.FEW_SHOT),
        (27, 26, Rung.ZERO_SHOT),
        (26, None, Rung.ZERO_SHOT),
        (None, 0, Rung.FEW_SHOT),
        (None, None, Rung.FEW_SHOT),
    ],
)
def test_prompts_that_passed_fewer_tasks_are_dropped(
    plain: int | None, shown: int | None, kept: Rung
) -> None:
    assert prompts_to_keep(ladder(ZERO_SHOT=plain, FEW_SHOT=shown)) is kept


FREE, DEAR = Cost(0.0, 5.0), Cost(0.0, 9.0)


@pytest.mark.parametrize(
    ("larger", "several", "cheaper", "shown", "taken"),
    [
        (60, 50, True, False, Rung.LARGER),
        (60, 60, True, False, Rung.BEST_OF_N),
        (60, 60, False, False, Rung.LARGER),
        (60, 62, False, False, Rung.LARGER),
        (60, 75, False, True, Rung.BEST_OF_N),
        (None, 1, False, False, Rung.BEST_OF_N),
        (1, None, True, False, Rung.LARGER),
        (None, None, True, False, Rung.BEST_OF_N),
    ],
)
def test_option_a_comes_first(
    larger: int | None, several: int | None, cheaper: bool, shown: bool, taken: Rung
) -> None:
    found = ladder(LARGER=larger, BEST_OF_N=several)
    prices = (DEAR, FREE) if cheaper else (FREE, DEAR)
    costs = dict(zip((Rung.LARGER, Rung.BEST_OF_N), prices, strict=True))
    assert option(found, costs, shown_better=shown) is taken


def test_costs_go_by_price_where_both_have_one() -> None:
    assert Cost(0.01, 9.0).is_below(Cost(0.02, 1.0))
    assert not Cost(0.02, 1.0).is_below(Cost(0.01, 9.0))
    for usd in (None, 0.01):
        assert Cost(usd, 1.0).is_below(Cost(None, 2.0))
    assert Cost(0.0, 1.0).is_below(Cost(0.0, 2.0))


@given(st.floats(0, 1), st.floats(0, 1))
def test_one_of_two_costs_is_cheaper_at_most(mine: float, theirs: float) -> None:
    for a, b in product((mine, None), (theirs, None)):
        assert not (Cost(a, 1).is_below(Cost(b, 2)) and Cost(b, 2).is_below(Cost(a, 1)))


def test_fine_tuning_goes_by_the_volume() -> None:
    volumes = (None, 0, 1_000, 1_001, 10_000, 10_001)
    assert [tuning(v) for v in volumes] == ["no", "no", "no", "consider", "consider", "yes"]
