"""Python literals as text, the form in which tasks and assertions carry values.

Owns the one parser for that text. It never evaluates anything: the text is parsed to an AST and
only literal nodes are turned into values, so it is safe on text that a model wrote.
Beyond ``ast.literal_eval`` it reads the constructors that have no literal form: ``set()``,
``frozenset({..})``, ``float('nan')``, ``Decimal('1.5')``, ``Fraction(1, 3)``,
``date(2024, 2, 29)``, ``datetime(..)``, ``time(..)``, ``timedelta(..)``.
"""

from __future__ import annotations

import ast
import datetime
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


def is_literal(text: str) -> bool:
    """Tell whether ``parse_literal`` would accept the text."""
    try:
        parse_literal(text)
    except ValueError:
        return False
    return True


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
