"""Why an attempt failed: the categories of the plan, decided by rules.

Owns what each category means. For a person who labels failures, in one line each:

- *truncated*: a stage's answer was cut off at its token limit;
- *IR not parsed*: an answer that should be an IR, or a critique of one, has another form;
- *syntax*: the code does not parse;
- *timeout*: the first failing case, or defining the code, took too long;
- *entry point or arity*: no function of that name, or one that cannot be called with the arguments;
- *exception handling*: an exception that the spec demands is not raised or is another one, or the
  code raises on purpose, or leaves a failing conversion uncaught, where a value is due;
- *wrong literal*: text that the spec states is due, and the code never says that text;
- *type quirk*: the right value in another type (``True`` for ``1``, ``2.0`` for ``2``, a tuple for
  a list), an operation on a value of a type that lacks it, or only inputs of certain types fail;
- *boundary or logic*: everything else that ran: a missing branch, a limit, an order, a slip;
- *other*: nothing ran and none of the above: no answer, no memory, the process ended.

The order of the rules goes from what leaves no doubt to what must be weighed. An attempt without
code carries its category; a status of the whole (a syntax error) is the category. Then each failing
case is judged alone and the category of most cases wins, the earlier one among equals: a slip that
also shows in one odd case is still the slip. Within a case, a call that could not be made comes
first, for it says nothing of the code inside; then a demanded exception, for there is no value to
compare; then text before types, for other text has the right type. Last, what would be called logic
is a type quirk where types alone tell the failing inputs from the passing ones.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lift_sys.literals import is_literal, parse_literal
from lift_sys.sandbox.compare import equal
from lift_sys.tasks import Case, Task
from lift_sys.verdict import CaseResult, FailureCategory, Status, Verdict, category_of

_OF_STATUS = {
    Status.SYNTAX_ERROR: FailureCategory.SYNTAX,
    Status.TIMEOUT: FailureCategory.TIMEOUT,
    Status.NO_ENTRY_POINT: FailureCategory.ENTRY_POINT_OR_ARITY,
    Status.MEMORY: FailureCategory.OTHER,
    Status.PROTOCOL: FailureCategory.OTHER,
}
_QUOTED = re.compile(r"""(?<!\w)(['"`])((?:(?!\1).)+)\1(?!\w)""")
_LINE = re.compile(r"\(line (\d+)\)$")
"""How an exception's message ends in the sandbox: the last line of the code that it passed."""

_FEWEST_PASSING = 2
"""Passing cases with a value in their arguments from which types can be told apart."""


def classify(
    task: Task, code: str | None, failure: str | None, verdict: Verdict | None
) -> FailureCategory | None:
    """Return why an attempt failed, or ``None`` if it did not.

    Args:
        task: With its spec and the hidden cases that the verdict speaks of.
        code: The answer, or ``None`` if the program gave none.
        failure: Why it gave none.
        verdict: On the code; ``None`` where there was none to run.
    """
    if code is None or verdict is None:
        return category_of(failure)
    if verdict.passed:
        return None
    if verdict.status in _OF_STATUS:
        return _OF_STATUS[verdict.status]
    judged = list(zip(task.hidden, verdict.cases, strict=False))
    failing = [(c, r) for c, r in judged if r.status is not Status.PASSED]
    reader = _Reader(task.spec, _parsed(code))
    votes = Counter(reader.category(case, result) for case, result in failing)
    winner = max(votes, key=votes.__getitem__, default=FailureCategory.BOUNDARY_OR_LOGIC)
    if winner is FailureCategory.BOUNDARY_OR_LOGIC and _told_by_types(judged):
        return FailureCategory.TYPE_QUIRK
    return winner


class _Reader:
    """Judges single cases of one attempt.

    Args:
        spec: In which text is stated by quoting it.
        tree: The code.
    """

    def __init__(self, spec: str, tree: ast.Module) -> None:
        self._stated = {found.group(2) for found in _QUOTED.finditer(spec)}
        self._said = list(_texts_of_code(tree))
        self._raising = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }

    def category(self, case: Case, result: CaseResult) -> FailureCategory:
        """Return why this case failed."""
        if result.status in _OF_STATUS:
            return _OF_STATUS[result.status]
        if result.exception == "TypeError" and not _LINE.search(result.message):
            return FailureCategory.ENTRY_POINT_OR_ARITY  # the call raised it, not the code
        if case.raises is not None:
            return FailureCategory.EXCEPTION_HANDLING
        if result.exception is not None:
            return self._of_exception(result.exception, result.message)
        if result.status is Status.UNSERIALISABLE:
            return FailureCategory.TYPE_QUIRK
        return self._of_value(case, result)

    def _of_exception(self, name: str, message: str) -> FailureCategory:
        line = _LINE.search(message)
        if name == "ValueError" or (line and int(line.group(1)) in self._raising):
            return FailureCategory.EXCEPTION_HANDLING
        if name == "TypeError":
            return FailureCategory.TYPE_QUIRK
        return FailureCategory.BOUNDARY_OR_LOGIC

    def _of_value(self, case: Case, result: CaseResult) -> FailureCategory:
        try:
            got = parse_literal(result.actual or "")
        except ValueError:  # shortened
            return FailureCategory.BOUNDARY_OR_LOGIC
        want = parse_literal(case.expected or "")
        if self._lacks_literal(want, got, set(_texts(parse_literal(case.args)))):
            return FailureCategory.WRONG_LITERAL
        if equal(got, want, case.tolerance):  # so the arguments were left wrong
            return FailureCategory.BOUNDARY_OR_LOGIC
        if all(_same_but_for_type(a, b) for a, b in _leaves(want, got)):
            return FailureCategory.TYPE_QUIRK
        return FailureCategory.BOUNDARY_OR_LOGIC

    def _lacks_literal(self, want: object, got: object, given: set[str]) -> bool:
        """Tell whether text is due that the spec states and the code never says."""
        there = list(_texts(got))
        missing = [text for text in _texts(want) if text not in there and text not in given]
        if self._stated & (set(there) - set(_texts(want))):
            return False  # another branch of the spec was taken
        return any(self._never_said(text, there) for text in missing)

    def _never_said(self, due: str, there: list[str]) -> bool:
        """Tell whether the code lacks this text, or a stated piece of it that the answer lacks."""
        if due in self._stated:
            return due not in self._said
        pieces = [p for p in self._stated if p in due and not any(p in text for text in there)]
        return any(not any(piece in said for said in self._said) for piece in pieces)


def _parsed(code: str) -> ast.Module:
    """Return the tree of the code; an empty one where it is too much for the parser here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser's, of code that a model wrote
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _texts_of_code(tree: ast.Module) -> Iterator[str]:
    """Yield the text that the code says; docstrings are not said."""
    silent = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield node.value


def _texts(value: object) -> Iterator[str]:
    """Yield every text inside a value."""
    return (part for part in _parts(value) if isinstance(part, str))


def _parts(value: Any) -> Iterator[object]:
    """Yield a value and, where it is a container, every value in it, keys of dicts included."""
    yield value
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(inside, list | tuple | set | frozenset):
        for item in inside:
            yield from _parts(item)


def _leaves(want: Any, got: Any) -> Iterator[tuple[object, object]]:
    """Yield what stands at the same place of two values, as deep as their shapes agree."""
    sequences = isinstance(want, list | tuple) and isinstance(got, list | tuple)
    if sequences and len(want) == len(got):
        for pair in zip(want, got, strict=True):
            yield from _leaves(*pair)
    elif isinstance(want, dict) and isinstance(got, dict) and want.keys() == got.keys():
        for key in want:
            yield from _leaves(want[key], got[key])
    else:
        yield want, got


def _same_but_for_type(want: Any, got: Any) -> bool:
    """Tell whether values are equal to Python, or as text and value, or with a kept fraction."""
    try:
        if isinstance(want, str) is not isinstance(got, str):
            text, value = (want, got) if isinstance(want, str) else (got, want)
            return is_literal(text) and bool(parse_literal(text) == value)
        if type(want) is int and type(got) is float and math.isfinite(got):
            return want in {math.floor(got), math.ceil(got)}
        return bool(want == got)
    except ArithmeticError:  # a signalling NaN compares with nothing
        return False


def _told_by_types(judged: list[tuple[Case, CaseResult]]) -> bool:
    """Tell whether every failing case holds a value of a type that no passing case holds."""
    passing = [_types(c) for c, r in judged if r.status is Status.PASSED]
    failing = [_types(c) for c, r in judged if r.status is not Status.PASSED]
    if sum(bool(types) for types in passing) < _FEWEST_PASSING:
        return False
    usual = set().union(*passing)
    return all(types - usual for types in failing)


def _types(case: Case) -> set[str]:
    """Return the types of a case's values; text that is a number is a type of its own."""
    arguments = parse_literal(case.args)
    return {
        "number in text"
        if isinstance(part, str) and part.strip().isdigit()
        else type(part).__name__
        for part in _parts(arguments)
        if part is not arguments
    }
