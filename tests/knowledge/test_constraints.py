"""Which wordings are read as what, and that doubt makes a hint."""

from __future__ import annotations

import pytest

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.knowledge.constraints import Contradiction, Extraction, Form, extract


def signature(*names: str) -> FunctionSignature:
    parameters = tuple(Parameter(name=name, type_hint="Any") for name in names)
    return FunctionSignature(name="f", parameters=parameters)


ONE, TWO = signature("x"), signature("items", "limit")


def examples(spec: str, known: FunctionSignature | None) -> list[str]:
    return [case.render("f") for case in extract(spec, "f", known).examples]


def forms(found: Extraction, form: Form) -> list[str | None]:
    return [c.predicate for c in found.constraints if c.form is form]


@pytest.mark.parametrize(
    "spec",
    [
        "f(3) == 9", "f(3) -> 9", "f(3) => 9", "f(3) returns 9", "f(3) gives 9.", "f(3) is 9",
        "f(3) = 9", "f(3) should return 9", "f(3) evaluates to 9", "9 == f(3)", "f(3) → 9",
        "assert f(3) == 9", "`f(3)` returns `9`", "f(3): 9", "f(3)  # 9", "f(3) # -> 9",
        "print(f(3))  # 9", ">>> f(3)\n9", "Text.\n\n    >>> f(3)\n    9\n", "e.g. f(3) == 9.",
        "Square it (f(3) is 9).", "so that f(3)\nreturns 9", "f( 3 ) must be 9",
        "```python\nassert f(3) == 9\n```", "```\n>>> f(3)\n9\n```", ">>> f(3) == 9\nTrue",
        "f(3) equals 9, as it should.", "calling f(3) yields 9;",
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [None, ONE])
def test_calls_are_examples_with_and_without_a_signature(
    spec: str, known: FunctionSignature | None
) -> None:
    assert examples(spec, known) == ["f(3) == 9"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("For 3 it returns 9.", "f(3) == 9"),
        ("for the number 3 the answer is 9", "f(3) == 9"),
        ("E.g. 3 gives 9.", "f(3) == 9"),
        ("Return 9 for 3.", "f(3) == 9"),
        ("so that [1, 2, 3] gives [3, 5]", "f([1, 2, 3]) == [3, 5]"),
        ("'a' is shown as 'b'", "f('a') == 'b'"),
        ("“a” becomes “b”.", "f('a') == 'b'"),
        ("None becomes an empty list.", "f(None) == []"),
        ("An empty string gives 0.", "f('') == 0"),
        ("If the list is empty, return 'nobody'.", "f([]) == 'nobody'"),
        ("If x is 0, return None.", "f(0) == None"),
        ("Return 'none' if x is 0.", "f(0) == 'none'"),
        ("exactly 100 is 'full'", "f(100) == 'full'"),
        ("x = 3 gives 9", "f(3) == 9"),
        ("For x = 3 these are 1, 2 and 3, so the answer is 9.", "f(3) == 9"),
        ("| x | result |\n|---|---|\n| 3 | 9 |", "f(3) == 9"),
        ("in | out | result\n", None),
        ("Input: 3\nOutput: 9", "f(3) == 9"),
        ("Input: x = 3, Output: 9", "f(3) == 9"),
        ("(1, 2) gives 3", "f((1, 2)) == 3"),
        ("1205 is '$12.05', always", "f(1205) == '$12.05'"),
        ("f(x=3) == 9", "f(3) == 9"),
        ("f({'a': [1, -2.5]}) == {1, 2}", "f({'a': [1, -2.5]}) == {1, 2}"),
    ],
)
def test_arguments_of_the_only_parameter_are_implied(spec: str, expected: str | None) -> None:
    assert examples(spec, ONE) == ([expected] if expected else [])


@pytest.mark.parametrize(
    "spec",
    [
        "f([1], 2) == 3", "([1], 2) gives 3", "[1] and 2 give 3", "f(limit=2, items=[1]) is 3",
        "With a limit of 2, [1] gives 3.", "for items = [1] and limit = 2 the answer is 3",
        "items | limit | result\n[1] | 2 | 3\n", "Input: items = [1], limit = 2\nOutput: 3",
        "| limit | items | expected |\n|:-:|---|---|\n| 2 | [1] | 3 |",
    ],
)  # fmt: skip
def test_several_arguments(spec: str) -> None:
    assert examples(spec, TWO) == ["f([1], 2) == 3"]


