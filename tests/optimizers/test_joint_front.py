"""The joint search with costs to keep low: its front, what it gives up, and resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from lift_sys.record import canonical_json
from lift_sys.wish import BEST, Wish
from optimizers import sampling
from optimizers.objectives import front, preferred
from optimizers.trials import Trial
from programs.hypers import hypers_of
from tests.optimizers.searching import (
    CONFIG,
    TASKS,
    Fake,
    InterruptionError,
    Job,
    in_memory,
    journal,
    outcome,
)

COSTS = replace(CONFIG, costs=("tokens", "seconds"))
CHEAPEST = Wish(cost="tokens", points=30)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def finished(trial: Trial, table: int) -> Trial:
    """Return what a trial would have been if every task were run."""
    results = [outcome(table, canonical_json(trial.point), task.spec) for task in TASKS]
    changes = {
        "passed": sum(ok for ok, _ in results),
        "tried": len(results),
        "tokens": sum(tokens for _, tokens in results),
        "outcomes": tuple(ok for ok, _ in results),
        "complete": True,
        "dropped": None,
    }
    return trial.model_copy(update=changes)


def test_giving_up_never_changes_the_front() -> None:
    given_up = 0
    sizes = set()
    for table in range(12):
        search, _ = Job(table, in_memory).run(replace(COSTS, seed=table))
        whole = [finished(trial, table) for trial in search.trials]
        assert search.front == front(search.trials, COSTS.costs) == front(whole, COSTS.costs)
        given_up += sum(t.dropped == "hopeless" for t in search.trials)
        sizes.add(len(search.front))
        for trial, every in zip(search.trials, whole, strict=True):
            assert trial.outcomes == every.outcomes[: trial.tried]
            if not trial.complete:
                assert every not in front([*search.trials, every], COSTS.costs)
    assert given_up > 10
    assert len(sizes) > 1


def test_the_winner_is_what_the_wish_chooses() -> None:
    differ = 0
    for table in range(6):
        config = replace(COSTS, seed=table, wish=CHEAPEST)
        search, state = Job(table, in_memory).run(config)
        chosen = preferred(CHEAPEST, search.front, COSTS.costs)[0]
        assert search.best == chosen
        program = Fake(table)
        program.load_state(dict(state))
        point = {k: h.value for k, h in hypers_of(program).items()}
        assert point | {"demos": chosen.point["demos"]} == chosen.point
        differ += chosen != preferred(BEST, search.front, COSTS.costs)[0]
    assert differ > 0


def test_the_sampler_sees_every_value() -> None:
    study = optuna.create_study(directions=("maximize", "minimize", "minimize"))
    job = Job(1, in_memory)
    search, _ = job.run(COSTS, study=study)
    told = [t.values for t in study.get_trials() if t.state.name == "COMPLETE"]
    complete = [t for t in search.trials if t.complete]
    assert told == [[t.success, t.per_task("tokens"), 0.0] for t in complete]
    assert len(study.get_trials()) == len(search.trials)


def test_the_members_that_the_wish_prefers_run_again_and_what_it_is_measured_by() -> None:
    changed = 0
    for table in range(8):
        config = replace(COSTS, seed=table, wish=CHEAPEST)
        once, _ = Job(table, in_memory).run(config)
        search, _ = Job(table, in_memory).run(replace(config, reevaluate=1))
        assert (search.trials, search.front) == (once.trials, once.front)
        expected = dict.fromkeys((once.best.number, once.front[0].number))
        assert [r.number for r in search.reevaluations] == list(expected)
        chosen = preferred(CHEAPEST, search.reevaluations, COSTS.costs)[0]
        assert search.best.number == chosen.number
        changed += len(expected) == 2
        more, _ = Job(table, in_memory).run(replace(config, reevaluate=3))
        assert [r.number for r in more.reevaluations][: len(expected)] == list(expected)
        best, _ = Job(table, in_memory).run(replace(config, reevaluate=1, wish=BEST))
        assert [r.number for r in best.reevaluations] == [once.front[0].number]
    assert changed > 0


def test_interrupted_and_resumed_it_has_the_same_front(tmp_path: Path) -> None:
    config = replace(COSTS, trials=6, drop_alpha=0.7, wish=CHEAPEST)
    whole = Job(0, journal(tmp_path / "whole"))
    expected, winner = whole.run(config)
    for stop in (2, whole.executed // 2, whole.executed):
        job = Job(0, journal(tmp_path / str(stop)), stop_at=stop)
        with pytest.raises(InterruptionError):
            job.run(config)
        search, state = job.run(config)
        assert (search.trials, search.front) == (expected.trials, expected.front)
        assert state == winner


def test_with_several_slots_it_is_the_same_whatever_the_timing() -> None:
    first, again = (Job(2, in_memory, slots=4).run(COSTS)[0] for _ in range(2))
    assert first.trials == again.trials
    assert first.front == again.front == front(first.trials, COSTS.costs)


def test_of_many_trials_the_sampler_keeps_the_front_in_sight() -> None:
    cheap = 7
    many = [
        Trial(
            number=number,
            point=CONFIG.first_points[number % 2],
            passed=0 if number == cheap else 2 + number % 2,
            tried=4,
            tokens=1 if number == cheap else 100 + number,
            complete=number % 5 != 0,
        )
        for number in range(sampling.ALL + 1)
    ]
    first, again = (
        sampling.PointSampler(CONFIG.space, (), 0, 1, ("tokens",)).ask(len(many), many, [])
        for _ in range(2)
    )
    assert first == again == CONFIG.space.complete(first)
    kept = {t.number for t in sampling._kept(many, ("tokens",))}
    assert cheap in kept
    assert cheap not in {t.number for t in sampling._kept(many, ())}
