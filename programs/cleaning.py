"""What generated code defines, and what is cut from it before anybody looks at it."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.ir.types import python_type


def defines(code: str, name: str) -> bool | None:
    """Tell whether code binds a name at module level; None where it does not parse.

    What is bound inside ``if``, ``try``, ``with`` and loops counts, for it may run.
    """
    tree = _parsed(code)
    if tree is None:
        return None
    return _is_at_top(tree, name) or any(name in _bound(node) for node in _statements(tree))


def _is_at_top(tree: ast.Module, name: str) -> bool:
    return any(getattr(node, "name", None) == name for node in tree.body)


def signature_of(code: str | None, name: str) -> FunctionSignature | None:
    """Return the signature that code gives a function, or None where it defines none."""
    tree = _parsed(code or "")
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == name:
            given = [*node.args.posonlyargs, *node.args.args]
            parameters = [Parameter(name=a.arg, type_hint=_hint(a.annotation)) for a in given]
            returns = _hint(node.returns)
            return FunctionSignature(name=name, parameters=tuple(parameters), returns=returns)
    return None


def _hint(annotation: ast.expr | None) -> str:
    return python_type(ast.unparse(annotation)) if annotation else "Any"


# Reading an answer asks several times about the same code, and so do the rules that choose.
@functools.lru_cache(maxsize=64)
def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Return what runs at module level: nothing inside functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            yield from _statements(child)


def _bound(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Name(id=name, ctx=ast.Store()):
            return {name}
        case ast.alias(name=name, asname=asname):
            return {asname or name.partition(".")[0]}
    return set()


def without_examples(code: str, name: str) -> str:
    """Drop what models add after a function: example calls, asserts, prints, a main block.

    Only expression statements, asserts and ``if __name__`` blocks at module level go; source that
    does not parse, or does not define ``name``, is returned as it is.
    """
    tree = _parsed(code)
    if tree is None or not _is_at_top(tree, name):
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
