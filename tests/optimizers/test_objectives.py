"""The front is what nothing dominates, and a wish chooses from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.wish import Cost, Wish
from optimizers.objectives import (
    cannot_join,
    directions,
    finalists,
    front,
    fulfils,
    has_lost,
    joined,
    preferred,
    values,
)
from optimizers.racing import is_lost
from optimizers.trials import Trial

TASKS = 6
COSTS = st.lists(st.sampled_from(("tokens", "usd", "seconds")), unique=True).map(tuple)
SOME_COSTS = COSTS.filter(bool)
FIGURES = st.tuples(*(st.integers(1, 4) for _ in range(3)), st.integers(0, TASKS), st.booleans())


def trial(number: int, passed: int, spent: Sequence[int], *, complete: bool = True) -> Trial:
    tried = TASKS if complete else max(1, passed)
    return Trial(
        number=number,
        point={},
        passed=passed,
        tried=tried,
        tokens=spent[0],
        usd=spent[1] / 8,
        seconds=spent[2] / 4,
        outcomes=tuple(i < passed for i in range(tried)),
        complete=complete,
    )


TRIALS = st.lists(FIGURES, min_size=1, max_size=9).map(
    lambda many: [trial(i, f[3], f[:3], complete=f[4]) for i, f in enumerate(many)]
)
COMPLETE = TRIALS.filter(lambda trials: all(t.complete for t in trials))


def wishes(costs: Sequence[Cost]) -> st.SearchStrategy[Wish]:
    """Return wishes that a search with these costs can be asked for."""
    some = st.sampled_from(costs) if costs else st.nothing()
    limited = st.builds(Wish, cost=some, limit=st.sampled_from((0.05, 0.1, 0.3, 0.6)))
    unit = st.none() | some if costs else st.nothing()
    near = st.builds(Wish, cost=unit, points=st.integers(0, 100))
    good = st.builds(Wish, cost=unit, percent=st.integers(1, 100))
    return st.one_of(st.just(Wish()), limited, near, good)


def dominates(first: Trial, second: Trial, costs: Sequence[Cost]) -> bool:
    """Say it without the code that is tested."""
    gains = [first.passed - second.passed, *(second.total(c) - first.total(c) for c in costs)]
    return min(gains) >= 0 and max(gains) > 0


@given(TRIALS, SOME_COSTS)
def test_the_front_is_exactly_what_nothing_dominates(
    trials: list[Trial], costs: tuple[Cost, ...]
) -> None:
    complete = [t for t in trials if t.complete]
    undominated = [t for t in complete if not any(dominates(o, t, costs) for o in complete)]
    found = front(trials, costs)
    assert {values(t, costs) for t in found} == {values(t, costs) for t in undominated}
    assert len(found) == len({values(t, costs) for t in found})
    for member in found:
        alike = [t.number for t in complete if values(t, costs) == values(member, costs)]
        assert member.number == min(alike)
    assert [t.passed for t in found] == sorted((t.passed for t in found), reverse=True)


@given(TRIALS)
def test_with_success_alone_the_front_is_the_best_trial(trials: list[Trial]) -> None:
    complete = [t for t in trials if t.complete]
    best = sorted(complete, key=lambda t: (-t.value, t.number))[:1]
    assert front(trials, ()) == tuple(best)
    assert directions(()) == ("maximize",)
    assert directions(("usd", "seconds")) == ("maximize", "minimize", "minimize")


@given(st.data(), COMPLETE, COSTS)
def test_a_choice_is_on_the_front_and_no_order_changes_it(
    data: st.DataObject, trials: list[Trial], costs: tuple[Cost, ...]
) -> None:
    wish = data.draw(wishes(costs))
    members = front(trials, costs)
    ranked = preferred(wish, members, costs)
    assert values(preferred(wish, trials, costs)[0], costs) == values(ranked[0], costs)
    assert front(data.draw(st.permutations(trials)), costs) == members
    assert preferred(wish, data.draw(st.permutations(members)), costs) == ranked


@given(st.data(), COMPLETE, SOME_COSTS)
def test_a_choice_is_what_the_wish_says(
    data: st.DataObject, trials: list[Trial], costs: tuple[Cost, ...]
) -> None:
    wish = data.draw(wishes(costs))
    cost = wish.cost or costs[0]
    choice = preferred(wish, trials, costs)[0]
    good = [t for t in trials if fulfils(wish, t, trials, costs)]
    most, least = max(t.passed for t in trials), min(t.total(cost) for t in trials)
    if wish.points is not None:
        assert 100 * (most - choice.passed) / TASKS <= wish.points + 1e-6
    if good and wish.for_cheapest:
        assert choice.total(cost) == min(t.total(cost) for t in good)
    elif good:
        assert choice.passed == max(t.passed for t in good)
    elif wish.limit is not None:
        assert choice.total(cost) == least > wish.limit * TASKS - 1e-9
    else:
        assert choice.passed == most


@given(TRIALS, FIGURES, st.integers(1, TASKS), st.floats(0, 1), COSTS)
def test_what_cannot_join_never_would_have(
    trials: list[Trial],
    figures: tuple[int, int, int, int, bool],
    tried: int,
    share: float,
    costs: tuple[Cost, ...],
) -> None:
    members = front(trials, costs)
    whole = trial(99, figures[3], figures[:3])
    so_far = whole.model_copy(
        update={
            "tried": tried,
            "passed": sum(whole.outcomes[:tried]),
            "tokens": int(whole.tokens * share),
            "usd": whole.usd * share,
            "seconds": whole.seconds * share,
        }
    )
    after = joined(members, whole, costs)
    if cannot_join(so_far, TASKS, members, costs) or cannot_join(whole, TASKS, members, costs):
        assert after == members
    elif tried == TASKS and share == 1 and whole not in after:
        assert values(whole, costs) in [values(member, costs) for member in members]


def test_what_a_wish_is_measured_by_runs_again_next_to_its_first_choice() -> None:
    figures = [(6, 40), (5, 30), (4, 20), (3, 10)]
    trials = [
        trial(i, passed, (tokens, 1, 1)).model_copy(update={"point": {"i": i}})
        for i, (passed, tokens) in enumerate(figures)
    ]
    wish = Wish.model_validate("cheapest within 40 points")

    def chosen(count: int) -> list[int]:
        return [one.number for one in finalists(trials, count, wish, ("tokens",))]

    assert [chosen(count) for count in range(5)] == [
        [], [2, 0], [2, 0, 1], [2, 0, 1], [2, 0, 1, 3],
    ]  # fmt: skip


def raced(passes: str, number: int = 0, tokens: int = 10) -> Trial:
    outcomes = tuple(p == "1" for p in passes)
    return Trial(
        number=number,
        point={},
        passed=sum(outcomes),
        tried=len(outcomes),
        tokens=tokens,
        outcomes=outcomes,
        complete=True,
    )


def test_a_trial_races_against_members_that_are_no_dearer() -> None:
    best, cheap = raced("1" * 40, 0, tokens=400), raced("0" * 40, 1, tokens=40)
    members = front([best, cheap], ("tokens",))
    assert members == (best, cheap)
    behind = raced("0" * 12, 2, tokens=399)
    assert not has_lost(behind, members, ("tokens",), 0.05)
    as_dear = behind.model_copy(update={"tokens": 400})
    assert has_lost(as_dear, members, ("tokens",), 0.05)
    assert not has_lost(as_dear, members, ("tokens",), 0.0)
    slow = best.model_copy(update={"seconds": 9.0})
    assert not has_lost(as_dear, (slow,), ("tokens", "seconds"), 0.05)


@pytest.mark.parametrize("tasks_lost", range(1, 13))
def test_races_against_several_share_the_error(tasks_lost: int) -> None:
    best, cheap = raced("1" * 40, 0, tokens=40), raced("0" * 40, 1, tokens=1)
    behind = raced("0" * tasks_lost, 2, tokens=40)
    alone, both = (best,), (best, cheap)
    lost = is_lost(behind.outcomes, best.outcomes, 0.05)
    assert has_lost(behind, alone, ("tokens",), 0.05) == lost
    halved = is_lost(behind.outcomes, best.outcomes, 0.025)
    assert has_lost(behind, both, ("tokens",), 0.05) == halved
    assert has_lost(behind, alone, (), 0.05) == lost


def test_a_trial_that_would_join_is_seldom_given_up() -> None:
    """At the edge of joining: as many passes as each of three members, on other tasks."""
    alpha, tasks, repeats = 0.2, 20, 150
    drawn = np.random.default_rng(1)
    given_up = 0
    for _ in range(repeats):
        some = [drawn.permutation(tasks) < tasks // 2 for _ in range(4)]
        passes = ["".join("01"[int(passed)] for passed in one) for one in some]
        members = [raced(p, number, tokens=1) for number, p in enumerate(passes[:3])]
        looks = [raced(passes[3][:n], 3, tokens=1) for n in range(1, tasks + 1)]
        given_up += any(has_lost(look, members, ("tokens",), alpha) for look in looks)
    assert 0 < given_up <= alpha * repeats
