"""What is cut from generated code before anybody looks at it."""

from __future__ import annotations

import ast
import re


def without_examples(code: str, name: str) -> str:
    """Drop what models add after a function: example calls, asserts, prints, a main block.

    Only expression statements, asserts and ``if __name__`` blocks at module level go; source that
    does not parse, or does not define ``name``, is returned as it is.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return code
    if not any(getattr(node, "name", None) == name for node in tree.body):
        return code
    kept = [
        segment
        for node in tree.body
        if not _is_example(node) and (segment := _source(code, node)) is not None
    ]
    return "\n\n".join(kept) if kept else code


def _is_example(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr | ast.Assert):
        return True
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _source(code: str, node: ast.stmt) -> str:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    lines = re.split(r"\r\n?|\n", code)  # splitlines() also splits at characters inside literals
    return "\n".join(lines[first - 1 : node.end_lineno])