@pytest.mark.parametrize(
    ("spec", "raises"),
    [
        ("f(-1) raises ValueError", "ValueError"),
        ("f(-1) should raise a TypeError.", "TypeError"),
        ("Raise ValueError for -1.", "ValueError"),
        (
            ">>> f(-1)\nTraceback (most recent call last):\n    ...\nValueError: negative",
            "ValueError",
        ),
    ],
)
def test_examples_that_raise(spec: str, raises: str) -> None:
    (case,) = extract(spec, "f", ONE).examples
    assert (case.args, case.raises, case.expected) == ("(-1,)", raises, None)
    assert extract(spec, "f", ONE).predicates == ()


def test_several_examples_share_a_result() -> None:
    assert sorted(examples("'yes', 'on' and '1' mean True; both 'no' and '0' give False", ONE)) == [
        "f('0') == False", "f('1') == True", "f('no') == False", "f('on') == True",
        "f('yes') == True",
    ]  # fmt: skip
    assert examples("f(1) and f(2) both give 3", ONE) == ["f(1) == 3", "f(2) == 3"]


@pytest.mark.parametrize(
    ("spec", "predicate"),
    [
        ("1 to 20 is 'low', 21 to 79 is 'ok'", "result == 'low' if 1 <= x <= 20 else True"),
        ("from 1 to 2.5 gives 'a'", "result == 'a' if 1 < x < 2.5 else True"),
        ("between 0 and 23 gives 'a'", "result == 'a' if 0 < x < 23 else True"),
        ("between 0 and 23 inclusive gives 'a'", "result == 'a' if 0 <= x <= 23 else True"),
        ("more than 5 -> 'many'", "result == 'many' if x > 5 else True"),
        ("at least 3: returns 'many'", "result == 'many' if x >= 3 else True"),
        ("3 or more gives 'many'", "result == 'many' if x >= 3 else True"),
        ("If x is less than 1, return 0.", "result == 0 if x < 1 else True"),
        ("Return 0 if x is below 1.", "result == 0 if x < 1 else True"),
        ("If x is negative, return None.", "result is None if x < 0 else True"),
        ("The result is between 0 and 59.", "0 <= result <= 59"),
        ("the result is at least 3", "result >= 3"),
        ("The answer is never negative.", "result >= 0"),
        ("the result is never below 0", "not result < 0"),
    ],
)
def test_properties(spec: str, predicate: str) -> None:
    found = forms(extract(spec, "f", ONE), Form.PROPERTY)
    assert predicate.replace(" is None", " == None") in found


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("Returns one of 'low', 'ok' or 'high'.", "('low', 'ok', 'high')"),
        ("Return True or False.", "(True, False)"),
        ("Return True if it is long and False if it is short.", "(True, False)"),
        (
            "Return 'too short' if less than 8 chars, otherwise return 'valid'",
            "('too short', 'valid')",
        ),
        ("'N' is 'north'. For anything else the answer is 'unknown'.", "('north', 'unknown')"),
        ("Return 'a' when it fits, else 'b'.", "('a', 'b')"),
        ("1. 'a' when it fits\n2. 'b' for the rest", "('a', 'b')"),
    ],
)
def test_literal_sets(spec: str, values: str) -> None:
    assert f"result in {values}" in forms(extract(spec, "f", ONE), Form.LITERAL_SET)


@pytest.mark.parametrize(
    "spec",
    [
        "Return 'boom' in that case, otherwise the number itself.",
        "Return 'up N' or 'down N', where N is the distance.",
        "Return 'a' if x is 1, 'b' if it is 2.",
        "0 gives 'free'. Everything else is shown as a dollar sign and the amount.",
        "Return 'a' if it is short, otherwise return 'b' and the text.",
        "Words that end in 's' get 'es', all others get 's'.",
    ],
)
def test_what_may_be_open_is_no_set(spec: str) -> None:
    assert forms(extract(spec, "f", ONE), Form.LITERAL_SET) == []


