"""Whatever a model writes as a type, the hint made of it is Python that runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lift_sys.ir.types import python_type

WORDS = (
    "integer float number str string bool int boolean bytes None null any Any list array tuple set "
    "dict mapping frozenset object complex of [ ] ( ) | , ... : # * = \n 1 'x' \"y\" lambda Union "
    "Optional List if else for in not and await yield async self . - + { } \\ ` print"
).split(" ")
expressions = st.lists(st.sampled_from(WORDS), max_size=8).flatmap(
    lambda words: st.sampled_from([" ", ""]).map(lambda joint: joint.join(words))
)


def _defined(hint: str) -> Any:
    """Return the annotation of ``x``, the only parameter, in code that has only ``Any``."""
    names: dict[str, Any] = {"Any": Any}
    exec(compile(f"def f(x: {hint}): return x\n", "<hint>", "exec"), names)  # noqa: S102
    assert names["f"](3) == 3
    assert list(names["f"].__annotations__) == ["x"]
    return names["f"].__annotations__["x"]


@given(expressions | st.text(max_size=30))
@example("int[str]")
@example("None | None")
@example("1 | int")
@example("int | 'str'")
@example("Any[int]")
@example("list[int][str]")
@example("list['int']")
@example("int # a comment")
@example("int, str")
@example("(int\n| str)")
@example("x: int = 3")
@example("list[" * 60 + "int" + "]" * 60)
@example("int | " * 5000 + "int")
@example("(" * 300)
def test_a_hint_always_evaluates(text: str) -> None:
    _defined(python_type(text))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("int", "int"),
        (" `int` ", "int"),
        ("list[int]", "list[int]"),
        ("dict[str, list[int]]", "dict[str, list[int]]"),
        ("tuple[int, ...]", "tuple[int, ...]"),
        ("int | None", "int | None"),
        ("None | int", "None | int"),
        ("str|int|None", "str|int|None"),
        ("frozenset[str]", "frozenset[str]"),
        ("None", "None"),
        ("Any", "Any"),
        ("integer", "int"),
        ("A string", "str"),
        ("list of integers", "list[int]"),
        ("array of strings", "list[str]"),
        ("List[int]", "list[int]"),
        ("dictionary of str to int", "dict"),
        ("null", "None"),
        ("Widget", "Any"),
        ("", "Any"),
        ("整数", "Any"),
    ],
)
def test_words_become_hints(text: str, hint: str) -> None:
    assert python_type(text) == hint
    _defined(hint)
