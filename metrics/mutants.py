"""Mutants of a reference: small changes that good hidden cases must notice.

Owns the mutation operators. A mutant that no hidden case notices shows that the cases do not decide
what the spec says; one that no input at all can tell from the reference is *equivalent* and is
listed by hand, with a reason.

The operators are the usual ones of mutation testing (DeMillo, Lipton and Sayward, "Hints on test
data selection", 1978): comparison negated, boundary moved, constant changed, operator replaced,
branch dropped, returned value changed.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator

from lift_sys.record import Record

_NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_MOVED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_REPLACED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.FloorDiv,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


class Mutant(Record):
    """One changed reference.

    Attributes:
        description: What was changed, unique for a reference, e.g. ``3: n > 0 -> n >= 0`` for a
            change on line 3 of the reference as ``ast.unparse`` writes it.
        code: The changed source.
    """

    description: str
    code: str


def make_mutants(reference_code: str) -> list[Mutant]:
    """Return every mutant of a reference, in a fixed order, each different from it and each other.

    Raises:
        SyntaxError: The reference is not Python.
    """
    original = ast.unparse(ast.parse(reference_code))
    tree = ast.parse(original)
    seen = {original}
    names: Counter[str] = Counter()
    mutants: list[Mutant] = []
    places = [node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)]
    unseen = {id(node) for node in _unseen(tree)}
    for index, node in enumerate(places):
        if id(node) in unseen:
            continue
        for changed in _changes(node):
            code = ast.unparse(_replaced(tree, index, changed))
            if code in seen:
                continue
            seen.add(code)
            name = f"{node.lineno}: {_shown(node)} -> {_shown(changed)}"
            names[name] += 1
            if names[name] > 1:
                name += f" (#{names[name]})"
            mutants.append(Mutant(description=name, code=code))
    return mutants


def _replaced(tree: ast.Module, index: int, changed: ast.stmt | ast.expr) -> ast.Module:
    """Return a copy of the tree with one place changed; the tree stays as it is."""
    whole = copy.deepcopy(tree)
    places = [node for node in ast.walk(whole) if isinstance(node, ast.stmt | ast.expr)]
    target = places[index]
    for parent in ast.walk(whole):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, changed)
            elif isinstance(value, list) and any(item is target for item in value):
                setattr(parent, field, [changed if item is target else item for item in value])
    return ast.fix_missing_locations(whole)


def _changes(node: ast.stmt | ast.expr) -> Iterator[ast.stmt | ast.expr]:
    match node:
        case ast.Compare():
            yield from _other_comparisons(node)
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _REPLACED:
            swapped = copy.deepcopy(node)
            swapped.op = _REPLACED[type(operator)]()
            yield swapped
        case ast.BoolOp(op=joint):
            other = copy.deepcopy(node)
            other.op = ast.Or() if isinstance(joint, ast.And) else ast.And()
            yield other
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield copy.deepcopy(operand)
        case ast.If() | ast.IfExp():
            for taken in (False, True):
                dropped = copy.deepcopy(node)
                dropped.test = ast.Constant(value=taken)
                yield dropped
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield ast.Return(value=ast.Constant(value=None))


def _other_comparisons(node: ast.Compare) -> Iterator[ast.Compare]:
    for position, op in enumerate(node.ops):
        for table in (_NEGATED, _MOVED):
            if type(op) in table:
                changed = copy.deepcopy(node)
                changed.ops[position] = table[type(op)]()
                yield changed


def _other_constants(value: object) -> Iterator[ast.Constant]:
    match value:
        case bool():
            yield ast.Constant(value=not value)
        case int():
            yield ast.Constant(value=value + 1)
            yield ast.Constant(value=value - 1)
        case float():
            yield ast.Constant(value=value + 1.0)
        case str():
            yield ast.Constant(value=value + "?")
        case None:
            yield ast.Constant(value=0)


def _unseen(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what no case can look at: documentation, and the message of a raised exception."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                yield node.value
            case ast.Raise(exc=ast.Call(args=arguments)):
                for argument in arguments:
                    yield from ast.walk(argument)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _shown(node: ast.stmt | ast.expr) -> str:
    """Return the first line of a node's source, an ``if`` without its body."""
    return ast.unparse(node).split("\n", maxsplit=1)[0]
