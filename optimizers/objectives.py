"""What a search is after: success alone, or success against what a program costs.

Owns what a study is told of a trial, the Pareto front of trials, when a trial can no longer join
it, and which program of the front fulfils a wish. Pure functions of what was measured.

With no cost to keep low, there is one value, ``Trial.value``, and the front is the best trial. With
costs, a trial *dominates* another if it passes no less, costs no more of any of them, and is better
in one of these. The front is every complete trial that none dominates; of trials that are alike in
all of these it has the earliest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar

from lift_sys.record import canonical_json
from lift_sys.wish import Cost, Wish
from optimizers.racing import is_lost
from optimizers.trials import Trial, Tried

_CLOSE = 1e-9
"""Shares of tasks closer than this are the same."""

Direction = Literal["minimize", "maximize"]
"""Optuna's word for where a value should go."""

Candidate = TypeVar("Candidate", bound=Tried)


def directions(costs: Sequence[Cost]) -> tuple[Direction, ...]:
    """Return Optuna's directions of a trial's values."""
    down: Direction = "minimize"
    return ("maximize", *(down for _ in costs))


def values(tried: Tried, costs: Sequence[Cost]) -> tuple[float, ...]:
    """Return what a study is told of a trial: success, and each cost per task."""
    if not costs:
        return (tried.value,)
    return (tried.success, *(tried.per_task(cost) for cost in costs))


def front(trials: Iterable[Trial], costs: Sequence[Cost]) -> tuple[Trial, ...]:
    """Return the Pareto front of the complete trials, the one that passes most first."""
    members: tuple[Trial, ...] = ()
    for trial in trials:
        members = joined(members, trial, costs)
    return members


def joined(members: Sequence[Trial], trial: Trial, costs: Sequence[Cost]) -> tuple[Trial, ...]:
    """Return the front of a front's members and one more trial."""
    if not trial.complete:
        return tuple(members)
    candidates = sorted((*members, trial), key=lambda t: (_by_success(t, costs), t.number))
    kept: list[Trial] = []
    for candidate in candidates:  # what comes later never dominates what came earlier
        mine = values(candidate, costs)
        if not any(values(k, costs) == mine or _dominates(k, candidate, costs) for k in kept):
            kept.append(candidate)
    return tuple(kept)


def cannot_join(so_far: Tried, tasks: int, members: Sequence[Trial], costs: Sequence[Cost]) -> bool:
    """Tell whether a trial exactly cannot be on the front, however it ends.

    Args:
        so_far: The trial on the tasks that it ran.
        tasks: All tasks of a complete trial.
        members: The front so far.
        costs: What is kept low.
    """
    at_best = so_far.at_best(tasks)
    return any(_dominates(member, at_best, costs) for member in members)


def has_lost(so_far: Tried, members: Sequence[Trial], costs: Sequence[Cost], alpha: float) -> bool:
    """Tell whether racing gives a trial up: it is improbable that it joins the front.

    It races against every member that is known to be no dearer: the trial has spent as much on the
    tasks so far as the member on all. To join the front it would have to pass at least as many
    tasks as each of these, so losing to one is enough. That is tested at ``alpha`` divided by the
    size of the front: by Bonferroni's inequality, a trial that would have joined is given up with
    probability at most ``alpha``, at whichever look and whomever it races against. With no costs
    there is one member, the best program.

    Args:
        so_far: The trial on the tasks that it ran, in order.
        members: The front so far.
        costs: What is kept low.
        alpha: Most probability that a trial is given up wrongly; 0 gives up none.
    """
    if alpha <= 0:
        return False
    return any(
        is_lost(so_far.outcomes, member.outcomes, alpha / len(members))
        for member in members
        if all(so_far.total(cost) >= member.total(cost) for cost in costs)
    )


def preferred(
    wish: Wish, candidates: Sequence[Candidate], costs: Sequence[Cost]
) -> list[Candidate]:
    """Return candidates in the order in which a wish wants them; the first one is its choice.

    Those that fulfil it come first; if none does, the one that comes nearest. Among programs that
    are alike to the wish the other figures decide, so the choice among a front does not depend on
    its order; and the choice among all trials has the figures of one of the front. Programs alike
    in all figures stay in the order in which they were given.

    Args:
        wish: What is wanted.
        candidates: On the same tasks.
        costs: What the search kept low; the wish's cost is one of them.
    """

    def key(one: Candidate) -> tuple[Any, ...]:
        good = fulfils(wish, one, candidates, costs)
        cheap_first = wish.for_cheapest == good
        return (not good, _by_cost(one, wish, costs) if cheap_first else _by_success(one, costs))

    return sorted(candidates, key=key)


def finalists(
    trials: Sequence[Trial], count: int, wish: Wish, costs: Sequence[Cost]
) -> list[Trial]:
    """Return the trials of different points that should run again, best first.

    With costs, they are of the front, in the order in which the wish prefers them. The best one
    comes on top where the wish is measured by it, and next to the first: a budget may end the rest.

    Args:
        trials: The finished ones.
        count: How many.
        wish: What is wanted.
        costs: What was kept low.
    """
    members = front(trials, costs)
    complete = (trial for trial in trials if trial.complete)
    by_success = sorted(complete, key=lambda t: (-t.value, t.number))
    distinct: dict[str, Trial] = {}
    for trial in preferred(wish, members, costs) if costs else by_success:
        distinct.setdefault(canonical_json(trial.point), trial)
    chosen = list(distinct.values())[:count]
    measure = members[:1] if wish.points is not None and chosen else ()
    return list({t.number: t for t in (*chosen[:1], *measure, *chosen[1:])}.values())


def fulfils(wish: Wish, one: Tried, candidates: Sequence[Tried], costs: Sequence[Cost]) -> bool:
    """Tell whether a program is good enough, or cheap enough, as it was measured."""
    if wish.limit is not None:
        return one.per_task(wished_cost(wish, costs)) <= wish.limit
    if wish.points is not None:
        most = max(candidate.success for candidate in candidates)
        return one.success >= most - wish.points / 100 - _CLOSE
    return wish.percent is None or one.success >= wish.percent / 100 - _CLOSE


def wished_cost(wish: Wish, costs: Sequence[Cost]) -> Cost:
    """Return the cost that a wish is about: the one it names, or the first that is kept low."""
    return wish.cost or costs[0]


def _by_success(one: Tried, costs: Sequence[Cost]) -> tuple[float, ...]:
    success, *spent = values(one, costs)
    return (-success, *spent)


def _by_cost(one: Tried, wish: Wish, costs: Sequence[Cost]) -> tuple[float, ...]:
    return (one.per_task(wished_cost(wish, costs)), *_by_success(one, costs))


def _dominates(first: Tried, second: Tried, costs: Sequence[Cost]) -> bool:
    (best, *spent), (other, *more) = values(first, costs), values(second, costs)
    no_worse = best >= other and all(a <= b for a, b in zip(spent, more, strict=True))
    return no_worse and (best, *spent) != (other, *more)
