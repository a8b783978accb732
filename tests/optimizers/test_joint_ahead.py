"""The joint search with a model that answers several requests at once: just as repeatable."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest

from lift_sys.tasks import Task
from lift_sys.verdict import Score
from tests.optimizers.searching import (
    CONFIG,
    TASKS,
    InterruptionError,
    Job,
    full_value,
    in_memory,
    journal,
)

SLOTS = 4
MANY = replace(CONFIG, trials=14, drop_alpha=0.7)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class SlowJob(Job):
    """Takes a while for each task, and another while each time.

    Attributes:
        delays: Other delays with another seed.
    """

    delays: random.Random

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        time.sleep(self.delays.random() * 0.004)
        return super().score(task, answer)


def slow(table: int, delays: int, **more: Any) -> SlowJob:
    job = SlowJob(table, more.pop("storage", in_memory), slots=SLOTS, **more)
    job.delays = random.Random(delays)  # noqa: S311 (not a secret)
    return job


def test_whatever_finishes_first_trials_winner_and_executed_tasks_are_the_same() -> None:
    jobs = [slow(0, delays) for delays in range(4)]
    runs = [job.run(replace(MANY, reevaluate=2)) for job in jobs]
    for (search, winner), job in zip(runs, jobs, strict=True):
        assert search.trials == runs[0][0].trials
        assert search.reevaluations == runs[0][0].reevaluations
        assert search.tokens_spent == runs[0][0].tokens_spent
        assert winner == runs[0][1]
        assert set(job.rows) == set(jobs[0].rows)
        assert job.executed == len(job.rows), "a task was executed twice"


def test_giving_up_is_decided_as_if_the_trials_had_run_in_turn() -> None:
    given_up = 0
    for table in range(8):
        search, _ = slow(table, table).run(replace(CONFIG, trials=14, seed=table))
        values = [full_value(trial, table) for trial in search.trials]
        assert search.best.number == values.index(max(values))
        for trial, value in zip(search.trials, values, strict=True):
            if not trial.complete:
                given_up += 1
                assert trial.tried < len(TASKS)
                assert value < max(values[: trial.number])
    assert given_up > 10


def test_interrupted_anywhere_and_resumed_it_ends_the_same(tmp_path: Path) -> None:
    whole = slow(2, 0, storage=journal(tmp_path / "whole"))
    expected, winner = whole.run(MANY)
    for stop in range(1, whole.executed, 5):
        job = slow(2, stop, storage=journal(tmp_path / str(stop)), stop_at=stop)
        with pytest.raises(InterruptionError):
            job.run(MANY)
        search, state = job.run(MANY)
        assert search.trials == expected.trials, f"interrupted at execution {stop}"
        assert state == winner
        assert set(job.rows) == set(whole.rows)


def test_a_search_goes_on_with_the_slots_that_it_began_with(tmp_path: Path) -> None:
    expected, _ = slow(2, 0).run(MANY)
    job = slow(2, 0, storage=journal(tmp_path / "journal"), stop_at=20)
    with pytest.raises(InterruptionError):
        job.run(MANY)
    job.slots = 1
    search, _ = job.run(MANY)
    assert search.trials == expected.trials


def test_trials_in_flight_do_not_repeat_each_other() -> None:
    search, _ = slow(1, 0).run(replace(CONFIG, trials=20))
    points = [str(trial.point) for trial in search.trials]
    assert len(set(points)) > len(points) / 2


class Lockstep(Job):
    """Its slots end their tasks together: once all of them have one, or none comes any more."""

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        with self.all_arrived:
            self.waiting += 1
            group = len(self.groups)
            if self.waiting == SLOTS or not self.all_arrived.wait_for(
                lambda: len(self.groups) > group, timeout=3
            ):
                self.groups.append(self.waiting)
                self.waiting = 0
                self.all_arrived.notify_all()
        return super().score(task, answer)

    all_arrived: threading.Condition
    waiting: int
    groups: list[int]


def test_the_slots_are_busy_until_the_end() -> None:
    job = Lockstep(0, in_memory, slots=SLOTS)
    job.all_arrived, job.waiting, job.groups = threading.Condition(), 0, []
    search, _ = job.run(replace(CONFIG, trials=18))
    assert sum(not t.complete for t in search.trials) > 5
    assert sum(job.groups) == job.executed > 50
    assert sum(job.groups) >= 0.9 * SLOTS * len(job.groups)
