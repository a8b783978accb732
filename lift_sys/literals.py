"""Python literals as text, the form in which tasks and assertions carry values.

Owns the one parser for that text, and the one writer. Nothing is ever evaluated: the text is parsed
to an AST and only literal nodes are turned into values, so it is safe on text that a model wrote.
Beyond ``ast.literal_eval`` it reads the constructors that have no literal form: ``set()``,
``frozenset({..})``, ``float('nan')``, ``Decimal('1.5')``, ``Fraction(1, 3)``,
``date(2024, 2, 29)``, ``datetime(..)``, ``time(..)``, ``timedelta(..)``.
"""

from __future__ import annotations

import ast
import datetime
import functools
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_LITERAL_CHARS = 1_000_000
"""Longest literal text that is parsed, in characters."""


def _fraction(*parts: Any) -> Fraction:
    """Return a fraction; an exponent is refused, for '1e999999999' would be a billion digits."""
    if any(isinstance(p, Decimal) or (isinstance(p, str) and "e" in p.lower()) for p in parts):
        msg = "a Fraction is given by integers, a float or text without an exponent"
        raise ValueError(msg)
    return Fraction(*parts)


_CONSTRUCTORS: dict[str, Callable[..., object]] = {
    "set": set,
    "frozenset": frozenset,
    "float": float,
    "Decimal": Decimal,
    "Fraction": _fraction,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
}


def parse_literal(text: str) -> Any:
    """Return the value that a literal's text stands for.

    Args:
        text: One Python expression made of literals and the constructors named above.

    Raises:
        ValueError: The text is not such an expression; the message says why.
    """
    if len(text) > MAX_LITERAL_CHARS:
        msg = f"literal of {len(text)} characters is longer than {MAX_LITERAL_CHARS}"
        raise ValueError(msg)
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, MemoryError, RecursionError) as error:
        msg = f"{text[:80]!r} is not a Python literal"
        raise ValueError(msg) from error
    except (TypeError, ArithmeticError) as error:
        msg = f"{text[:80]!r} is not a Python literal: {error}"
        raise ValueError(msg) from error


def literal_key(text: str) -> str:
    """Return a literal's value as Python writes it: the same for texts that differ in form alone.

    Raises:
        ValueError: As ``parse_literal`` raises it.
    """
    # One answer compares the arguments of the same few cases at every step.
    return _known_key(text) if len(text) <= _LONGEST_SHAPE else _parsed_key(text)


def _parsed_key(text: str) -> str:
    return repr(parse_literal(text))


_known_key = functools.lru_cache(maxsize=1024)(_parsed_key)


def is_literal(text: str) -> bool:
    """Tell whether ``parse_literal`` would accept the text."""
    return literal_type(text) is not None


def literal_type(text: str) -> type | None:
    """Return the type of what ``parse_literal`` would give, or ``None`` if it would refuse.

    A task file holds thousands of literals of a few shapes. So plain strings are read as ``None``
    and plain numbers as 0, which changes neither the answer nor the type of a container, and the
    answer for such a shape is kept. Whatever else the text holds is parsed as it is.
    """
    if len(text) > MAX_LITERAL_CHARS:
        return None
    shape = _NUMBER.sub("0", _TEXT.sub("None", text))
    match shape:
        case "None":
            return type(None) if text == shape else str
        case "0" | "-0":
            return float if "." in text else int
    if len(shape) <= _LONGEST_SHAPE and _CONTAINER.fullmatch(shape):
        return _known_type(shape) or _parsed_type(text)
    return _parsed_type(text)


def _parsed_type(text: str) -> type | None:
    try:
        return type(parse_literal(text))
    except ValueError:
        return None


_LONGEST_SHAPE = 400
_TEXT = re.compile(r"""(?<![\w'"])'[^'\\\x00-\x1f\ud800-\udfff]*'(?!['"])""")
_NUMBER = re.compile(r"(?<![\w.])(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?![\w.])")
_CONTAINER = re.compile(r"[\[({](?:[\]\[(){},: 0-]|None|True|False)*")
_known_type = functools.lru_cache(maxsize=4096)(_parsed_type)


def write_literal(value: object) -> str:
    """Return text from which ``parse_literal`` makes an equal value of the same type.

    Raises:
        ValueError: The value is not made of what a literal can say.
    """
    text = _written(value)
    if literal_type(text) is not type(value):
        msg = f"a {type(value).__name__} has no literal"
        raise ValueError(msg)
    return text


def _written(value: object) -> str:
    kind = type(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(k)}: {_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_written, value)) + (",)" if len(value) == 1 else ")")
    if isinstance(value, frozenset | set):
        inside = "{" + ", ".join(sorted(map(_written, value))) + "}" if value else ""
        return inside if inside and kind is set else f"{kind.__name__}({inside})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, datetime.timedelta):
        return f"timedelta({value.days}, {value.seconds}, {value.microseconds})"
    return repr(value).removeprefix("datetime.")


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Tuple(elts=elts):
            return tuple(_value(e) for e in elts)
        case ast.List(elts=elts):
            return [_value(e) for e in elts]
        case ast.Set(elts=elts):
            return {_value(e) for e in elts}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(k): _value(v) for k, v in zip(keys, values, strict=True) if k}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name](*(_value(a) for a in args))
        case ast.UnaryOp() | ast.BinOp():
            return ast.literal_eval(node)
    msg = f"{ast.unparse(node)[:80]!r} is not a Python literal"
    raise ValueError(msg)
