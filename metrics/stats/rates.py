"""Shares of successes: Wilson intervals, pass@k and pass^k; scipy does the arithmetic."""

from __future__ import annotations

from math import comb

from scipy.stats import binomtest

from lift_sys.record import Record

ALPHA = 0.05
"""Two-sided significance level; intervals are at 1 - ALPHA."""


class Rate(Record):
    """A success rate.

    Attributes:
        passed: Successes.
        total: Tries.
        low: Lower end of the 95 % Wilson interval, in [0, 1].
        high: Upper end.
    """

    passed: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, passed: int, total: int) -> Rate:
        """Return the rate with its Wilson score interval (Wilson 1927).

        Raises:
            ValueError: Not 0 ≤ passed ≤ total.
        """
        if not 0 <= passed <= total:
            msg = f"{passed} of {total} is not a rate"
            raise ValueError(msg)
        if total == 0:
            return cls(passed=0, total=0, low=0.0, high=1.0)
        interval = binomtest(passed, total).proportion_ci(1 - ALPHA, method="wilson")
        return cls(passed=passed, total=total, low=float(interval.low), high=float(interval.high))

    def __str__(self) -> str:
        share = self.passed / self.total if self.total else 0.0
        span = f"{100 * self.low:.0f}–{100 * self.high:.0f} %"
        return f"{self.passed}/{self.total} ({100 * share:.1f} %, 95 % CI {span})"


class Difference(Record):
    """How much more often the second of two programs passes than the first.

    Attributes:
        estimate: Mean pass of the second minus mean pass of the first, in [-1, 1].
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        span = f"{100 * self.low:+.0f} to {100 * self.high:+.0f}"
        return f"{100 * self.estimate:+.1f} points (95 % CI {span})"


def pass_at_k(passed: int, total: int, k: int) -> float:
    """Return the chance that at least one of k rollouts of a task passes.

    Unbiased: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374), from whole numbers, so
    nothing overflows or cancels.

    Args:
        passed: Rollouts that passed, c.
        total: Rollouts, n.
        k: How many are drawn, 1 ≤ k ≤ n.

    Raises:
        ValueError: Not 0 ≤ c ≤ n, or k is out of range.
    """
    _refuse_impossible(passed, total, k)
    return (comb(total, k) - comb(total - passed, k)) / comb(total, k)


def pass_hat_k(passed: int, total: int, k: int) -> float:
    """Return the chance that all of k rollouts of a task pass, pass^k.

    Unbiased: C(c, k) / C(n, k) (Yao et al. 2024, arXiv:2406.12045). Arguments and errors are those
    of ``pass_at_k``.
    """
    _refuse_impossible(passed, total, k)
    return comb(passed, k) / comb(total, k)


def _refuse_impossible(passed: int, total: int, k: int) -> None:
    if not 0 <= passed <= total:
        msg = f"{passed} of {total} is not a rate"
        raise ValueError(msg)
    if not 1 <= k <= total:
        msg = f"k is {k}; with {total} rollouts it must be from 1 to {total}"
        raise ValueError(msg)
