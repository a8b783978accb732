"""Judging code on cases: the calls are made in the sandbox, the comparison on the host.

Owns the step from an ``Execution`` to a ``Verdict``. Expected values stay here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from lift_sys.literals import parse_literal
from lift_sys.sandbox.base import Call, CallOutcome, Limits, Sandbox, Submission
from lift_sys.sandbox.codec import shorten
from lift_sys.sandbox.compare import equal
from lift_sys.tasks import WEAK_NAME, Case, ConvertedTest
from lift_sys.verdict import CaseResult, Status, Verdict


def judge(
    sandbox: Sandbox,
    code: str,
    entry_point: str,
    cases: Sequence[Case],
    limits: Limits | None = None,
) -> Verdict:
    """Execute code on cases and compare.

    Args:
        sandbox: Where the code runs.
        code: Python source that should define the entry point.
        entry_point: Name of the function to call.
        cases: What to call it with and what it must give, in order.
        limits: What the code may use.

    Returns:
        A verdict with one result per case; failures of the candidate as a whole give their status
        to every case that was not decided before.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    calls = tuple(Call(args=c.args, observe_args=c.args_after is not None) for c in cases)
    submission = Submission(code=code, entry_point=entry_point, calls=calls)
    execution = sandbox.execute(submission, limits)
    outcomes = zip(cases, execution.outcomes, strict=True)
    results = tuple(_result(i, case, outcome) for i, (case, outcome) in enumerate(outcomes))
    status, message = execution.status, execution.message
    if status is Status.PASSED:
        first = next((r for r in results if r.status is not Status.PASSED), None)
        if first is not None:
            status, message = first.status, first.message
    return Verdict(status=status, cases=results, message=message, seconds=execution.seconds)


def judge_test_code(
    sandbox: Sandbox, code: str, entry_point: str, test: ConvertedTest, limits: Limits | None = None
) -> Verdict:
    """Execute code on converted test code: its cases as ``judge`` does, the rest inside.

    The rest runs in a child of its own, in which the code under test could forge success: the
    weaker promise that ``ConvertedTest.strong_fraction`` measures. Its result is the last case.

    Args:
        sandbox: Where the code runs.
        code: Python source that should define the entry point.
        entry_point: Name of the function under test.
        test: From ``convert_asserts``.
        limits: What each of the two executions may use.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    strong = judge(sandbox, code, entry_point, test.cases, limits)
    if not test.weak_code:
        return strong
    submission = Submission(
        code=f"{code}\n\n{test.weak_code}\n", entry_point=WEAK_NAME, calls=(Call(args="()"),)
    )
    execution = sandbox.execute(submission, limits)
    weak = _weak_result(len(strong.cases), execution.outcomes[0])
    decides = weak if strong.passed else strong
    return Verdict(
        status=decides.status,
        cases=(*strong.cases, weak),
        message=decides.message,
        seconds=strong.seconds + execution.seconds,
    )


def _weak_result(index: int, outcome: CallOutcome) -> CaseResult:
    message = ""
    if outcome.status is not Status.PASSED:
        message = _raised(outcome) if outcome.exception else outcome.message
    failed = outcome.exception == "AssertionError"
    status = Status.WRONG_ANSWER if failed else outcome.status
    return CaseResult(
        index=index,
        status=status,
        exception=outcome.exception,
        message=message,
        seconds=outcome.seconds,
    )


def _result(index: int, case: Case, outcome: CallOutcome) -> CaseResult:
    if case.raises is not None:
        status, message = _judge_raises(case.raises, outcome)
    else:
        status, message = _judge_value(case, outcome)
    if status is Status.PASSED and case.args_after is not None:
        status, message = _judge_arguments(case.args_after, case, outcome)
    returned = outcome.status is Status.PASSED
    return CaseResult(
        index=index,
        status=status,
        actual=shorten(outcome.value) if returned else None,
        exception=outcome.exception,
        message=message,
        seconds=outcome.seconds,
    )


def _judge_raises(name: str, outcome: CallOutcome) -> tuple[Status, str]:
    if outcome.exception is not None:
        if name == outcome.exception or name in outcome.exception_bases:
            return Status.PASSED, ""
        return Status.WRONG_ANSWER, f"expected {name} to be raised, got {_raised(outcome)}"
    if outcome.status is Status.PASSED:
        got = shorten(outcome.value)
        return Status.WRONG_ANSWER, f"expected {name} to be raised, got {got}"
    if outcome.status is Status.UNSERIALISABLE:
        return Status.WRONG_ANSWER, f"expected {name} to be raised, but {outcome.message}"
    return outcome.status, outcome.message


def _judge_value(case: Case, outcome: CallOutcome) -> tuple[Status, str]:
    if outcome.status is not Status.PASSED:
        text = f"raised {_raised(outcome)}" if outcome.exception else outcome.message
        return outcome.status, text
    expected = _expected(case.expected or "")
    if equal(outcome.value, expected, case.tolerance):
        return Status.PASSED, ""
    return Status.WRONG_ANSWER, _difference(outcome.value, expected)


def _judge_arguments(text: str, case: Case, outcome: CallOutcome) -> tuple[Status, str]:
    expected = _expected(text)
    if equal(outcome.args_after, expected, case.tolerance):
        return Status.PASSED, ""
    message = f"arguments after the call: {_difference(outcome.args_after, expected)}"
    return Status.WRONG_ANSWER, message


def _difference(actual: object, expected: object) -> str:
    left, right = shorten(expected), shorten(actual)
    if left == right or type(actual) is not type(expected):
        left += f" ({type(expected).__name__})"
        right += f" ({type(actual).__name__})"
    return f"expected {left}, got {right}"


def _raised(outcome: CallOutcome) -> str:
    return f"{outcome.exception}: {outcome.message}" if outcome.message else f"{outcome.exception}"


def _expected(text: str) -> object:
    """Return an expected value; parsed once where a search asks for it again and again."""
    return _cached(text) if len(text) <= _CACHED_CHARS else parse_literal(text)


_CACHED_CHARS = 4096
_cached = functools.lru_cache(maxsize=4096)(parse_literal)
