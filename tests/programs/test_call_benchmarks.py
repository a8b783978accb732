"""The benchmarks of a call say nothing that their times do not say."""

from __future__ import annotations

import pytest

from benchmarks.calls import Call, line
from benchmarks.program import ninth_decile


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 2.0], 2.0),
        ([1.0, 1.0, 1.0, 9.0], 9.0),
        ([*map(float, range(99))], 89.0),
    ],
)
def test_the_90th_percentile_is_never_longer_than_the_longest(
    times: list[float], expected: float
) -> None:
    assert ninth_decile(times) == pytest.approx(expected)


def test_a_row_has_means_and_what_the_times_are_like() -> None:
    calls = [Call(2, requests, 1, outside, 0.5) for requests, outside in ((1, 2.0), (2, 6.0))]
    assert line("2", calls) == "| 2 | 2 | 1.5 | 1.0 | 4.00 | 4.00 | 6.00 | 6.00 | 0.50 |"
