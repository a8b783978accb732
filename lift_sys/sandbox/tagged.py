"""The tagged form in which values cross the boundary.

Owns the encoder. ``None``, ``bool``, ``str``, finite ``float`` and ``int`` of up to 64 bits stand
for themselves in JSON; everything else is an array whose first element is a tag, so that a list, a
tuple and a set, or ``1``, ``1.0`` and ``True``, stay apart. Only exact builtin types are encoded,
never a subclass, whose behaviour the host could not know. The exception are the dictionaries of
``collections`` (``Counter``, ``defaultdict``, ``OrderedDict``), which equal the plain dictionary
of the same items and are sent as one. Standard library only: this module is loaded inside.
"""

from __future__ import annotations

import collections
import datetime
import json
import json.encoder
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 100
"""Deepest nesting of containers."""

MAX_ELEMENTS = 200_000
"""Most values in one answer, containers included."""

Tagged = Any
"""What ``json`` can write: scalars and arrays."""


class NotEncodableError(Exception):
    """A value that has no tagged form; the message says which type or limit."""


def encode(value: object) -> Tagged:
    """Return the tagged form of a value.

    Raises:
        NotEncodableError: A type beyond the builtin ones, nesting beyond ``MAX_DEPTH`` (also a
            cycle) or more than ``MAX_ELEMENTS`` values.
    """
    return _Encoder().encode(value, 0)


def to_json(tagged: Tagged) -> str:
    """Return the compact ASCII text of a tagged value."""
    return "".join(_chunks(tagged, 0))


def _refuse(value: object) -> Tagged:
    raise NotEncodableError(type(value).__name__)


def _make_encoder() -> Callable[[Tagged, int], Iterable[str]]:
    """Return the C encoder itself: making one per line costs more than the line."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another implementation of Python
        encode_text = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        return lambda tagged, _: encode_text(tagged)
    escape = json.encoder.encode_basestring_ascii
    encoder: Callable[[Tagged, int], Iterable[str]] = make(
        None, _refuse, escape, None, ":", ",", False, False, True
    )
    return encoder


_chunks = _make_encoder()


class _Encoder:
    def __init__(self) -> None:
        self.left = MAX_ELEMENTS

    def encode(self, value: Any, depth: int) -> Tagged:
        kind = type(value)
        self.left -= 1
        if self.left < 0:
            msg = f"more than {MAX_ELEMENTS} values"
            raise NotEncodableError(msg)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else ["i", hex(value)]
        if kind is float:
            return value if math.isfinite(value) else ["f", repr(value)]
        if depth >= MAX_DEPTH:
            msg = f"nested deeper than {MAX_DEPTH}"
            raise NotEncodableError(msg)
        if kind in _SEQUENCES:
            return [_SEQUENCES[kind], *[self.encode(item, depth + 1) for item in value]]
        if kind in _DICTS:
            flat: list[Tagged] = ["d"]
            for key, item in value.items():
                flat += (self.encode(key, depth + 1), self.encode(item, depth + 1))
            return flat
        if kind in _SCALARS:
            return _SCALARS[kind](value)
        raise NotEncodableError(_complaint(kind))


def _complaint(kind: type) -> str:
    name = getattr(kind, "__name__", "?")
    hint = _HINTS.get(name, "")
    return f"a value of type {name}{hint}"[:200]


def _offset(zone: datetime.tzinfo | None) -> Tagged:
    if zone is None:
        return None
    if type(zone) is not datetime.timezone:
        raise NotEncodableError(_complaint(type(zone)))
    delta = zone.utcoffset(None)
    return [delta.days, delta.seconds, delta.microseconds]


def _datetime(v: datetime.datetime) -> Tagged:
    parts = [v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond]
    return ["dt", *parts, v.fold, _offset(v.tzinfo)]


def _time(v: datetime.time) -> Tagged:
    return ["tm", v.hour, v.minute, v.second, v.microsecond, v.fold, _offset(v.tzinfo)]


_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "fs"}
_DICTS = frozenset(
    (dict, collections.Counter, collections.defaultdict, collections.OrderedDict),
)
_SCALARS: dict[type, Callable[[Any], Tagged]] = {
    bytes: lambda v: ["b", v.decode("latin-1")],
    bytearray: lambda v: ["ba", v.decode("latin-1")],
    complex: lambda v: ["c", repr(v.real), repr(v.imag)],
    Decimal: lambda v: ["D", str(v)],
    Fraction: lambda v: ["F", hex(v.numerator), hex(v.denominator)],
    datetime.date: lambda v: ["da", v.year, v.month, v.day],
    datetime.datetime: _datetime,
    datetime.time: _time,
    datetime.timedelta: lambda v: ["td", v.days, v.seconds, v.microseconds],
}
_HINTS = {
    "generator": "; return a list",
    "map": "; return a list",
    "filter": "; return a list",
    "zip": "; return a list",
    "range": "; return a list",
    "dict_keys": "; return a list",
    "dict_values": "; return a list",
    "dict_items": "; return a list",
    "coroutine": "; the function must not be async",
    "async_generator": "; the function must not be async",
    "function": "; return its result",
}
