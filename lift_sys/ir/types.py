"""Type hints as models write them, turned into Python.

Owns the reading of words such as "list of integers". What cannot be read becomes ``Any``: a hint
must never make the code that repeats it fail.
"""

from __future__ import annotations

import ast
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
_KNOWN = {*_SCALARS.values(), *_CONTAINERS.values(), "frozenset", "object", "complex"}


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
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    allowed = ast.Name | ast.Subscript | ast.Tuple | ast.BinOp | ast.BitOr | ast.Constant
    nodes = [n for n in ast.walk(tree.body) if not isinstance(n, ast.expr_context)]
    return all(isinstance(n, allowed) for n in nodes) and all(
        n.id in _KNOWN for n in nodes if isinstance(n, ast.Name)
    )
