"""What an assessment says is one sentence, whatever was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.app.assessment_words import (
    floor_doubt,
    next_step,
    percent,
    tasks_needed,
    too_few,
    why_run,
    why_untried,
)
from metrics.stats import Rate
from optimizers.assess import Climb, End, Reason, Rung, Thresholds
from optimizers.assess import next_step as decide

PLAN = Thresholds()
BLOCKED = "no server is named"

rates = st.integers(0, 80).map(lambda passed: Rate.of(passed, 80))
ladders = st.fixed_dictionaries({rung: st.none() | rates for rung in Rung})


@given(ladders, st.none() | st.integers(0, 20_000))
def test_every_climb_is_told(ladder: dict[Rung, Rate | None], uses: int | None) -> None:
    found: dict[Rung, Rate | None] = {}
    while isinstance(step := decide(found, PLAN), Climb):
        assert why_run(step.reason, PLAN)
        found[step.rung] = ladder[step.rung]
    blocked = {rung: BLOCKED for rung, rate in found.items() if rate is None}
    said = next_step(step, found, blocked, PLAN, uses)
    assert said.endswith(".")
    assert said.count(". ") == 0
    if step.rung and step.reason is not Reason.EXHAUSTED:
        assert step.rung in said
    for rung in set(Rung) - found.keys():
        assert why_untried(rung, step, found, PLAN)


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        (None, "Find out with `lift blame` whether the IR is to blame"),
        (1_000, "Find out with `lift blame` whether the IR is to blame"),
        (1_001, "Collect 300 training examples and fine-tune"),
    ],
)
def test_where_nothing_did_it_the_volume_decides(uses: int | None, words: str) -> None:
    found: dict[Rung, Rate | None] = dict.fromkeys(Rung, Rate.of(66, 80))
    found[Rung.TUNED] = None
    end = End(Reason.EXHAUSTED, Rung.ZERO_SHOT)
    said = next_step(end, found, {Rung.TUNED: BLOCKED}, PLAN, uses)
    assert said.startswith(words)
    assert said.endswith("; the best so far is zero-shot, 66/80 (82.5 %, 95 % CI 73–89 %).")


@pytest.mark.parametrize(("passed", "first"), [(66, Rung.LARGER), (30, Rung.CLAUDE)])
def test_what_is_blocked_comes_before_that(passed: int, first: Rung) -> None:
    found: dict[Rung, Rate | None] = dict.fromkeys(Rung, Rate.of(passed, 80))
    found[Rung.LARGER] = found[Rung.CLAUDE] = None
    blocked = {Rung.LARGER: BLOCKED, Rung.CLAUDE: BLOCKED}
    end = End(Reason.EXHAUSTED, Rung.ZERO_SHOT)
    said = next_step(end, found, blocked, PLAN, 5_000)
    assert said.startswith(f"Make {first} available ({BLOCKED}); ")


@given(rates)
def test_more_tasks_are_needed_only_above_the_target(rate: Rate) -> None:
    needed = tasks_needed(rate, PLAN)
    assert (needed is not None) == (rate.passed > 68)
    if needed and rate.low < PLAN.target:
        assert needed > rate.total


@given(st.integers(1, 200))
def test_too_few_tasks_are_told(tasks: int) -> None:
    said = too_few(tasks, PLAN)
    assert (said is None) == (Rate.of(tasks, tasks).low >= PLAN.target)
    if said:
        assert said.endswith("it takes 22 at least.")


@pytest.mark.parametrize(("passed", "told"), [(30, False), (60, True), (66, True), (76, False)])
def test_doubt_about_the_floor(passed: int, told: bool) -> None:
    found = {Rung.ZERO_SHOT: Rate.of(10, 80), Rung.FEW_SHOT: Rate.of(passed, 80)}
    assert bool(floor_doubt(found, PLAN)) == told
    assert floor_doubt({Rung.ZERO_SHOT: None}, PLAN) is None


def test_percent() -> None:
    assert [percent(p) for p in (0.85, 0.7, 0.785, 1.0)] == ["85 %", "70 %", "78.5 %", "100 %"]
