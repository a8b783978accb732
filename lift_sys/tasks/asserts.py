"""Turning assert-style test code into cases.

Owns the conversion of tests such as HumanEval's ``check(candidate)`` or a list of
``assert f(1) == 2``. An assertion that compares one call, whose arguments are literals, with a
literal becomes a ``Case``: its expected value then never enters the sandbox (*strong*). Whatever
else the code does stays test code that runs beside the candidate (*weak*): a hostile candidate can
fool it, an honest one cannot be misjudged by it. The code is only parsed here, never run.

Converted cases keep the meaning of ``==`` between numbers (``2 == 2.0``) by a tolerance of 0;
everything else about them is exact.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lift_sys.errors import DatasetError
from lift_sys.literals import is_literal, parse_literal
from lift_sys.record import Record
from lift_sys.tasks.model import WEAK_NAME, Case, count_asserts


class ConvertedTest(Record):
    """Test code, split by what can be promised of it.

    Attributes:
        cases: The assertions that became cases, in order.
        weak_code: The rest as a program that defines ``lift_weak_check``; empty if nothing is left.
        weak_count: How many assertions are left in it.
    """

    cases: tuple[Case, ...]
    weak_code: str = ""
    weak_count: int = 0

    @property
    def strong_fraction(self) -> float:
        """Share of assertions that became cases, in [0, 1]; 1 if there are none at all."""
        total = len(self.cases) + self.weak_count
        return len(self.cases) / total if total else 1.0


def strong_share(tests: Iterable[ConvertedTest]) -> float:
    """Return the share of all assertions of a set that became cases, in [0, 1]; 1 if none."""
    strong = weak = 0
    for test in tests:
        strong += len(test.cases)
        weak += test.weak_count
    return strong / (strong + weak) if strong + weak else 1.0


def convert_asserts(test_code: str, entry_point: str) -> ConvertedTest:
    """Split test code into cases and what is left.

    Args:
        test_code: Python source: assertions at module level or in a function ``check`` that takes
            the candidate.
        entry_point: Name of the function under test.

    Raises:
        DatasetError: The test code is not Python.
    """
    try:
        tree = ast.parse(test_code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        msg = f"the test code for {entry_point!r} is not Python: {error}"
        raise DatasetError(msg) from error
    split = _Split(names={entry_point})
    rest: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "check":
            rest += split.take_check(statement, entry_point)
        else:
            rest += split.take(statement)
    count = count_asserts(rest)
    if not count:
        return ConvertedTest(cases=tuple(split.cases))
    return ConvertedTest(cases=tuple(split.cases), weak_code=_program(rest), weak_count=count)


def _program(rest: Sequence[ast.stmt]) -> str:
    function = ast.parse(f"def {WEAK_NAME}():\n    pass").body[0]
    if isinstance(function, ast.FunctionDef):
        function.body = list(rest)
    return ast.unparse(ast.fix_missing_locations(ast.Module(body=[function], type_ignores=[])))


@dataclass
class _Split:
    names: set[str]
    cases: list[Case] = field(default_factory=list)
    rebound: bool = False

    def take_check(self, function: ast.FunctionDef, entry_point: str) -> list[ast.stmt]:
        """Convert the body of ``check(candidate)``; return what is left, calling it if any is."""
        arguments = function.args.args
        if len(arguments) != 1:
            return [function]
        self.names.add(arguments[0].arg)
        kept = [left for statement in function.body for left in self.take(statement)]
        if not count_asserts(kept):
            return []
        function.body = kept
        call = ast.Call(ast.Name("check", ast.Load()), [ast.Name(entry_point, ast.Load())], [])
        return [function, ast.Expr(call)]

    def take(self, statement: ast.stmt) -> list[ast.stmt]:
        """Convert one statement, or return it."""
        if not isinstance(statement, ast.Assert):
            self.rebound = self.rebound or self._rebinds(statement)
            if _calls_check(statement):
                return []
            return [statement]
        if self.rebound:  # from here on the name may mean something else, or nothing runs
            return [statement]
        test = _Fold().visit(copy.deepcopy(statement.test))
        parts = [part for part in _conjuncts(test) if not _is_true(part)]
        cases = [self._case(part) for part in parts]
        found = [case for case in cases if case is not None]
        if len(found) < len(parts):
            return [statement]
        self.cases += found
        return []

    def _rebinds(self, statement: ast.stmt) -> bool:
        for node in ast.walk(statement):
            if isinstance(node, ast.Return | ast.Raise) and node is statement:
                return True
            name = getattr(node, "id", None) if isinstance(node, ast.Name) else None
            stores = isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
            defines = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in self.names
            if (stores and name in self.names) or defines:
                return True
        return False

    def _case(self, test: ast.expr) -> Case | None:
        match test:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                return self._compared(left, right) or self._compared(right, left)
            case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE()], comparators=[limit]):
                return self._within(left, limit)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _CLOSE:
                return self._close(test) if isinstance(test, ast.Call) else None
        return None  # a bare ``assert f(x)`` accepts any true value, which no case can say

    def _arguments(self, node: ast.expr) -> str | None:
        """Return the literal text of a call's arguments if it is a call of the candidate."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in self.names:
                text = ast.unparse(ast.Tuple(list(args), ast.Load()))
                return text if is_literal(text) else None
        return None

    def _compared(self, call: ast.expr, value: ast.expr) -> Case | None:
        args, expected = self._arguments(call), ast.unparse(value)
        if args is None or not is_literal(expected):
            return None
        return Case(
            args=args, expected=expected, tolerance=equality_tolerance(parse_literal(expected))
        )

    def _within(self, difference: ast.expr, limit: ast.expr) -> Case | None:
        """Convert ``abs(f(x) - y) < limit``."""
        match difference:
            case ast.Call(
                func=ast.Name(id="abs") | ast.Attribute(attr="fabs"),
                args=[ast.BinOp(left=left, op=ast.Sub(), right=right)],
                keywords=[],
            ):
                return self._tolerant(left, right, limit)
        return None

    def _close(self, test: ast.Call) -> Case | None:
        """Convert ``math.isclose(f(x), y, abs_tol=limit)`` with an absolute tolerance alone."""
        match test:
            case ast.Call(args=[left, right], keywords=keywords):
                given = {k.arg: k.value for k in keywords}
                if set(given) == {"abs_tol", "rel_tol"} and _is_zero(given["rel_tol"]):
                    return self._tolerant(left, right, given["abs_tol"])
        return None

    def _tolerant(self, a: ast.expr, b: ast.expr, limit: ast.expr) -> Case | None:
        text = ast.unparse(limit)
        if not is_literal(text):
            return None
        tolerance = parse_literal(text)
        if type(tolerance) not in {int, float}:
            return None
        for call, value in ((a, b), (b, a)):
            args, expected = self._arguments(call), ast.unparse(value)
            if args is not None and is_literal(expected):
                return Case(args=args, expected=expected, tolerance=float(tolerance))
        return None


