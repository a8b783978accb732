"""Which assertions become cases, and that the others still count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lift_sys.errors import DatasetError
from lift_sys.sandbox import Sandbox, create_sandbox, judge_test_code
from lift_sys.tasks import convert_asserts, strong_share
from lift_sys.verdict import Status

HUMAN_EVAL = """
METADATA = {'author': 'x'}

def check(candidate):
    assert candidate([1.0, 2.0], 0.5) == False
    assert candidate([1.0, 1.2], 0.3) is True, "close"
    assert [] == candidate([], 1)
    assert abs(candidate([3.5], 1) - 0.5) < 1e-6
    assert True, "a comment"
    assert candidate([1], 1) == [1] and candidate([2], 1) == [2]

check(entry)
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = create_sandbox()
    yield made
    made.close()


def test_a_check_function_becomes_cases_entirely() -> None:
    test = convert_asserts(HUMAN_EVAL, "entry")
    assert [(c.args, c.expected, c.tolerance) for c in test.cases] == [
        ("([1.0, 2.0], 0.5)", "False", None),
        ("([1.0, 1.2], 0.3)", "True", None),
        ("([], 1)", "[]", None),
        ("([3.5], 1)", "0.5", 1e-6),
        ("([1], 1)", "[1]", 0.0),
        ("([2], 1)", "[2]", 0.0),
    ]
    assert test.weak_code == ""
    assert test.strong_fraction == 1.0


@pytest.mark.parametrize(
    "assertion",
    [
        "assert f(1)",
        "assert not f(1)",
        "assert f(1) != 2",
        "assert f(g(1)) == 2",
        "assert f(1) == g(2)",
        "assert f(x=1) == 2",
        "assert f(*[1]) == 2",
        "assert f(f(1)) == 2",
        "assert f(1) == f(1)",
        "assert f(1) == 2 == f(1)",
        "assert f(1) == 2 or True",
        "for i in range(3):\n    assert f(i) == i",
        "f = len\nassert f([1]) == 1",
    ],
)
def test_what_is_not_a_comparison_of_a_call_with_a_literal_stays_weak(assertion: str) -> None:
    test = convert_asserts(assertion, "f")
    assert test.cases == ()
    assert test.weak_count == 1
    assert "assert" in test.weak_code


@pytest.mark.parametrize(
    ("assertion", "args", "expected"),
    [
        ("assert f(3 * 19) == 1", "(57,)", "1"),
        ("assert f('a' + 'b') == (3 + 5, 3 * 5)", "('ab',)", "(8, 15)"),
        ("assert abs(f(1) - 2.0 / 4.0) < 1e-6", "(1,)", "0.5"),
        ("assert math.fabs(f(1) - 2) < 1e-6", "(1,)", "2"),
    ],
)
def test_small_sums_are_worked_out(assertion: str, args: str, expected: str) -> None:
    (case,) = convert_asserts(assertion, "f").cases
    assert (case.args, case.expected) == (args, expected)


@pytest.mark.parametrize("sum_", ["1 / 0", "1 % 0", "10**9 ** 9", "'a' * 10**9", "9**9**9"])
def test_large_or_wrong_sums_are_left_alone(sum_: str) -> None:
    assert convert_asserts(f"assert f({sum_}) == 1", "f").cases == ()


def test_a_mixture_reports_its_share() -> None:
    code = "import math\nassert f(1) == 1\nfor i in (2, 3):\n    assert f(i) == math.prod([i])\n"
    test = convert_asserts(code, "f")
    assert (len(test.cases), test.weak_count) == (1, 1)
    assert test.strong_fraction == 0.5
    assert "import math" in test.weak_code
    assert strong_share([test, convert_asserts("assert f(1) == 1", "f")]) == 2 / 3
    assert strong_share([]) == 1.0


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("def f(x):\n    return x", Status.PASSED),
        ("def f(x):\n    return 1", Status.WRONG_ANSWER),
        ("def f(x):\n    return x // (x - 3)", Status.WRONG_ANSWER),
        ("def f(x):\n    return x / x if x > 1 else 1", Status.WRONG_ANSWER),
        ("def f(x:", Status.SYNTAX_ERROR),
    ],
)
def test_both_parts_decide(sandbox: Sandbox, code: str, status: Status) -> None:
    test = convert_asserts("assert f(1) == 1\nfor i in (2, 3):\n    assert f(i) == i", "f")
    verdict = judge_test_code(sandbox, code, "f", test)
    assert verdict.status is status
    assert len(verdict.cases) == 2


def test_numbers_keep_the_meaning_of_double_equals(sandbox: Sandbox) -> None:
    test = convert_asserts("assert f(4) == 2\nassert f(1) == [1]", "f")
    code = "def f(x):\n    return 2.0 if x == 4 else [1.0]"
    assert judge_test_code(sandbox, code, "f", test).passed


def test_test_code_that_is_not_python_is_the_data_sets_fault() -> None:
    with pytest.raises(DatasetError, match="the test code for 'f' is not Python"):
        convert_asserts("assert f(", "f")
