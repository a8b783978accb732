"""Comparing what came back with what was expected, on the host.

Owns what "equal" means:

- types must be the same: ``True``, ``1`` and ``1.0`` are three values, a list is not a tuple;
- NaN equals NaN; ``-0.0`` equals ``0.0`` (Python's ``==`` says so, and specs never tell them
  apart); decimals are equal by value, so ``Decimal("1.0")`` equals ``Decimal("1.00")``;
- dicts and sets are compared without regard to order and without hash tables, by the sorted
  canonical text of their keys, so that keys chosen to collide cost nothing;
- with a tolerance, numbers of any of the types int, float, Decimal, Fraction and complex (never
  bool) are equal if they differ by no more than it, also inside containers; keys of dicts stay
  exact, sets of real numbers are compared in sorted order.
"""

from __future__ import annotations

import cmath
import datetime
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lift_sys.sandbox.tagged import NotEncodableError, encode, to_json

_NUMBERS = frozenset((int, float, complex, Decimal, Fraction))
_REALS = frozenset((int, float, Decimal, Fraction))
_TIMES = frozenset((datetime.date, datetime.datetime, datetime.time, datetime.timedelta))


def equal(actual: object, expected: object, tolerance: float | None = None) -> bool:
    """Tell whether a decoded value is what was expected.

    Args:
        actual: A value from ``codec.decode``.
        expected: A value from ``parse_literal``.
        tolerance: Absolute difference allowed between numbers; ``None`` for none and exact types.
    """
    try:
        return _equal(actual, expected, tolerance)
    except (NotEncodableError, RecursionError, ArithmeticError):
        return False


def _equal(a: Any, b: Any, tolerance: float | None) -> bool:
    kind = type(a)
    if tolerance is not None and kind in _NUMBERS and type(b) in _NUMBERS:
        return _close(a, b, tolerance)
    if kind is not type(b):
        return False
    if kind is list or kind is tuple:
        return len(a) == len(b) and all(_equal(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if kind is dict:
        return _equal_dicts(a, b, tolerance)
    if kind is set or kind is frozenset:
        return _equal_sets(a, b, tolerance)
    if kind in {float, complex, Decimal}:
        return bool(a == b) or canonical(a) == canonical(b)
    if kind in _TIMES:  # ``==`` would ignore ``fold`` and compare instants across offsets
        return canonical(a) == canonical(b)
    return bool(a == b)


def _equal_dicts(a: dict[Any, Any], b: dict[Any, Any], tolerance: float | None) -> bool:
    if len(a) != len(b):
        return False
    left = sorted(((canonical(k), v) for k, v in a.items()), key=lambda pair: pair[0])
    right = sorted(((canonical(k), v) for k, v in b.items()), key=lambda pair: pair[0])
    return all(
        x[0] == y[0] and _equal(x[1], y[1], tolerance) for x, y in zip(left, right, strict=True)
    )


def _equal_sets(
    a: set[Any] | frozenset[Any], b: set[Any] | frozenset[Any], tolerance: float | None
) -> bool:
    if len(a) != len(b):
        return False
    if sorted(map(canonical, a)) == sorted(map(canonical, b)):
        return True
    if tolerance is None or not all(type(x) in _REALS for x in (*a, *b)):
        return False
    pairs = zip(sorted(a), sorted(b), strict=True)
    return all(_close(x, y, tolerance) for x, y in pairs)


def _close(a: Any, b: Any, tolerance: float) -> bool:
    """Tell whether two numbers differ by no more than the tolerance."""
    if a == b:
        return True
    if _is_nan(a) or _is_nan(b):
        return _is_nan(a) and _is_nan(b)
    if type(a) is complex or type(b) is complex:
        return abs(complex(a) - complex(b)) <= tolerance
    # Numbers compare exactly, so without a tolerance nothing else is equal.
    if not (tolerance and math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(_exact(a) - _exact(b)) <= Fraction(tolerance)


def _exact(number: Any) -> Fraction:
    if type(number) is Decimal and abs(number.adjusted()) > 1000:
        return Fraction(float(number))
    return Fraction(number)


def _is_nan(number: Any) -> bool:
    if type(number) is complex:
        return cmath.isnan(number)
    return type(number) is not int and type(number) is not Fraction and math.isnan(number)


def canonical(value: Any) -> str:
    """Return a text that is the same for equal values, and only for those.

    Raises:
        NotEncodableError: The value is not made of exact builtin types.
    """
    kind = type(value)
    if kind in {list, tuple}:
        return f"{kind.__name__}({','.join(map(canonical, value))})"
    if kind in {set, frozenset}:
        return f"{kind.__name__}({','.join(sorted(map(canonical, value)))})"
    if kind is dict:
        pairs = sorted(f"{canonical(k)}:{canonical(v)}" for k, v in value.items())
        return f"dict({','.join(pairs)})"
    if kind is float:
        return f"float({value + 0.0!r})"
    if kind is complex:
        return f"complex({value.real + 0.0!r},{value.imag + 0.0!r})"
    if kind is Decimal:
        return _canonical_decimal(value)
    return f"{kind.__name__}({to_json(encode(value))})"


def _canonical_decimal(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return f"Decimal({exponent}{sign if exponent == 'F' else ''})"
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return "Decimal(0)"
    return f"Decimal({sign},{stripped},{exponent + len(text) - len(stripped)})"
