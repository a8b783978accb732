"""What judging says of honest code and of every kind of bad code."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lift_sys.sandbox import Limits, Sandbox, create_sandbox, judge
from lift_sys.tasks import Case
from lift_sys.verdict import Status

SQUARES = [Case(args=f"({n},)", expected=str(n * n)) for n in range(5)]
QUICK = Limits(call_seconds=0.5, total_seconds=2.0)
SLACK_SECONDS = 10.0  # a starved machine is no fault; what hangs never ends


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with_workers = create_sandbox(workers=2)
    yield with_workers
    with_workers.close()


def test_right_code_passes_every_case(sandbox: Sandbox) -> None:
    verdict = judge(sandbox, "def f(n):\n    return n * n\n", "f", SQUARES)
    assert verdict.passed
    assert verdict.fraction == 1.0
    assert [case.actual for case in verdict.cases] == ["0", "1", "4", "9", "16"]


def test_wrong_code_says_what_was_expected(sandbox: Sandbox) -> None:
    verdict = judge(sandbox, "def f(n):\n    return n + n\n", "f", SQUARES)
    assert verdict.status is Status.WRONG_ANSWER
    assert verdict.cases[1].message == "expected 1, got 2"
    assert verdict.fraction == 2 / 5


def test_types_are_exact_and_the_message_names_them(sandbox: Sandbox) -> None:
    verdict = judge(sandbox, "def f(n):\n    return n == 1\n", "f", SQUARES[1:2])
    assert verdict.status is Status.WRONG_ANSWER
    assert verdict.message == "expected 1 (int), got True (bool)"


BAD_CODE = {
    "not Python": ("def f(", Status.SYNTAX_ERROR),
    "prose": ("Here is the function you asked for:", Status.SYNTAX_ERROR),
    "empty": ("", Status.NO_ENTRY_POINT),
    "ten megabytes": ("x = 1\n" * 1_700_000, Status.SYNTAX_ERROR),
    "null bytes": ("def f(n):\n    return n\0", Status.SYNTAX_ERROR),
    "lone surrogates": ("def f(n):\n    return '\ud800'", Status.SYNTAX_ERROR),
    "without the entry point": ("def g(n):\n    return n", Status.NO_ENTRY_POINT),
    "entry point not callable": ("f = 3", Status.NO_ENTRY_POINT),
    "nested entry point": ("def g():\n    def f(n):\n        return n", Status.NO_ENTRY_POINT),
    "class": ("class f:\n    def __init__(self, n): pass", Status.UNSERIALISABLE),
    "async": ("async def f(n):\n    return n", Status.UNSERIALISABLE),
    "generator": ("def f(n):\n    yield n", Status.UNSERIALISABLE),
    "wrong arity": ("def f(a, b):\n    return a", Status.EXCEPTION),
    "raises at import": ("raise SystemExit(0)", Status.EXCEPTION),
    "endless at import": ("while True:\n    pass", Status.TIMEOUT),
    "endless call": ("def f(n):\n    while True:\n        pass", Status.TIMEOUT),
    "deep nesting": ("x = " + "(" * 50_000 + ")" * 50_000, Status.SYNTAX_ERROR),
    "deep operators": ("x = " + "-" * 200_000 + "1", Status.SYNTAX_ERROR),
    "too much memory": ("def f(n):\n    return [0] * 10**9", Status.MEMORY),
    "endless recursion": ("def f(n):\n    return f(n)", Status.EXCEPTION),
    "ends the process": ("import os\ndef f(n):\n    os._exit(0)", Status.PROTOCOL),
    "too much output": ("def f(n):\n    return 'x' * 10**7", Status.UNSERIALISABLE),
}


@pytest.mark.parametrize("name", BAD_CODE)
def test_bad_code_is_a_verdict_in_bounded_time(sandbox: Sandbox, name: str) -> None:
    code, status = BAD_CODE[name]
    started = time.monotonic()
    verdict = judge(sandbox, code, "f", SQUARES, QUICK)
    assert verdict.status is status, verdict.message
    assert {case.status for case in verdict.cases} == {status}
    assert verdict.message
    assert time.monotonic() - started < QUICK.total_seconds + SLACK_SECONDS


def test_a_lambda_is_as_good_as_a_function(sandbox: Sandbox) -> None:
    assert judge(sandbox, "f = lambda n: n * n", "f", SQUARES).passed


def test_a_limit_is_named_with_its_value(sandbox: Sandbox) -> None:
    code = "def f(n):\n    while n == 2:\n        pass\n    return n * n"
    verdict = judge(sandbox, code, "f", SQUARES, QUICK)
    assert verdict.status is Status.TIMEOUT
    assert "0.5 s allowed for one call (call_seconds)" in verdict.message
    assert [case.status for case in verdict.cases] == [Status.PASSED] * 2 + [Status.TIMEOUT] * 3


def test_expected_exceptions_match_by_type_or_base(sandbox: Sandbox) -> None:
    code = "def f(n):\n    return [1][n] if n else int('x')"
    cases = [
        Case(args="(0,)", raises="ValueError"),
        Case(args="(5,)", raises="LookupError"),
        Case(args="(5,)", raises="KeyError"),
    ]
    statuses = [case.status for case in judge(sandbox, code, "f", cases).cases]
    assert statuses == [Status.PASSED, Status.PASSED, Status.WRONG_ANSWER]


def test_mutation_is_seen_where_asked_and_never_leaks(sandbox: Sandbox) -> None:
    code = "def f(xs):\n    xs.append(1)\n    return len(xs)"
    case = Case(args="([],)", expected="1", args_after="([1],)")
    assert judge(sandbox, code, "f", [case, case, case]).passed
    wrong = Case(args="([],)", expected="1", args_after="([],)")
    verdict = judge(sandbox, code, "f", [wrong])
    assert verdict.message == "arguments after the call: expected ([],), got ([1],)"


def test_a_huge_integer_is_reported_without_printing_it(sandbox: Sandbox) -> None:
    verdict = judge(sandbox, "def f(n):\n    return 10**9000", "f", SQUARES[:1])
    assert verdict.cases[0].actual == "<int of 29898 bits>"
