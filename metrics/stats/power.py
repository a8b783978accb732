"""What a number of tasks can show: power of the exact McNemar test, its two inversions, a target.

Two programs on the same tasks differ in two numbers: the *discordant* share of tasks that only one
of them passes, and the *difference* of their pass rates, which is at most that share.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm

from metrics.stats.rates import ALPHA

POWER = 0.8
"""Wanted chance that a difference which is there is also found."""

_NEGLIGIBLE = 1e-12
"""Probability that counts as 0, and that sums over flips may leave out."""

_MOST_ENUMERATED = 10_000
"""Tasks up to which a needed number is found by enumeration."""


def power(tasks: int, difference: float, discordant: float, alpha: float = ALPHA) -> float:
    """Return the chance that the exact McNemar test finds a difference, in [0, 1].

    Enumerates the number of flips (binomial in the tasks) and, given it, which way they go.

    Args:
        tasks: How many tasks both programs run.
        difference: Of the pass rates, in [-1, 1].
        discordant: Share of tasks that only one passes, |difference| ≤ discordant ≤ 1.
        alpha: Two-sided level of the test.

    Raises:
        ValueError: The difference is greater than the discordant share, or that is above 1.
    """
    _refuse_impossible(difference, discordant)
    if discordant <= _NEGLIGIBLE:
        return 0.0
    flips = np.arange(
        binom.ppf(_NEGLIGIBLE, tasks, discordant), binom.isf(_NEGLIGIBLE, tasks, discordant) + 1
    )
    most_lost = binom.ppf(alpha / 2, flips, 0.5)  # the fewer side of the flips may be this large,
    most_lost -= binom.cdf(most_lost, flips, 0.5) > alpha / 2  # or -1: no split is enough
    gain = (1 + difference / discordant) / 2
    found = binom.cdf(most_lost, flips, gain) + binom.cdf(most_lost, flips, 1 - gain)
    return float(binom.pmf(flips, tasks, discordant) @ found)


def tasks_needed(difference: float, discordant: float, alpha: float = ALPHA) -> int:
    """Return how many tasks the exact McNemar test needs to find a difference at 80 % power.

    Starts from ``normal_approximation``, which is for the uncorrected test, and goes to the number
    at which the exact test reaches that power. Above 10,000 tasks the approximation stands.

    Args:
        difference: To be found, of the pass rates, in [-1, 1] but not 0.
        discordant: Share of tasks that only one passes, |difference| ≤ discordant ≤ 1.
        alpha: Two-sided level of the test.

    Raises:
        ValueError: The difference is 0, or the two shares are impossible.
    """
    high = normal_approximation(difference, discordant, alpha)
    if high > _MOST_ENUMERATED:
        return high
    while power(high, difference, discordant, alpha) < POWER:
        high += 1 + high // 10
    low = 1
    while low < high:
        middle = (low + high) // 2
        if power(middle, difference, discordant, alpha) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def normal_approximation(difference: float, discordant: float, alpha: float = ALPHA) -> int:
    """Return the tasks that McNemar's test needs at 80 % power if its statistic were normal.

    The formula of Miettinen (1968) as given by Connor (1987, Biometrics 43:207-211):

        n = (z(alpha/2) √discordant + z(0.2) √(discordant - difference²))² / difference²

    Arguments and errors are those of ``tasks_needed``.
    """
    _refuse_impossible(difference, discordant)
    if difference == 0:
        msg = "no number of tasks shows a difference of 0"
        raise ValueError(msg)
    spread = norm.isf(alpha / 2) * math.sqrt(discordant)
    spread += norm.ppf(POWER) * math.sqrt(discordant - difference**2)
    return math.ceil(float(spread / difference) ** 2)


def minimum_detectable(tasks: int, discordant: float, alpha: float = ALPHA) -> float | None:
    """Return the smallest difference of pass rates that some tasks show at 80 % power, in (0, 1].

    Args:
        tasks: How many tasks both programs run.
        discordant: Share of tasks that only one passes, in [0, 1]; where a difference is greater
            than that, all flips go one way.
        alpha: Two-sided level of the test.

    Returns:
        The difference; ``None`` where so few tasks cannot show any.
    """

    def excess(difference: float) -> float:
        return power(tasks, difference, max(discordant, difference), alpha) - POWER

    return float(brentq(excess, 0.0, 1.0, xtol=1e-6)) if excess(1.0) >= 0 else None


def tasks_to_clear(share: float, target: float) -> int:
    """Return how many tasks show that a rate is above a target, at 80 % power.

    Shown is what the lower end of the Wilson interval clears. The interval inverts the score test,
    so the number starts from that test's normal approximation,

        n = (z(alpha/2) √(target (1 - target)) + z(0.2) √(share (1 - share)))² / (share - target)²

    and goes up to where the exact binomial chance of enough passes reaches that power.

    Args:
        share: The true rate, target < share ≤ 1.
        target: To be cleared, 0 < target < 1.

    Raises:
        ValueError: The two are not in that order.
    """
    if not 0 < target < share <= 1:
        msg = f"no number of tasks shows that a rate of {share} is above {target}"
        raise ValueError(msg)
    spread = norm.isf(ALPHA / 2) * math.sqrt(target * (1 - target))
    spread += norm.ppf(POWER) * math.sqrt(share * (1 - share))
    tasks = math.ceil(float(spread / (share - target)) ** 2)
    while binom.sf(passes_to_clear(tasks, target) - 1, tasks, share) < POWER:
        tasks += 1
    return tasks


def passes_to_clear(tasks: int, target: float) -> int:
    """Return the fewest passes whose Wilson interval lies above a target; may exceed the tasks.

    Args:
        tasks: How many are run.
        target: To be cleared, in (0, 1).
    """
    margin = norm.isf(ALPHA / 2) * math.sqrt(tasks * target * (1 - target))
    return math.ceil(tasks * target + float(margin))


def _refuse_impossible(difference: float, discordant: float) -> None:
    if not abs(difference) <= discordant <= 1:
        msg = f"a difference of {difference} needs a discordant share from its size to 1"
        raise ValueError(msg)
