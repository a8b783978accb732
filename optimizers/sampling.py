"""Which point a search tries next: Optuna's TPE, asked so that the same search asks the same again.

Owns the history that the sampler sees. The point of trial *k* follows from the seed, from *k*, and
from the results of the trials up to *k* - window; the trials in between are running, or count as
if they were. So it is the same whatever finished first, and whether or not there was an
interruption. Optuna is told of the running trials, which it counts as bad ones (its "constant
liar"): without that the trials of one window are drawn from one and the same density and repeat
each other.

TPE takes time in proportion to the trials that it sees. It sees all of them up to ``ALL``; later
the best and the latest ones. It makes two densities, of which that of the good trials holds 25 at
most, and the best ``BEST`` contain those; in that of the others the oldest trials weigh least.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from lift_sys.wish import Cost
from optimizers.objectives import directions, front, values
from optimizers.space import Point, SearchSpace
from optimizers.trials import Trial

ALL = 400
"""Finished trials up to which the sampler sees all."""

BEST, LATEST = 50, 250
"""Finished trials that stay in sight when there are more; others come on top until they are
``ALL`` again."""

STARTUP_TRIALS = 4
"""Finished trials before which points are drawn at random."""


class PointSampler:
    """Asks for points.

    Args:
        space: What is searched.
        first_points: Points of the first trials.
        seed: Of the sampler.
        window: Trials that are in flight together, at least 1.
        costs: What is kept low.
    """

    def __init__(
        self,
        space: SearchSpace,
        first_points: Sequence[Point],
        seed: int,
        window: int,
        costs: Sequence[Cost] = (),
    ) -> None:
        self._space = space
        self._first = first_points
        self._seed = seed
        self._window = window
        self._costs = costs
        self._study: optuna.Study | None = None
        self._base = 0
        self._told = 0
        self._running: dict[int, optuna.Trial] = {}
        self._common: dict[str, BaseDistribution] = {}

    def ask(self, number: int, trials: Sequence[Trial], running: Sequence[Point]) -> Point:
        """Return the point of trial ``number``.

        Args:
            number: Of the next trial; numbers are asked for in order.
            trials: The finished ones, in order.
            running: Points of those between the finished ones and ``number``.
        """
        seen = max(0, number - self._window + 1)
        study = self._study
        if study is None or _base(seen) != self._base:
            points = [*(t.point for t in trials[seen:]), *running]
            study = self._begin(trials[:seen], points)
        for trial in trials[self._told : seen]:
            _tell(study, self._running.pop(trial.number), trial, self._costs)
            self._see(trial)
        self._told = seen
        text = f"{self._seed}/{number}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
        study.sampler = _Sampler(seed, self._common)
        return self._start(study, number, *self._first[number : number + 1])

    def _begin(self, trials: Sequence[Trial], points: Sequence[Point]) -> optuna.Study:
        """Make a study with what is in sight of these finished trials and of the running ones."""
        study = optuna.create_study(
            directions=directions(self._costs), sampler=RandomSampler(seed=0)
        )
        self._study, self._base, self._told = study, _base(len(trials)), len(trials)
        self._running.clear()
        self._common = {}
        for trial in (*_kept(trials[: self._base], self._costs), *trials[self._base :]):
            study.add_trial(frozen_trial(trial, self._space, self._costs))
            self._see(trial)
        for number, point in enumerate(points, start=len(trials)):
            self._start(study, number, point)
        return study

    def _see(self, trial: Trial) -> None:
        """Keep the dimensions that make a difference in every trial in sight; the first does."""
        asked = distributions_at(trial.point, self._space)
        common = self._common or asked
        self._common = {path: d for path, d in sorted(asked.items()) if path in common}

    def _start(self, study: optuna.Study, number: int, *fixed: Point) -> Point:
        """Let the sampler begin a trial, at a fixed point if one is given."""
        for point in fixed:
            study.enqueue_trial(self._space.complete(point))
        trial = self._running[number] = study.ask()
        return self._space.suggest(trial)


def frozen_trial(
    trial: Trial, space: SearchSpace, costs: Sequence[Cost], **attributes: Any
) -> FrozenTrial:
    """Return a finished trial as Optuna keeps it.

    What a given-up trial came to is only told where success alone counts: Optuna takes no
    intermediate values of several objectives.

    Args:
        trial: At a point of the space.
        space: What is searched; dimensions that make no difference at the point are left out.
        costs: What is kept low.
        attributes: User attributes.
    """
    distributions = distributions_at(trial.point, space)
    return create_trial(
        state=TrialState.COMPLETE if trial.complete else TrialState.PRUNED,
        values=None if costs and not trial.complete else values(trial, costs),
        params={path: trial.point[path] for path in distributions},
        distributions=distributions,
        user_attrs=attributes,
        intermediate_values=None if costs else {0: trial.value},
    )


def distributions_at(point: Point, space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the dimensions that make a difference at a point, as Optuna knows them."""
    return {
        d.path: CategoricalDistribution(d.choices) for d in space.dimensions if d.matters(point)
    }


class _Sampler(TPESampler):
    """TPE that is told which dimensions all trials in sight have.

    Optuna would look through all of them at each trial, which takes longer than the sampling.
    """

    def __init__(self, seed: int, common: Mapping[str, BaseDistribution]) -> None:
        super().__init__(seed=seed, n_startup_trials=STARTUP_TRIALS)
        self._common = {path: d for path, d in common.items() if not d.single()}

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002 (Optuna's call)
    ) -> dict[str, BaseDistribution]:
        """Return these dimensions; of several objectives TPE samples each dimension apart."""
        return {} if len(study.directions) > 1 else dict(self._common)


def _tell(study: optuna.Study, running: optuna.Trial, trial: Trial, costs: Sequence[Cost]) -> None:
    if not costs:
        running.report(trial.value, 0)
    if trial.complete:
        study.tell(running, values(trial, costs))
    else:
        study.tell(running, state=TrialState.PRUNED)


def _base(finished: int) -> int:
    """Return how many of the first trials only count if they are among the best or the latest."""
    if finished <= ALL:
        return 0
    return finished - 1 - (finished - 1 - ALL) % (ALL - BEST - LATEST)


def _kept(trials: Sequence[Trial], costs: Sequence[Cost]) -> list[Trial]:
    """Return those that stay in sight, in order; TPE ranks complete trials before others.

    With costs it ranks by dominance; the front comes first, and then what passes most.
    """
    ahead = {t.number for t in front(trials, costs)}
    ranked = sorted(
        trials, key=lambda t: (not t.complete, t.number not in ahead, -t.value, t.number)
    )
    numbers = {t.number for t in (*ranked[:BEST], *trials[-LATEST:])}
    return [t for t in trials if t.number in numbers]
