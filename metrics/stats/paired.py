"""Two programs on the same tasks, pass or fail: the exact McNemar test, and what it shows in words.

Owns the sentence that every comparison is printed with. A comparison without evidence says what
evidence it would take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from scipy.stats import binomtest

from lift_sys.record import Record
from metrics.stats.power import minimum_detectable, tasks_needed
from metrics.stats.rates import ALPHA, Difference

_NODES = 2000
"""Points of the numerical integral behind an interval; its ends are then right to 0.001."""


class Comparison(Record):
    """Two programs on the same tasks.

    Attributes:
        tasks: How many.
        only_first: Tasks that only the first passed.
        only_second: Tasks that only the second passed.
        difference: Of the pass rates, second minus first.
        p_value: Exact two-sided McNemar test.
        p_corrected: The same after Holm's correction for the comparisons made together; equal to
            ``p_value`` where this is the only one.
        verdict: What that shows, in words, of the second.
    """

    tasks: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    difference: Difference
    p_value: float
    p_corrected: float
    verdict: str


def compare(first: Mapping[str, bool], second: Mapping[str, bool]) -> Comparison:
    """Compare pass/fail per task id with the exact McNemar test (a binomial test on the flips).

    Raises:
        ValueError: The two were not run on the same tasks.
    """
    if first.keys() != second.keys():
        msg = "a paired comparison needs the same tasks on both sides"
        raise ValueError(msg)
    only_first = tuple(t for t in first if first[t] and not second[t])
    only_second = tuple(t for t in first if second[t] and not first[t])
    gained, lost, tasks = len(only_second), len(only_first), len(first)
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Comparison(
        tasks=tasks,
        only_first=only_first,
        only_second=only_second,
        difference=_difference(gained, lost, tasks),
        p_value=p_value,
        p_corrected=p_value,
        verdict=_verdict(gained, lost, tasks, p_value, ALPHA),
    )


def correct(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return comparisons that are read together, with corrected p-values and verdicts by them.

    The tasks still needed are those at Bonferroni's level, the strictest that Holm's procedure may
    come to.
    """
    level = ALPHA / max(1, len(comparisons))
    corrected = holm([c.p_value for c in comparisons])
    return tuple(
        c.model_copy(
            update={
                "p_corrected": p,
                "verdict": _verdict(len(c.only_second), len(c.only_first), c.tasks, p, level),
            }
        )
        for c, p in zip(comparisons, corrected, strict=True)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being several (Holm 1979, Scand. J. Stat. 6:65-70).

    Whoever calls those at or below a level significant is wrong anywhere with at most that
    probability. The order is kept.
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def p_text(p_value: float) -> str:
    """Return a p-value as it is printed, with its relation sign."""
    return f"= {p_value:.3f}" if p_value >= 0.0005 else "< 0.001"


def _verdict(gained: int, lost: int, tasks: int, p_value: float, level: float) -> str:
    """Return what a comparison shows; ``level`` is for planning further tasks."""
    if p_value <= ALPHA:
        return "better" if gained > lost else "worse"
    if gained != lost:
        needed = tasks_needed((gained - lost) / tasks, (gained + lost) / tasks, level)
        more = needed - tasks  # what was not found here has a power well below 80 %
        unit = "task" if more == 1 else "tasks"
        return f"not enough evidence: about {more:,} more {unit} needed"
    least = minimum_detectable(tasks, (gained + lost) / tasks if tasks else 0.0, level)
    if least is None:
        return f"no difference seen; {tasks} tasks are too few to show any"
    points = math.ceil(100 * least)
    return (
        f"no difference seen; with these {tasks} tasks only differences of at least {points} "
        "points would show"
    )


def _difference(gained: int, lost: int, tasks: int) -> Difference:
    """Return the difference with an interval that leaves out 0 exactly when p ≤ 0.05.

    Fay and Lumbard (2021), Statistics in Medicine 40:1147-1159: confidence distributions of the
    share of flips and of the share of gains among them, both Clopper-Pearson's, are multiplied.
    """
    if not tasks:
        return Difference(estimate=0.0, low=-1.0, high=1.0)
    return Difference(
        estimate=(gained - lost) / tasks,
        low=_lower_end(gained, lost, tasks),
        high=-_lower_end(lost, gained, tasks),
    )


def _lower_end(gained: int, lost: int, tasks: int) -> float:
    """Return the 2.5 % quantile of flips × (2 × share of gains - 1).

    Both factors are at their lower confidence distribution, but the flips at their upper one where
    the second factor is negative.
    """
    flips, tail = gained + lost, ALPHA / 2
    # Chance that losses prevail: half the test's p-value, unless that is above 1.
    losing = betainc(gained, lost + 1, 0.5)
    nodes = (np.arange(_NODES) + 0.5) / _NODES

    def net(chances: np.ndarray) -> np.ndarray:
        shares = betaincinv(gained, lost + 1, chances) if gained else np.zeros_like(chances)
        return 2 * shares - 1

    if losing > tail:
        losses = -net(nodes * losing)

        def excess(low: float) -> float:
            fewer = betainc(flips + 1, tasks - flips, np.minimum(1, -low / losses))
            return float(losing * np.mean(1 - fewer)) - tail

        return float(brentq(excess, -1.0, 0.0)) if excess(-1.0) < 0 else -1.0
    gains = net(losing + nodes * (1 - losing))

    def excess_above(low: float) -> float:
        fewer = betainc(flips, tasks - flips + 1, np.minimum(1, low / gains))
        return float(losing + (1 - losing) * np.mean(fewer)) - tail

    return float(brentq(excess_above, 0.0, 1.0))