_CLOSE = frozenset(("isclose",))
_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_LARGEST = 10**9


class _Fold(ast.NodeTransformer):
    """Work out small sums such as ``3 * 19`` and ``'ab' + 'c'``, which authors like to write."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:  # ast's name
        self.generic_visit(node)
        left, right, work = node.left, node.right, _FOLDED.get(type(node.op))
        if work is None or not (isinstance(left, ast.Constant) and isinstance(right, ast.Constant)):
            return node
        values = (left.value, right.value)
        numbers = all(type(v) in {int, float} and abs(v) <= _LARGEST for v in values)  # type: ignore[arg-type]
        texts = all(type(v) is str for v in values) and isinstance(node.op, ast.Add)
        if not (numbers or texts) or (right.value == 0 and work is not operator.add):
            return node
        return ast.copy_location(ast.Constant(work(*values)), node)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [part for value in test.values for part in _conjuncts(value)]
    return [test]


def _calls_check(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="check"))):
            return True
    return False


def equality_tolerance(expected: object) -> float | None:
    """Return 0 where a value holds a number that ``==`` would equate across types, else None."""
    return 0.0 if holds(expected, (int, float, complex)) else None


def holds(value: object, kinds: tuple[type, ...]) -> bool:
    """Tell whether a value, or anything in its containers, is of exactly one of some types."""
    if isinstance(value, dict):
        return any(holds(v, kinds) for pair in value.items() for v in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(holds(v, kinds) for v in value)
    return type(value) in kinds
