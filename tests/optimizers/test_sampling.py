"""Points follow from the seed and from what was told, and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import TPESampler

from optimizers import sampling
from optimizers.sampling import PointSampler
from optimizers.space import Point, make_space
from optimizers.trials import Trial
from tests.optimizers.searching import SPACE

DIMENSIONS = {"demos": ("none", "gold"), **SPACE}
CHOICES = make_space(DIMENSIONS, {"n": {"temperature": (0.7,)}})
FIRST: tuple[Point, ...] = ({"demos": "gold", "mode": "b", "temperature": 0.7, "n": 2},)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "ALL", 30)
        patch.setattr(sampling, "BEST", 5)
        patch.setattr(sampling, "LATEST", 15)
        yield


def ended(number: int, point: Point) -> Trial:
    """Return a trial whose outcome follows from its point; one in four is given up."""
    passed = hashlib.sha256(str(sorted(point.items())).encode()).digest()[0] % 5
    complete = number % 4 != 3
    return Trial(
        number=number,
        point=point,
        passed=passed,
        tried=4 if complete else 2,
        tokens=number,
        complete=complete,
        dropped=None if complete else "hopeless",
    )


def run(trials: int, window: int) -> list[Trial]:
    """Return trials of which as many are in flight as the window holds."""
    sampler = PointSampler(CHOICES, FIRST, 0, window)
    done, running = list[Trial](), list[Point]()
    while len(done) < trials:
        while len(running) < window:
            running.append(sampler.ask(len(done) + len(running), done, running))
        done.append(ended(len(done), running.pop(0)))
    return done


@pytest.mark.parametrize("window", [1, 4])
def test_a_sampler_that_is_made_anew_asks_for_the_same(window: int) -> None:
    whole = run(70, window)
    for known in (0, 1, 5, 29, 30, 31, 34, 35, 40, 41, 55, 60):
        sampler = PointSampler(CHOICES, FIRST, 0, window)
        running = list[Point]()
        for number in range(known, known + window):
            running.append(sampler.ask(number, whole[:known], running))
        assert running == [t.point for t in whole[known : known + window]], known


def test_with_one_in_flight_and_all_in_sight_it_is_optuna() -> None:
    study = optuna.create_study(direction="maximize")
    for trial in run(30, 1):
        seed = int.from_bytes(hashlib.sha256(f"0/{trial.number}".encode()).digest()[:4])
        study.sampler = TPESampler(seed=seed, n_startup_trials=4)
        if trial.number < len(FIRST):
            study.enqueue_trial(FIRST[trial.number])
        asked = study.ask()
        assert CHOICES.suggest(asked) == trial.point
        asked.report(trial.value, 0)
        if trial.complete:
            study.tell(asked, trial.value)
        else:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)


@given(finished=st.integers(0, 400))
def test_the_history_in_sight_is_bounded_and_has_the_best(finished: int) -> None:
    trials = [ended(n, {"mode": str(n)}) for n in range(finished)]
    base = sampling._base(finished)
    seen = [*sampling._kept(trials[:base], ()), *trials[base:]]
    assert len(seen) <= 30
    assert (seen == trials) == (finished <= 30)
    assert [t.number for t in seen] == sorted(t.number for t in seen)
    complete = [t.value for t in trials if t.complete]
    assert max((t.value for t in seen if t.complete), default=0) == max(complete, default=0)
    assert seen[-10:] == trials[-10:]
