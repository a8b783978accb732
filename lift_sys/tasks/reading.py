"""What the Python and JSON of a benchmark's record say.

Owns the reading of prompts, solutions and assertions: where the reference is, which function is
meant, what the examples are, and which types JSON has lost. Nothing is run.
"""

from __future__ import annotations

import ast
import doctest
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lift_sys.errors import DatasetError
from lift_sys.literals import parse_literal
from lift_sys.tasks.asserts import ConvertedTest, convert_asserts
from lift_sys.tasks.model import Case


class BrokenRecordError(Exception):
    """A record that cannot become a task.

    Args:
        field: The field that is wrong.
        why: What is wrong with it.
    """

    def __init__(self, field: str, why: object) -> None:
        super().__init__(f", field {field}: {why}")


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _compiles(tree: ast.Module) -> bool:
    """Tell whether a parsed module is Python: a ``return`` outside a function parses."""
    try:
        compile(tree, "<unknown>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def whole_code(prompt: str, solution: str, entry_point: str) -> str:
    """Return the reference: prompt and solution together, or the solution where it is complete.

    Raises:
        BrokenRecordError: Neither defines the entry point.
    """
    for code in (prompt + solution, solution):
        tree = _parsed(code)
        if tree is not None and entry_point in _functions(tree) and _compiles(tree):
            return code
    raise BrokenRecordError("canonical_solution", f"it does not define {entry_point!r}")


def converted(test: str, entry_point: str, field: str) -> ConvertedTest:
    """Return the test code of a field, converted.

    Raises:
        BrokenRecordError: It is not Python, or asserts nothing.
    """
    try:
        converted = convert_asserts(test, entry_point)
    except DatasetError as error:
        raise BrokenRecordError(field, error) from error
    if not converted.cases and not converted.weak_count:
        raise BrokenRecordError(field, "it asserts nothing")
    return converted


def _prompt_tree(prompt: str) -> ast.Module:
    """Return a prompt that ends in a function without a body, parsed; empty if it is prose."""
    tree = _parsed(prompt.rstrip() + "\n    pass\n")
    return tree if tree is not None else ast.Module(body=[], type_ignores=[])


def surroundings(prompt: str, entry_point: str) -> str:
    """Return what a prompt defines beside the function that is asked for."""
    others = [n for n in _prompt_tree(prompt).body if getattr(n, "name", None) != entry_point]
    return "\n".join(map(ast.unparse, others))


def shown(prompt: str) -> str:
    """Return a prompt; if it is nothing but a docstring, its text."""
    tree = _parsed(prompt)
    text = ast.get_docstring(tree) if tree is not None and len(tree.body) == 1 else None
    return (prompt if text is None else text).strip()


def examples(prompt: str, entry_point: str) -> tuple[Case, ...]:
    """Return the doctest examples of a prompt that compare a call with a literal."""
    function = _functions(_prompt_tree(prompt)).get(entry_point)
    text = ast.get_docstring(function) if function is not None else None
    cases: dict[str, Case] = {}
    try:
        examples = doctest.DocTestParser().get_examples(text or "")
    except ValueError:  # a docstring that doctest itself would not read
        return ()
    for example in examples:
        if not example.want:  # it prints nothing, as None does
            continue
        try:
            test = convert_asserts(f"assert ({example.source}) == ({example.want})", entry_point)
        except DatasetError:  # it prints, raises or is followed by prose
            continue
        cases |= {case.args: case for case in test.cases}
    return tuple(cases.values())


def called(code: str, assertions: str) -> str:
    """Return the function of some code that most assertions call, the outermost first.

    Raises:
        BrokenRecordError: Something is not Python, or there is no such function.
    """
    tree, tests = _parsed(code), _parsed(assertions)
    if tree is None:
        raise BrokenRecordError("code", "it is not Python")
    if tests is None:
        raise BrokenRecordError("test_list", "it is not Python")
    defined = _functions(tree)
    calls = Counter(name for test in tests.body for name in _namescalled(test) if name in defined)
    if not calls:
        raise BrokenRecordError("test_list", "it calls no function that the code defines")
    return calls.most_common(1)[0][0]


def _namescalled(statement: ast.stmt) -> list[str]:
    nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return list(dict.fromkeys(node.func.id for node in nodes if isinstance(node.func, ast.Name)))


def typed_arguments(arguments: Sequence[Any], assertion: str, entry_point: str) -> tuple[Any, ...]:
    """Return arguments from JSON with the types that they have in an assertion.

    JSON has no tuples, sets or complex numbers. The first call with literal arguments tells where
    they belong; what it does not tell stays as it is.

    Raises:
        BrokenRecordError: A value cannot have that type.
    """
    told = _first_arguments(assertion, entry_point)
    told += [None] * (len(arguments) - len(told))
    try:
        return tuple(_as_typed(value, like) for value, like in zip(arguments, told, strict=False))
    except (TypeError, ValueError) as error:
        raise BrokenRecordError("base_input", f"unlike the assertion: {error}") from error


def _first_arguments(assertion: str, entry_point: str) -> list[Any]:
    tree = _parsed(assertion)
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name == entry_point:
                try:
                    return [parse_literal(ast.unparse(argument)) for argument in args]
                except ValueError:
                    continue
    return []


def _as_typed(value: Any, like: Any) -> Any:
    match value, like:
        case str(), complex():
            return complex(value)
        case list(), list() | tuple() | set():
            models = _models(like, len(value))
            typed = [_as_typed(item, model) for item, model in zip(value, models, strict=True)]
            return typed if isinstance(like, list) else type(like)(typed)
        case dict(), dict() if like:
            model = next(iter(like.values()))
            return {key: _as_typed(item, model) for key, item in value.items()}
    return value


def _models(like: list[Any] | tuple[Any, ...] | set[Any], count: int) -> list[Any]:
    """Return what the elements are like: all like the first, or each like the one in its place."""
    given = list(like)
    if len({type(item) for item in given}) == 1:
        return given[:1] * count
    if isinstance(like, set):
        return [None] * count
    return (given + [None] * count)[:count]
