"""Deciding what an assertion is: an example, a property, or informal.

Owns the reading of predicates that a model or a person wrote. Only examples and properties are
ever executed; an informal assertion is a hint for the code stage and nothing more.
"""

from __future__ import annotations

import ast
import builtins
import functools
from enum import StrEnum
from typing import ClassVar

from lift_sys.ir.models import Assertion, FunctionSignature, SpecIR
from lift_sys.ir.repair import normalise
from lift_sys.literals import is_literal
from lift_sys.record import Record

MAX_PREDICATE_CHARS = 2_000
"""Longest predicate that is looked at, in characters; longer ones are informal."""

_BUILTINS = frozenset(dir(builtins)) - {
    "breakpoint", "compile", "copyright", "credits", "eval", "exec", "exit", "help", "input",
    "license", "open", "print", "quit", "__import__", "__build_class__",
}  # fmt: skip
_NO_CONDITION = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Lambda, ast.GeneratorExp)
"""Displays are true whatever they hold; as assertions they would always hold."""
_STDLIB_MODULES = frozenset({"math", "re", "string", "collections", "itertools", "functools"})


class Kind(StrEnum):
    """What can be done with an assertion."""

    EXAMPLE = "example"
    PROPERTY = "property"
    INFORMAL = "informal"


class Finding(Record):
    """What lint says of one predicate.

    Attributes:
        kind: Its kind.
        predicate: The text as ``normalise`` leaves it, in Python's own spacing and quotes.
        args: For an example: literal text of the argument tuple.
        expected: For an example: literal text of the expected value.
        reason: For an informal one: why it cannot be executed.
    """

    kind: Kind
    predicate: str
    args: str | None = None
    expected: str | None = None
    reason: str = ""


def lint(predicate: str, signature: FunctionSignature) -> Finding:
    """Classify one predicate against the signature it speaks of.

    An *example* is a call of the function with literal arguments compared with a literal
    (``f(3) == 9``, ``9 == f(3)``, ``f(x) is True``, ``f(3)``, ``not f(3)``). A *property* is any
    other expression whose names are all known: the function, its parameters, ``result``, builtins
    without side effects, a few pure modules and what the expression itself binds.
    """
    if len(predicate) > MAX_PREDICATE_CHARS:
        text = predicate[:MAX_PREDICATE_CHARS]
        return Finding(kind=Kind.INFORMAL, predicate=text, reason="too long")
    return _linted(predicate, signature)


# The assertions of one IR are asked for again at every step and with every candidate.
@functools.lru_cache(maxsize=1024)
def _linted(predicate: str, signature: FunctionSignature) -> Finding:
    text = predicate
    try:
        text = normalise(predicate)
        if not text:
            return Finding(kind=Kind.INFORMAL, predicate=text, reason="empty")
        return _classify(_PythonConstants().visit(ast.parse(text, mode="eval")).body, signature)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last: nested too deep
        return Finding(kind=Kind.INFORMAL, predicate=text, reason="not a Python expression")


def _classify(body: ast.expr, signature: FunctionSignature) -> Finding:
    text = ast.unparse(body)
    example = _example(body, signature)
    if example is not None:
        args, expected = example
        return Finding(kind=Kind.EXAMPLE, predicate=text, args=args, expected=expected)
    if isinstance(body, _NO_CONDITION):
        return Finding(kind=Kind.INFORMAL, predicate=text, reason="is no condition")
    unknown = _unknown_names(body, signature)
    if unknown:
        reason = "names unknown things: " + ", ".join(sorted(unknown)[:4])
        return Finding(kind=Kind.INFORMAL, predicate=text, reason=reason)
    if not _speaks_of_function(body, signature):
        return Finding(kind=Kind.INFORMAL, predicate=text, reason="says nothing of the result")
    return Finding(kind=Kind.PROPERTY, predicate=text)


class Census(Record):
    """How well formed the assertions are that a model wrote.

    Attributes:
        as_written: Those that could be executed as they were.
        normalised: Those that could be executed once what stood around them was taken off.
        dropped: Those that are informal.
    """

    as_written: int = 0
    normalised: int = 0
    dropped: int = 0

    def __add__(self, other: Census) -> Census:
        return Census(
            as_written=self.as_written + other.as_written,
            normalised=self.normalised + other.normalised,
            dropped=self.dropped + other.dropped,
        )


def census(ir: SpecIR) -> Census:
    """Count the derived assertions of an IR by what they needed to be executed."""
    counts = Census()
    for assertion, finding in lint_ir(ir):
        if assertion.provenance == "derived":
            counts += _counted(assertion.predicate.strip(), finding)
    return counts


def _counted(written: str, finding: Finding) -> Census:
    if finding.kind is Kind.INFORMAL:
        return Census(dropped=1)
    # Constants of JSON parse as names, so they only show in what lint made of them.
    same = normalise(written) == written and finding.predicate == _respaced(written)
    return Census(as_written=1) if same else Census(normalised=1)


def _respaced(expression: str) -> str:
    return ast.unparse(ast.parse(expression, mode="eval"))


def lint_ir(ir: SpecIR) -> list[tuple[Assertion, Finding]]:
    """Classify every assertion of an IR, in order."""
    return [(a, lint(a.predicate, ir.signature)) for a in ir.assertions]


class _PythonConstants(ast.NodeTransformer):
    """Reads the constants of JSON, which models mix in, as Python's."""

    _VALUES: ClassVar = {"true": True, "false": False, "null": None}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the constant that a name stands for, or the name."""
        return ast.Constant(value=self._VALUES[node.id]) if node.id in self._VALUES else node


def _example(body: ast.expr, signature: FunctionSignature) -> tuple[str, str] | None:
    match body:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            sides = (left, right) if _is_call(left, signature) else (right, left)
            return _call_and_value(sides[0], sides[1], signature)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _call_and_value(operand, ast.Constant(value=False), signature)
        case ast.Call():
            return _call_and_value(body, ast.Constant(value=True), signature)
    return None


def _call_and_value(
    call: ast.expr, value: ast.expr, signature: FunctionSignature
) -> tuple[str, str] | None:
    if not _is_call(call, signature) or not isinstance(call, ast.Call):
        return None
    positional = _positional(call, signature)
    if positional is None:
        return None
    args = ast.unparse(ast.Tuple(elts=positional, ctx=ast.Load()))
    expected = ast.unparse(value)
    return (args, expected) if is_literal(args) and is_literal(expected) else None


def _positional(call: ast.Call, signature: FunctionSignature) -> list[ast.expr] | None:
    """Return the arguments in the order of the parameters, or None where that is not possible."""
    if any(isinstance(a, ast.Starred) for a in call.args):
        return None
    names = [p.name for p in signature.parameters]
    keywords = {k.arg: k.value for k in call.keywords}
    positional = list(call.args)
    for name in names[len(positional) :]:
        if name not in keywords:
            break
        positional.append(keywords.pop(name))
    return None if keywords else positional


def _is_call(node: ast.expr, signature: FunctionSignature) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == signature.name
    )


def _unknown_names(body: ast.expr, signature: FunctionSignature) -> set[str]:
    known = {signature.name, "result"} | {p.name for p in signature.parameters}
    known |= _BUILTINS | _STDLIB_MODULES
    used: set[str] = set()
    for node in ast.walk(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                known.add(name)
            case ast.Name(id=name):
                used.add(name)
            case ast.Attribute(attr=name) if name.startswith("__"):
                used.add("." + name)
    return used - known


def _speaks_of_function(body: ast.expr, signature: FunctionSignature) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id in {signature.name, "result"}
        for node in ast.walk(body)
    )
