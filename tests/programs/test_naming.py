"""Names of functions whose specs come without one."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from programs.naming import function_name


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("Write a function named double_all that doubles a list", "double_all"),
        ("Split the column called last_name at spaces", "split_column_last"),
        ("Write a function called `count_words` that counts.", "count_words"),
        ("Write a function named is_even(n).", "is_even"),
        ("Implement function clamp(x, low, high).", "clamp"),
        ("`add(1, 2)` returns 3.", "add"),
        ("gcd(12, 8) == 4", "gcd"),
        ("Write a function that reverses a string.", "reverses_string"),
        ("Write a function, please: count vowels", "count_vowels"),
        ("Return the sum of two numbers and their mean.", "sum_two_numbers"),
        ("A function called 'class', which sorts", "class_sorts"),
        ("Write the function.", "solution"),
        ("", "solution"),
        ("計算する", "solution"),
        ("Gib die größte Zahl zurück.", "gib_die_grosste"),
        ("Calcule la moyenne élevée", "calcule_la_moyenne"),
        ("Напиши функцию, которая складывает", "solution"),
        ("写一个函数 `add_two(a, b)` 返回和 add_two(1, 2) == 3", "add_two"),
        ("Write two functions, `area(w, h)` and `perimeter(w, h)`.", "area"),
        ("Write functions `area` and `perimeter`.", "area"),
        ("Write the functions area(w, h) and perimeter(w, h).", "area"),
        ("Fix this:\n```python\ndef mean(xs):\n    return sum(xs)\n```\nfor []", "mean"),
        ("Higher-order functions are not needed: sort words.", "higher_order_functions"),
        ("3 + 4", "solution"),
        ("import", "solution"),
    ],
)
def test_names(spec: str, name: str) -> None:
    assert function_name(spec) == name


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["function", "called", "named", "if", "a²", "é", "_", "x1", "(", ")", ":", "`", "None"]
        )
    ).map(" ".join)
    | st.text().map("a function called {}.".format)
)
@example("function called a².")
@example("called __import__.")
@example("match")
def test_a_name_can_always_be_defined(spec: str) -> None:
    name = function_name(spec)
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    compile(f"def {name}(x): pass", "<name>", "exec")
