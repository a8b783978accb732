"""Reading tagged values on the host, where nothing that comes in is believed.

Owns the decoder and its caps, and the shortened text form shown to people. The encoder is in
``lift_sys.sandbox.tagged``, which also runs inside the sandbox.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from lift_sys.sandbox.tagged import MAX_DEPTH, MAX_ELEMENTS, Tagged

MAX_INTEGER_DIGITS = 250_000
"""Longest integer, in hexadecimal digits."""

MAX_EQUAL_HASHES = 32
"""Most keys of one dict or set with one hash: more would make the host's time quadratic."""

MAX_DECIMAL_CHARS = 10_000
"""Longest text of a ``Decimal``."""


_Keyed = TypeVar("_Keyed", dict[Any, Any], set[Any], frozenset[Any])


_PLAIN = frozenset((str, int, float, bool, type(None)))
_DURATIONS = frozenset((int, float))


class DecodeError(ValueError):
    """Something that no honest encoder sends, or a value beyond a cap."""


def parse_line(line: bytes) -> list[Any]:
    """Return one line of the result channel as a JSON array.

    Raises:
        DecodeError: It is not one.
    """
    try:
        value = _parse(line.decode("ascii"))
    except (ValueError, RecursionError, MemoryError) as error:
        msg = "a line that is not JSON"
        raise DecodeError(msg) from error
    if type(value) is not list:
        msg = "a line that is not an array"
        raise DecodeError(msg)
    return value


def _refuse_constant(name: str) -> object:
    raise DecodeError(name)


_parse = json.JSONDecoder(parse_constant=_refuse_constant).decode  # made once, not per line


def decode(tagged: Tagged) -> Any:
    """Return the value that a tagged form stands for.

    Raises:
        DecodeError: It is malformed or beyond a cap (``MAX_DEPTH``, ``MAX_ELEMENTS``,
            ``MAX_INTEGER_DIGITS``, ``MAX_EQUAL_HASHES``).
    """
    if type(tagged) in _PLAIN:
        return tagged
    try:
        return _Decoder().decode(tagged, 0)
    except DecodeError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        msg = f"a malformed value ({type(error).__name__})"
        raise DecodeError(msg) from error


class _Decoder:
    def __init__(self) -> None:
        self.left = 2 * MAX_ELEMENTS  # tags and the parts of scalars count here too

    def decode(self, tagged: Tagged, depth: int) -> Any:
        kind = type(tagged)
        if kind in _PLAIN:
            return tagged
        if kind is not list or not tagged or type(tagged[0]) is not str:
            msg = "a value without a tag"
            raise DecodeError(msg)
        self.left -= len(tagged)
        if self.left < 0:
            msg = f"more than {MAX_ELEMENTS} values"
            raise DecodeError(msg)
        scalar = _SCALARS.get(tagged[0])
        if scalar is not None:
            return scalar(*tagged[1:])
        if depth >= MAX_DEPTH:
            msg = f"nested deeper than {MAX_DEPTH}"
            raise DecodeError(msg)
        decode = self.decode
        items = [item if type(item) in _PLAIN else decode(item, depth + 1) for item in tagged[1:]]
        return _container(tagged[0], items)


def _container(tag: str, items: list[Any]) -> Any:
    if tag == "l":
        return items
    if tag == "t":
        return tuple(items)
    if tag == "d":
        keys = items[::2]
        _check_keys(keys)
        return _as_distinct(dict(zip(keys, items[1::2], strict=True)), len(keys))
    _check_keys(items)
    if tag == "s":
        return _as_distinct(set(items), len(items))
    if tag == "fs":
        return _as_distinct(frozenset(items), len(items))
    msg = f"unknown tag {tag[:20]!r}"
    raise DecodeError(msg)


def _check_keys(keys: list[Any]) -> None:
    """Refuse keys whose hashes collide on purpose, without building a hash table of them."""
    if len(keys) <= MAX_EQUAL_HASHES:
        return
    hashes = sorted(map(hash, keys))
    if any(a == b for a, b in zip(hashes, hashes[MAX_EQUAL_HASHES:], strict=False)):
        msg = f"more than {MAX_EQUAL_HASHES} keys with equal hashes"
        raise DecodeError(msg)


