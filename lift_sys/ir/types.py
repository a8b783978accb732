"""Type hints as models write them, turned into Python.

Owns the reading of words such as "list of integers". What cannot be read becomes ``Any``: a hint
must never make the code that repeats it fail.
"""

from __future__ import annotations

import ast
import functools
import re

_SCALARS = {
    "int": "int", "integer": "int", "integers": "int", "ints": "int",
    "float": "float", "floats": "float", "double": "float", "decimal": "float",
    "number": "float", "numbers": "float", "numeric": "float",
    "str": "str", "string": "str", "strings": "str", "text": "str", "character": "str",
    "characters": "str", "bool": "bool", "boolean": "bool", "booleans": "bool", "bools": "bool",
    "bytes": "bytes", "none": "None", "null": "None", "any": "Any",
}  # fmt: skip
_CONTAINERS = {
    "list": "list", "lists": "list", "array": "list", "tuple": "tuple", "tuples": "tuple",
    "set": "set", "dict": "dict", "dictionary": "dict", "dictionaries": "dict", "mapping": "dict",
}  # fmt: skip
_GENERIC = {*_CONTAINERS.values(), "frozenset"}
_KNOWN = {*_SCALARS.values(), *_GENERIC, "object", "complex"}

MAX_HINT_CHARS = 200
"""Longest hint that is taken as it is, in characters; longer ones are noise, or nested too deep."""


@functools.lru_cache(maxsize=1024)  # the same few hints come in every IR
def python_type(text: str) -> str:
    """Return a hint that Python accepts without imports other than ``Any``.

    Args:
        text: E.g. ``list[int]``, ``integer`` or ``list of strings``.
    """
    stripped = text.strip().strip("`").strip()
    if _is_known(stripped):
        return stripped
    words = re.findall(r"[a-z]+", stripped.lower())
    container = next((_CONTAINERS[w] for w in words if w in _CONTAINERS), None)
    scalar = next((_SCALARS[w] for w in words if w in _SCALARS), None)
    if container == "list" and scalar:
        return f"list[{scalar}]"
    return container or scalar or "Any"


def _is_known(text: str) -> bool:
    if len(text) > MAX_HINT_CHARS:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return "#" not in text and "\n" not in text and _evaluates(tree.body)


def _evaluates(node: ast.expr) -> bool:
    """Tell whether a hint is built of known types in ways that Python evaluates."""
    match node:
        case ast.Name(id=name):
            return name in _KNOWN
        case ast.Constant(value=None):
            return True
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            both_none = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
            return not both_none and _evaluates(left) and _evaluates(right)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _GENERIC:
            members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "tuple" and len(members) > 1 and _is_ellipsis(members[-1]):
                members = members[:-1]
            return bool(members) and all(_evaluates(m) for m in members)
    return False


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
