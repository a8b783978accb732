"""The joint search with racing on, and its best trials run again with fresh samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from lift_sys.record import canonical_json
from optimizers.answers import Answers, reevaluation
from tests.optimizers.searching import (
    CONFIG,
    FRESH,
    TASKS,
    InterruptionError,
    Job,
    full_value,
    in_memory,
    journal,
    outcome,
)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


RACING = replace(CONFIG, drop_alpha=0.7)
"""Loose enough to give up trials of four tasks."""


def test_the_winner_stays_where_racing_gave_up_only_what_is_worse() -> None:
    stayed = went = 0
    for table in range(12):
        search, _ = Job(table, in_memory).run(replace(RACING, seed=table))
        values = [full_value(trial, table) for trial in search.trials]
        raced = [t.number for t in search.trials if t.dropped == "racing"]
        kept = [v for number, v in enumerate(values) if number not in raced]
        if raced and max(kept) == max(values):
            stayed += 1
            assert search.best.number == values.index(max(values))
        went += max(kept) < max(values)
        assert values[search.best.number] == max(kept)
    assert stayed > 0
    assert went > 0


def test_every_trial_that_was_given_up_says_why() -> None:
    search, _ = Job(1, in_memory).run(RACING)
    assert all((t.dropped is None) == t.complete for t in search.trials)
    off, _ = Job(1, in_memory).run()
    assert {t.dropped for t in off.trials} == {None, "hopeless"}
    spent = off.trials[0].tokens + off.trials[1].tokens
    limited, _ = Job(1, in_memory).run(replace(CONFIG, tokens=spent + 1))
    assert limited.trials[-1].dropped == "budget"


def test_the_best_trials_run_again_with_fresh_samples() -> None:
    changed = 0
    for table in range(6):
        job = Job(table, in_memory)
        once, _ = job.run(replace(CONFIG, seed=table))
        assert once.reevaluations == ()
        job = Job(table, in_memory)
        search, _ = job.run(replace(CONFIG, seed=table, reevaluate=2))
        assert search.trials == once.trials
        again = search.reevaluations
        assert again[0].number == once.best.number
        assert len({canonical_json(search.trials[r.number].point) for r in again}) == len(again)
        for second in again:
            trial = search.trials[second.number]
            sampled = trial.point["temperature"] > 0
            code = canonical_json(trial.point) + FRESH * sampled
            passed = sum(outcome(table, code, task.spec)[0] for task in TASKS)
            assert (second.passed, second.tried, second.tokens) == (passed, 4, trial.tokens)
            assert second.repeated == (not sampled)
        assert search.best.number == max(again, key=lambda r: r.value).number
        fresh = sum(r.tokens for r in again if not r.repeated)
        assert search.tokens_spent == once.tokens_spent + fresh
        changed += search.best != once.best
    assert changed > 0


def test_without_calls_nobody_knows_whether_the_answers_are_the_same() -> None:
    search, _ = Job(0, in_memory).run(CONFIG)
    assert not reevaluation(search.best, [], Answers()).repeated


def test_interrupted_while_racing_or_running_again_it_ends_the_same(tmp_path: Path) -> None:
    config = replace(RACING, trials=6, reevaluate=2)
    whole = Job(0, journal(tmp_path / "whole"))
    expected, winner = whole.run(config)
    assert any(t.dropped == "racing" for t in expected.trials)
    for stop in (2, whole.executed // 2, whole.executed - 5, whole.executed):
        job = Job(0, journal(tmp_path / str(stop)), stop_at=stop)
        with pytest.raises(InterruptionError):
            job.run(config)
        search, state = job.run(config)
        assert search.trials == expected.trials, f"interrupted at execution {stop}"
        assert search.reevaluations == expected.reevaluations
        assert state == winner
        assert job.executed == whole.executed + 1, "a task was paid for twice"