@pytest.mark.parametrize(
    "spec",
    [
        "5 / 2 becomes 3", "n - 1 gives 2", "f(3) is 9 or 10", "f(3) is 9 if it is Monday",
        "f(3) is 9, unless it rains", "f(3) gives 9 percent", "f(3) gives 9 + 1", "f(3) is not 9",
        "f(3) is a square", "Currently f(3) returns 8.", "f(3) wrongly returns 8", "g(3) == 9",
        "f(y) == 9", "f(3) is about 9", "def f(3): return 9", "f(3) == 9.5.1", "not f(3) == 9",
        "the 3 gives up 9", "f(3) is 'a', 'b' and 'c'", "2 to 3 gives f", "f(*[3]) == 9",
        "f(3) gives 9 instead of 8", "'a' is 'b' if it comes first", "it's 3, isn't it 9",
        ">>> y = f(3)\n>>> y\n9", "'it's 3' gives 9", "1,000 gives 9", "f(3) returns 1,000 items",
    ],
)  # fmt: skip
def test_doubt_is_no_example(spec: str) -> None:
    assert examples(spec, ONE) == []


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        ("[1, 2, 3] gives [3, 5]", None),
        ("[1, 2, 3] gives [3, 5]", TWO),
        ("(1, 2, 3) gives 6", TWO),
        ("[1] and [2] become [1, 2]", ONE),
        ("f(limit=2, items=[1]) is 3", None),
        ("f(1, z=2) is 3", ONE),
        ("more than 5 gives 'many'", TWO),
        ("If limit is 0, return 'none'.", TWO),
        ("The order matters: check it in that order.", ONE),
        ("Anything else gives the input.", ONE),
        ("Hours are between 0 and 23.", ONE),
        ("Write exactly 'N/A'.", ONE),
    ],
)
def test_what_cannot_be_executed_is_a_hint_with_a_reason(
    spec: str, known: FunctionSignature | None
) -> None:
    found = extract(spec, "f", known)
    assert [c.form for c in found.constraints] == [Form.HINT]
    assert found.hints[0].reason
    assert (found.examples, found.predicates) == ((), ())


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("Return 0 instead of failing when the text is no number", "how errors are handled"),
        ("A wrong text must not raise.", "how errors are handled"),
        ("The dot may not be at the end.", "a position"),
        ("Positions count from 1.", "a position"),
        ("Return both the minimum and the maximum.", "distinct operations"),
        ("Mind the empty list.", "an edge case"),
        ("Check a before b, in this order.", "an order"),
        ("Sort the numbers.", None),
        ("Return the end of the raised bed.", None),
    ],
)
def test_a_hint_says_what_it_is_about(spec: str, reason: str | None) -> None:
    assert [h.reason for h in extract(spec, "f", ONE).hints] == [reason] * (reason is not None)


def test_contradictions_are_reported_and_not_resolved() -> None:
    found = extract("f(3) == 9. But then f(3) returns 8. And f(2) == 4.", "f", ONE)

    assert found.contradictions == (
        Contradiction(args="(3,)", first="f(3) == 9", second="f(3) returns 8"),
    )
    assert [case.render("f") for case in found.examples] == ["f(2) == 4"]
    assert [h.reason for h in found.hints] == ["contradicts another example"] * 2


def test_a_sentence_may_begin_with_a_call() -> None:
    assert examples("f(1) == 2. f(2) == 4! f(3) is 6", ONE) == [
        "f(1) == 2",
        "f(2) == 4",
        "f(3) == 6",
    ]
    assert examples("text.f(1) == 2", ONE) == []


def test_repetitions_are_found_once() -> None:
    found = extract("f(3) == 9. As said, f( 3 ) returns 9.", "f", ONE)
    assert [c.text for c in found.constraints] == ["f(3) == 9"]


def test_floats_are_near_and_integers_equal_floats() -> None:
    spec = "f(1) == 0.3 and f(2) == 1000000.5 and f(3) == 1"
    assert [c.tolerance for c in extract(spec, "f", ONE).examples] == [1e-9, 1000000.5e-9, 0.0]


def test_spans_are_what_is_said() -> None:
    spec = "Squares.  So f(3)\nreturns 9, and 1 to 2 is 'low'; in that order."
    found = extract(spec, "f", ONE)

    assert [c.text for c in found.constraints] == [
        "f(3)\nreturns 9",
        "1 to 2 is 'low'",
        "in that order",
    ]
