"""Mutants: each operator makes the change it is named for, and nothing is made twice."""

from __future__ import annotations

import ast
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.mutants import make_mutants


def bodies(code: str) -> set[str]:
    return {mutant.code for mutant in make_mutants(code)}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < b", {"a >= b", "a <= b"}),
        ("a >= b", {"a < b", "a > b"}),
        ("a == b", {"a != b"}),
        ("a in b", {"a not in b"}),
        ("a is b", {"a is not b"}),
        ("a + b", {"a - b"}),
        ("a // b", {"a / b"}),
        ("a % b", {"a // b"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("-a", {"a"}),
        ("a if b else c", {"a if False else c", "a if True else c"}),
    ],
)
def test_each_operator_changes_what_it_is_for(expression: str, expected: set[str]) -> None:
    assert bodies(f"x = {expression}") == {f"x = {text}" for text in expected}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", {"4", "2"}),
        ("True", {"False"}),
        ("1.5", {"2.5"}),
        ("'low'", {"'low?'"}),
        ("''", {"'?'"}),
        ("None", {"0"}),
        ("...", set()),
    ],
)
def test_constants_are_changed(value: str, expected: set[str]) -> None:
    assert bodies(f"x = {value}") == {f"x = {text}" for text in expected}


def test_a_branch_is_dropped_both_ways() -> None:
    found = bodies("if a:\n    b()\nelse:\n    c()")

    assert found == {
        "if False:\n    b()\nelse:\n    c()",
        "if True:\n    b()\nelse:\n    c()",
    }


def test_a_returned_value_is_replaced_by_none_unless_it_is_none() -> None:
    assert "def f(a):\n    return None" in bodies("def f(a):\n    return a")
    assert bodies("def f(a):\n    return None") == {"def f(a):\n    return 0"}
    assert bodies("def f(a):\n    return") == set()


def test_only_one_place_changes_where_an_expression_stands_twice() -> None:
    found = make_mutants("x = n + 1\ny = n + 1")

    assert [m.description for m in found if "-" in m.description.split("->")[1]] == [
        "1: n + 1 -> n - 1",
        "2: n + 1 -> n - 1",
    ]


def test_equal_changes_on_one_line_are_told_apart() -> None:
    names = [m.description for m in make_mutants("x = f(1, 1)")]

    assert names == ["1: 1 -> 2", "1: 1 -> 0", "1: 1 -> 2 (#2)", "1: 1 -> 0 (#2)"]


def test_what_no_case_can_see_is_left_alone() -> None:
    code = 'def f(a):\n    """Say 1."""\n    raise ValueError(\'a is \' + 1)'

    assert bodies(code) == set()


def test_a_reference_that_is_not_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        make_mutants("def f(:")


names = st.sampled_from(["a", "b"])
atoms = st.one_of(names, st.integers(-3, 9).map(str), st.sampled_from(["True", "None", "'x'"]))
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+ - * // % < <= == and or".split()), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
    ),
    max_leaves=8,
)


@given(expressions)
def test_every_mutant_is_python_new_and_named_once(expression: str) -> None:
    code = ast.unparse(ast.parse(f"def f(a, b):\n    return {expression}"))
    mutants = make_mutants(code)

    assert all(ast.unparse(ast.parse(m.code)) == m.code for m in mutants)
    assert code not in {m.code for m in mutants}
    assert max(Counter(m.code for m in mutants).values(), default=1) == 1
    assert max(Counter(m.description for m in mutants).values(), default=1) == 1
    assert make_mutants(code) == mutants
