"""Programs that ran every task several times: a paired bootstrap over tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lift_sys.record import Record
from metrics.stats.rates import ALPHA, Difference

_ZERO = 1e-12
"""Sums of fractions that cancel are this close to 0."""


class BootstrapComparison(Record):
    """Two programs on the same tasks, with several rollouts each.

    Attributes:
        tasks: How many tasks both ran.
        difference: Of mean pass, with its percentile interval.
        p_value: Two-sided.
    """

    tasks: int
    difference: Difference
    p_value: float


def compare_rollouts(
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    *,
    seed: int,
    resamples: int = 10_000,
) -> BootstrapComparison:
    """Compare the mean pass of two programs by a task-clustered paired bootstrap.

    Resamples whole tasks, each with all its rollouts on both sides (the cluster bootstrap: Davison
    and Hinkley 1997, section 3.8; Field and Welsh 2007, J. R. Stat. Soc. B 69:369-390). A task's
    means already vary with its rollouts; drawing those again would count that part twice. Rollouts
    of one task are never treated as independent tries. Every task weighs the same.

    Few tasks make the percentile interval too narrow, and tasks that all differ alike collapse it;
    with one rollout a task, ``compare`` is exact and to be preferred.

    Args:
        first: Outcomes in [0, 1] of every rollout, by task id.
        second: Likewise; the number of rollouts may differ.
        seed: Of the resampling.
        resamples: How many sets of tasks are drawn.

    Raises:
        ValueError: Other tasks on the two sides, no task, a task without rollouts, or an outcome
            outside [0, 1].
    """
    if first.keys() != second.keys() or not first:
        msg = "a paired comparison needs the same tasks on both sides, and at least one"
        raise ValueError(msg)
    gains = np.array([_mean(second[task]) - _mean(first[task]) for task in first])
    drawn = np.random.default_rng(seed).integers(len(gains), size=(resamples, len(gains)))
    means = gains[drawn].mean(axis=1)
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    # One is added to both counts: no p-value is 0 because of too few resamples.
    tail = 1 + min(np.count_nonzero(means <= _ZERO), np.count_nonzero(means >= -_ZERO))
    return BootstrapComparison(
        tasks=len(gains),
        difference=Difference(estimate=float(gains.mean()), low=float(low), high=float(high)),
        p_value=min(1.0, 2 * float(tail) / (resamples + 1)),
    )


def _mean(outcomes: Sequence[float]) -> float:
    if not outcomes or not all(0 <= outcome <= 1 for outcome in outcomes):
        msg = "a task needs at least one rollout, and outcomes are from 0 to 1"
        raise ValueError(msg)
    return sum(outcomes) / len(outcomes)
