"""What is taken off an assertion, and that no value changes on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.ir.repair import normalise


@pytest.mark.parametrize(
    "text",
    [
        "f(1) == 2",
        "f(1) == 'assert'",
        "assertion_holds(result)",
        "f('# no comment') == '-> 3'",
        "f(x=1) >= 2",
        "f('a`b') == 'because = so'",
        "-f(1) == 2",
        "(f(1) == 2)",
        "f('a') == 'b.'",
        "f(1) == (2, 3)",
        "f(1) == 'a', 'b'",
        "f(1), 2",
    ],
)
def test_an_expression_is_left_alone(text: str) -> None:
    assert normalise(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "assert f(1) == 2",
        "assert f(1) == 2, 'must be two'",
        "assert f(1) == 2  # two",
        "assert f(1) == 2;",
        'assert f(1) == 2"',
        "assert f(1) = 2",
        "f(1) == 2  # two",
        "f(1) == 2, 'must be two'",
        "f(1) == 2,",
        "f(1) == 2;",
        "f(1) == 2;;",
        "f(1) == 2'",
        'f(1) == 2"',
        "f(1) == 2)",
        "f(1) == 2]",
        'f(1) == 2}"]',
        '"f(1) == 2"',
        "`f(1) == 2`",
        "`f(1)` == `2`",
        "```python\nf(1) == 2\n```",
        ">>> f(1) == 2",
        "1. f(1) == 2",
        "- f(1) == 2",
        "Example: f(1) == 2",
        "f(1) == 2 because 1 + 1 is two",
        "f(1) == 2, since it doubles",
        "f(1) === 2",
        "f(1) = 2",
        "f(1) -> 2",
        "f(1) --> 2",
        "f(1) => 2",
        "f(1) \u2192 2",
        "f(1) returns 2",
        "f(1) should return 2",
        "f(1) should be 2",
        "f(1) must equal 2",
        "f(1) equals 2",
        "f(1) is equal to 2",
        "f(1) evaluates to 2",
        "`f(1)` returns `2`",
        "Normal case: f(1) -> 2, because it doubles",
    ],
)
def test_what_stands_around_a_comparison_is_taken_off(text: str) -> None:
    assert normalise(text) == "f(1) == 2"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("f(x=1, y='a=b') = 'c=d'", "f(x=1, y='a=b') == 'c=d'"),
        ("f('a -> b') -> 'c'", "f('a -> b') == 'c'"),
        ("f([1, 2]) returns [[1], [2]]", "f([1, 2]) == [[1], [2]]"),
        ("f('a') == 'it\\'s'\"", "f('a') == 'it\\'s'"),
        ("f('ß') == 'é'  # 'é'", "f('ß') == 'é'"),
        ("f('a\nb') == 'a'", "f('a\\nb') == 'a'"),
    ],
)
def test_signs_inside_values_stay(text: str, meant: str) -> None:
    assert normalise(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "x = f(1)",
        "the result is never negative",
        "f(1) raises ValueError",
        "f(1) == [1, 2",
        "f(1) == 'ab",
        "f(1) returns True if x",
        "f(1) == 2\nf(2) == 3",
        "if x: f(1) == 2",
        "Otherwise: result == 2",
        "== 2",
        "f(1) =",
    ],
)
def test_what_means_no_one_expression_is_left_as_it_is(text: str) -> None:
    assert normalise(text) == text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner),
    max_leaves=5,
)


@given(values, values, st.sampled_from(["", "assert "]), st.sampled_from(["", "'", '"', ")", "."]))
def test_no_repair_changes_a_value(
    argument: object, result: object, before: str, after: str
) -> None:
    call = f"f({argument!r})"
    for sign in ("==", "=", "->", "returns", "should be"):
        text = f"{before}{call} {sign} {result!r}{after}"
        names = {"f": lambda given: (given, result)[1] if given == argument else object()}
        assert eval(normalise(text), names) is True, text  # noqa: S307 (written above)
