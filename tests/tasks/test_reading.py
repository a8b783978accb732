"""What is read out of prompts, solutions and assertions."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.literals import write_literal
from lift_sys.tasks.reading import (
    BrokenRecordError,
    called,
    examples,
    shown,
    surroundings,
    typed_arguments,
    whole_code,
)


@pytest.mark.parametrize(
    ("arguments", "assertion", "typed"),
    [
        ([[1, 2], 3], "assert f((0,), 0) == 1", ((1, 2), 3)),
        ([[1, 2], [3]], "assert f((0,), [0]) == 1", ((1, 2), [3])),
        ([[[1], []]], "assert f([(0,)]) == 1", ([(1,), ()],)),
        ([[1, [2], [3]]], "assert f((0, (0,))) == 1", ((1, (2,), [3]),)),
        ([[]], "assert f((0,)) == 1", ((),)),
        ([[1, 1, 2]], "assert f({7}) == 1", ({1, 2},)),
        ([[1, "a"]], "assert f({7, 'x'}) == 1", ({1, "a"},)),
        (["(1+2j)"], "assert f(0j) == 1", (1 + 2j,)),
        ([{"a": [1]}], "assert f({'b': (2, 3)}) == 1", ({"a": (1,)},)),
        ([{"a": [1]}], "assert f({}) == 1", ({"a": [1]},)),
        ([[1], 2], "assert f((1,)) == 1", ((1,), 2)),
        ([[1]], "assert f((1,), 2) == 1", ((1,),)),
        ([[1]], "assert f(x) == 1\nassert g(f((3,)))", ((1,),)),
        ([[1], "a", True, None], "", ([1], "a", True, None)),
        ([[1]], "assert f(", ([1],)),
        (["a"], "assert f((1,)) == 1", ("a",)),
    ],
)
def test_json_gets_the_types_of_the_assertion(
    arguments: list[Any], assertion: str, typed: tuple[Any, ...]
) -> None:
    assert write_literal(typed_arguments(arguments, assertion, "f")) == write_literal(typed)


@pytest.mark.parametrize("arguments", [[[[1]]], [[{}]]])
def test_what_cannot_have_the_type_is_refused(arguments: list[Any]) -> None:
    with pytest.raises(BrokenRecordError, match="field base_input: unlike the assertion"):
        typed_arguments(arguments, "assert f({1}) == 2", "f")


def test_the_function_that_most_assertions_call_is_meant() -> None:
    code = "def g(x): ...\ndef f(x): ...\nclass Node: ..."
    assert called(code, "assert f(g(1)) == 1\nassert f(2) == 2\nassert len([Node()]) == 1") == "f"
    assert called(code, "assert f(g(1)) == 1") == "f"
    assert called(code, "assert set(g(1)) == set(f(1))\nassert g(2)") == "g"


def test_a_solution_may_need_its_prompt_or_not() -> None:
    prompt = "import math\ndef f(x):\n    '''Text.'''\n"
    assert whole_code(prompt, "    return x\n", "f") == prompt + "    return x\n"
    assert whole_code("Write f.", "def f(x):\n    return x\n", "f").startswith("def f")
    for solution in ("return x", "  return x (", ""):
        with pytest.raises(BrokenRecordError, match="field canonical_solution"):
            whole_code("def g(x):\n    pass\n", solution, "f")


def test_what_a_prompt_defines_beside_the_function() -> None:
    prompt = "import math\ndef g(x):\n    return x\ndef f(x):\n    '''Text.'''\n"
    assert surroundings(prompt, "f") == "import math\ndef g(x):\n    return x"
    assert surroundings("Write a function f, please.", "f") == ""


def test_a_prompt_that_is_a_docstring_is_shown_as_text() -> None:
    assert shown('"""\nWrite f.\nassert f(1) == 2\n"""\n') == "Write f.\nassert f(1) == 2"
    assert shown("def f(x):\n    '''Text.'''\n") == "def f(x):\n    '''Text.'''"
    assert shown(" Write f. ") == "Write f."


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (">>> f(1)\n2", ["f(1) == 2"]),
        (">>> f(1) # comment\n2", ["f(1) == 2"]),
        (">>> f('a',\n...   [1])\n{'a': 1}", ["f('a', [1]) == {'a': 1}"]),
        (">>> f(1)\n2\n>>> f(1)\n3", ["f(1) == 3"]),
        (">>> f(1)\n\n>>> x = 1\n>>> f(x)\n2", []),
        (">>> f(1)\nTraceback (most recent call last):\nValueError", []),
        (">>> f(1)\n2 or so", []),
        (">>> print(f(1))\n2", []),
        (">>>f(1)\n2", []),
        ("f(1) is 2", []),
    ],
)
def test_doctest_examples_on_literals_are_cases(lines: str, found: list[str]) -> None:
    indented = lines.replace("\n", "\n    ")
    prompt = f'def f(x):\n    """Text.\n\n    {indented}\n    """\n'
    assert [case.render("f") for case in examples(prompt, "f")] == found
