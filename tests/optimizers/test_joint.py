"""The joint search: repeatable, resumable at every task, and right about what it gives up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch
from optimizers.trials import Trial
from programs.hypers import hypers_of, set_hypers
from tests.optimizers.searching import (
    CONFIG,
    EXAMPLES,
    POOL,
    TASKS,
    Fake,
    InterruptionError,
    Job,
    full_value,
    in_memory,
    journal,
)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_the_same_seed_makes_the_same_trials_and_another_does_not() -> None:
    first, again = Job(0, in_memory).run(), Job(0, in_memory).run()
    assert first[0].trials == again[0].trials
    assert first[1] == again[1]
    other, _ = Job(0, in_memory).run(replace(CONFIG, seed=6))
    assert [t.point for t in other.trials] != [t.point for t in first[0].trials]


def test_first_points_come_first_and_every_trial_is_told() -> None:
    told: list[Trial] = []
    search, _ = Job(0, in_memory).run(on_trial=told.append)
    assert [t.point for t in search.trials[:2]] == list(CONFIG.first_points)
    assert told == search.trials
    assert [t.number for t in told] == list(range(CONFIG.trials))


def test_an_unneeded_hyper_keeps_its_first_choice() -> None:
    search, _ = Job(0, in_memory).run(replace(CONFIG, trials=25))
    greedy = [t.point["n"] for t in search.trials if t.point["temperature"] == 0.0]
    sampled = [t.point["n"] for t in search.trials if t.point["temperature"] == 0.7]
    assert set(greedy) == {1}
    assert len(set(sampled)) > 1


def test_the_winner_is_a_copy_with_the_best_point() -> None:
    study = optuna.create_study(direction="maximize")
    job, student, no_model = Job(3, in_memory), Fake(3), None
    evaluator = Evaluator(lambda: no_model, "m", job.score, job)
    search = JointSearch(CONFIG, POOL, evaluator, study, set_hypers)
    before = student.dump_state()
    winner = search.compile(student, valset=EXAMPLES)
    assert student.dump_state() == before
    point = search.best.point
    assert {k: h.value for k, h in hypers_of(winner).items()} | {"demos": point["demos"]} == point
    assert bool(winner.write.demos) == (point["demos"] == "gold")


def test_giving_up_never_changes_the_winner() -> None:
    given_up = 0
    for table in range(25):
        search, _ = Job(table, in_memory).run(replace(CONFIG, seed=table))
        values = [full_value(trial, table) for trial in search.trials]
        assert search.best.number == values.index(max(values))
        for trial, value in zip(search.trials, values, strict=True):
            assert trial.complete == (trial.tried == len(TASKS))
            if not trial.complete:
                given_up += 1
                assert value < max(values[: trial.number])
    assert given_up > 20


def test_the_token_limit_ends_the_search_within_a_task() -> None:
    free, _ = Job(1, in_memory).run()
    spent = [t.tokens for t in free.trials]
    limited, _ = Job(1, in_memory).run(replace(CONFIG, tokens=spent[0] + spent[1] + 1))
    assert limited.trials[:2] == free.trials[:2]
    assert [(t.tried, t.complete) for t in limited.trials[2:]] == [(1, False)]
    exact, _ = Job(1, in_memory).run(replace(CONFIG, tokens=spent[0]))
    assert exact.trials == free.trials[:1]
    one, _ = Job(1, in_memory).run(replace(CONFIG, tokens=1))
    assert one.best == free.trials[0]


def test_interrupted_at_any_task_and_resumed_it_ends_the_same(tmp_path: Path) -> None:
    whole = Job(2, journal(tmp_path / "whole"))
    short = replace(CONFIG, trials=6)
    expected, winner = whole.run(short)
    assert any(not t.complete for t in expected.trials)
    for stop in range(1, whole.executed + 1):
        job = Job(2, journal(tmp_path / str(stop)), stop_at=stop)
        with pytest.raises(InterruptionError):
            job.run(short)
        search, state = job.run(short)
        assert search.trials == expected.trials, f"interrupted at execution {stop}"
        assert state == winner
        assert job.executed == whole.executed + 1, "a task was paid for twice"


def test_interrupted_at_every_task_in_turn_it_still_ends_the_same(tmp_path: Path) -> None:
    expected, winner = Job(4, in_memory).run()
    job = Job(4, journal(tmp_path / "journal"))
    for stop in range(1, 200, 2):
        job.stop_at = stop
        try:
            search, state = job.run()
        except InterruptionError:
            job.executed = stop
            continue
        assert search.trials == expected.trials
        assert state == winner
        break
    else:
        pytest.fail("it never ended")


def test_interrupted_after_a_trial_was_told_it_goes_on(tmp_path: Path) -> None:
    expected, _ = Job(2, in_memory).run()

    def stop(trial: Trial) -> None:
        if trial.number == 4:
            raise InterruptionError

    job = Job(2, journal(tmp_path / "journal"))
    with pytest.raises(InterruptionError):
        job.run(on_trial=stop)
    executed = job.executed
    told: list[Trial] = []
    search, _ = job.run(on_trial=told.append)
    assert search.trials == told == expected.trials
    assert job.executed > executed


def test_a_finished_search_runs_nothing_again(tmp_path: Path) -> None:
    job = Job(2, journal(tmp_path / "journal"))
    first, _ = job.run()
    executed = job.executed
    again, _ = job.run()
    assert again.trials == first.trials
    assert job.executed == executed
