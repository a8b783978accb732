"""A search that a job's budget ends, and the same search with a larger one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import dspy
import optuna
import pytest

from lift_sys.errors import BudgetSpent
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from optimizers.trials import Trial
from tests.optimizers.searching import CONFIG, TASKS, Job

SEARCH = replace(CONFIG, trials=25, reevaluate=2)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass
class Budgeted(Job):
    """A job that may execute only so many tasks in all."""

    budget: int = 10**9

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        with self.lock:
            spent = self.executed >= self.budget
        if spent:
            msg = "the budget is spent"
            raise BudgetSpent(msg)
        return super().score(task, answer)


def job(budget: int = 10**9) -> Budgeted:
    storage = optuna.storages.InMemoryStorage()
    return Budgeted(3, lambda: storage, budget=budget)


@pytest.fixture(scope="module")
def whole() -> tuple[Budgeted, list[Trial]]:
    made = job()
    search, _ = made.run(SEARCH)
    return made, search.trials


def test_the_best_complete_trial_wins_and_the_same_budget_gives_the_same(
    whole: tuple[Budgeted, list[Trial]],
) -> None:
    for budget in range(len(TASKS), whole[0].executed):
        made = job(budget)
        search, winner = made.run(SEARCH)
        kept = [t for t in search.trials if t.dropped != "unpaid"]
        again, same = made.run(SEARCH)

        assert search.cut
        assert kept == whole[1][: len(kept)]
        assert len(search.trials) - len(kept) in {0, 1}
        assert all(0 < t.tried < len(TASKS) for t in search.trials[len(kept) :])
        if not search.reevaluations:
            assert search.best.value == max(t.value for t in kept if t.complete)
        assert (again.trials, again.reevaluations, same) == (
            search.trials,
            search.reevaluations,
            winner,
        )
        assert made.executed == budget


def test_without_a_complete_trial_it_ends() -> None:
    for budget in range(len(TASKS)):
        with pytest.raises(BudgetSpent):
            job(budget).run(SEARCH)


def test_with_a_larger_budget_it_goes_on_as_if_it_had_never_stopped(
    whole: tuple[Budgeted, list[Trial]],
) -> None:
    made = job(0)
    with pytest.raises(BudgetSpent):
        made.run(SEARCH)
    for budget in range(5, whole[0].executed, 5):
        made.budget = budget
        made.run(SEARCH)
    made.budget = whole[0].executed
    search, _ = made.run(SEARCH)

    assert search.cut is None
    assert search.trials == whole[1]
    assert made.executed == whole[0].executed


def test_several_slots_end_with_a_trial_of_the_uninterrupted_search() -> None:
    free = replace(job(), slots=3)
    whole, _ = free.run(SEARCH)
    for budget in range(3 * len(TASKS), free.executed, 7):
        made = replace(job(budget), slots=3)
        search, _ = made.run(SEARCH)
        kept = [t for t in search.trials if t.dropped != "unpaid"]
        assert search.cut
        assert kept == whole.trials[: len(kept)]
        assert search.best.complete
        made.budget = 10**9
        again, _ = made.run(SEARCH)
        assert again.trials == whole.trials


def test_re_evaluations_that_were_made_count() -> None:
    made = job()
    made.run(replace(SEARCH, reevaluate=0))
    made.budget = made.executed + len(TASKS)
    search, _ = made.run(SEARCH)

    assert search.cut
    assert search.unpaid
    assert [again.number for again in search.reevaluations] == [search.best.number]
    made.budget = 10**9
    paid, _ = made.run(SEARCH)
    assert not paid.unpaid
    assert len(paid.reevaluations) == 2
