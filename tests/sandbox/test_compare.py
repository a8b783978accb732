"""Comparison without a tolerance: exact, and blind to the type of a number."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest

from lift_sys.sandbox.compare import equal


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        (500, 500.0, True),
        (2**53 + 1, float(2**53), False),
        (10**400, 10**400 + 1, False),
        (Decimal("1e-2000"), 0, False),
        (Fraction(1, 2), 0.5, True),
        (math.nan, math.nan, True),
        (complex(1, 0), 1, True),
        (complex(1, 1), complex(1, 2), False),
        ([1, 2.0], [1.0, 2], True),
    ],
)
def test_no_tolerance_compares_numbers_as_python_does(a: object, b: object, result: bool) -> None:
    assert equal(a, b, 0.0) is result
    assert equal(b, a, 0.0) is result