def _as_distinct(value: _Keyed, size: int) -> _Keyed:
    if len(value) != size:
        msg = "equal keys in one container"
        raise DecodeError(msg)
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        msg = f"an integer of more than {MAX_INTEGER_DIGITS} hexadecimal digits"
        raise DecodeError(msg)
    return int(text, 16)


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DECIMAL_CHARS:
        msg = f"a Decimal of more than {MAX_DECIMAL_CHARS} characters"
        raise DecodeError(msg)
    return Decimal(text)


def _fraction(numerator: str, denominator: str) -> Fraction:
    if len(numerator) + len(denominator) > MAX_DECIMAL_CHARS:
        msg = f"a Fraction of more than {MAX_DECIMAL_CHARS} hexadecimal digits"
        raise DecodeError(msg)
    return Fraction(_integer(numerator), _integer(denominator))


def _special_float(text: str) -> float:
    if text not in {"nan", "inf", "-inf"}:
        msg = "a float that is not nan or inf"
        raise DecodeError(msg)
    return float(text)


def _complex(real: str, imaginary: str) -> complex:
    if len(real) + len(imaginary) > 100:
        msg = "a complex number that is too long"
        raise DecodeError(msg)
    return complex(float(real), float(imaginary))


def _zone(offset: list[int] | None) -> datetime.timezone | None:
    return None if offset is None else datetime.timezone(datetime.timedelta(*_three(offset)))


def _three(parts: list[int]) -> tuple[int, int, int]:
    days, seconds, microseconds = parts
    if not all(type(part) is int for part in parts):
        msg = "a time difference that is not made of integers"
        raise DecodeError(msg)
    return days, seconds, microseconds


def _datetime(*parts: Any) -> datetime.datetime:
    *fields, fold, offset = parts
    value = datetime.datetime(*fields)  # noqa: DTZ001  # the zone, if any, follows
    return value.replace(tzinfo=_zone(offset), fold=fold)


def _time(*parts: Any) -> datetime.time:
    *fields, fold, offset = parts
    return datetime.time(*fields).replace(tzinfo=_zone(offset), fold=fold)


_SCALARS: dict[str, Callable[..., Any]] = {
    "i": _integer,
    "f": _special_float,
    "b": lambda text: text.encode("latin-1"),
    "ba": lambda text: bytearray(text, "latin-1"),
    "c": _complex,
    "D": _decimal,
    "F": _fraction,
    "da": datetime.date,
    "dt": _datetime,
    "tm": _time,
    "td": lambda *parts: datetime.timedelta(*_three(list(parts))),
}


# --- text for people --------------------------------------------------------------------------

_SURROGATES = re.compile("[\ud800-\udfff]")


def shorten(value: object, width: int = 200) -> str:
    """Return ``repr`` of a decoded value, cut to ``width`` characters and safe for huge values."""
    text = _written(value, width)
    if not text.isascii():
        text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= width else text[: width - 1] + "…"


_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", dict: "{}"}


def _written(value: Any, width: int) -> str:
    kind = type(value)
    if kind is int and value.bit_length() > 4 * width:
        return f"<int of {value.bit_length()} bits>"
    if kind in {str, bytes, bytearray}:
        return repr(value[:width]) + ("…" if len(value) > width else "")
    if kind is Fraction:
        return f"Fraction({shorten(value.numerator, 40)}, {shorten(value.denominator, 40)})"
    if kind is frozenset and value:
        return f"frozenset({shorten(set(value), width)})"
    if kind in _BRACKETS and value:
        return _written_container(value, kind, width)
    return repr(value)


def _written_container(value: Any, kind: type, width: int) -> str:
    brackets = _BRACKETS[kind]
    parts: list[str] = []
    left = width
    for item in value:
        text = shorten(item, width)
        if kind is dict:
            text += ": " + shorten(value[item], width)
        left -= len(text) + 2
        parts.append(text)
        if left < 0:
            break
    comma = "," if kind is tuple and len(value) == 1 else ""
    return brackets[0] + ", ".join(parts) + comma + brackets[1]


def is_finite_seconds(value: object) -> bool:
    """Tell whether something can be a duration."""
    return type(value) in _DURATIONS and 0 <= value < math.inf  # type: ignore[operator]
