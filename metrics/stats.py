"""Statistics that every printed figure passes through.

Owns intervals and paired tests; scipy does the arithmetic where it can.
"""

from __future__ import annotations

from collections.abc import Mapping

from scipy.stats import binomtest

from lift_sys.record import Record

ALPHA = 0.05
"""Two-sided significance level."""


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


class Comparison(Record):
    """Two programs on the same tasks.

    Attributes:
        only_first: Tasks that only the first passed.
        only_second: Tasks that only the second passed.
        p_value: Exact two-sided McNemar test.
        verdict: What that shows, in words.
    """

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    p_value: float
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
    flips = len(only_first) + len(only_second)
    p_value = float(binomtest(len(only_second), flips).pvalue) if flips else 1.0
    if p_value > ALPHA:
        verdict = "not enough evidence of a difference"
    else:
        verdict = "better" if len(only_second) > len(only_first) else "worse"
    return Comparison(
        only_first=only_first, only_second=only_second, p_value=p_value, verdict=verdict
    )
