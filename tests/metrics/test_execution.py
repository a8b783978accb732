"""The metric executes: what passes, what the feedback says, and what is never scored."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.errors import SandboxError
from lift_sys.sandbox import Limits, Sandbox
from lift_sys.sandbox.base import Execution, Submission
from lift_sys.tasks import Case, Task
from lift_sys.verdict import Status, Verdict
from metrics.execution import explain, score_code

GOOD = "def clamp(x):\n    if x is None:\n        raise ValueError('none')\n    return max(0, x)"


def task(*hidden: dict[str, Any]) -> Task:
    return Task.model_validate(
        {
            "id": "clamp",
            "spec": "Negative numbers become 0; None is a ValueError.",
            "entry_point": "clamp",
            "category": "arithmetic",
            "split": "dev",
            "source": "test",
            "hidden": hidden,
        }
    )


CLAMP = task(
    {"args": "(3,)", "expected": "3"},
    {"args": "(-4,)", "expected": "0"},
    {"args": "(None,)", "raises": "ValueError"},
    {"args": "(-9,)", "expected": "0"},
)


def test_all_hidden_cases_pass(sandbox: Sandbox) -> None:
    score = score_code(CLAMP, GOOD, None, sandbox)
    assert (score.value, score.passed, score.status) == (1.0, True, Status.PASSED)
    assert score.feedback == "All 4 hidden cases passed."


@pytest.mark.parametrize(
    ("code", "value", "status", "said"),
    [
        (
            "def clamp(x):\n    if x is None: raise ValueError\n    return x",
            0.5,
            Status.WRONG_ANSWER,
            ("2 of 4 hidden cases passed", "clamp(-4,) should give 0", "gave -4"),
        ),
        (
            "def clamp(x):\n    return float(max(0, x or 0))",
            0.0,
            Status.WRONG_ANSWER,
            ("0 of 4", "clamp(3,) should give 3", "gave 3.0"),
        ),
        (
            "def clamp(x):\n    return max(0, x or 0)",
            0.75,
            Status.WRONG_ANSWER,
            ("3 of 4", "clamp(None,) should raise ValueError", "gave 0"),
        ),
        (
            "def clamp(x):\n    return max(0, x)",
            0.75,
            Status.WRONG_ANSWER,
            ("3 of 4", "clamp(None,) should raise ValueError", "TypeError"),
        ),
        (
            "def clamp(x):\n    return x / 0 if x and x < 0 else 3",
            0.25,
            Status.EXCEPTION,
            ("1 of 4", "clamp(-4,) should give 0", "ZeroDivisionError"),
        ),
        ("def clamp(x:\n    return x", 0.0, Status.SYNTAX_ERROR, ("0 of 4", "clamp(3,)")),
        ("def other(x): return x", 0.0, Status.NO_ENTRY_POINT, ("0 of 4", "clamp")),
        ("def clamp(x): return lambda: x", 0.0, Status.UNSERIALISABLE, ("0 of 4", "should give 3")),
    ],
    ids=lambda p: str(p) if isinstance(p, Status) else "",
)
def test_the_first_failing_case_is_explained(
    sandbox: Sandbox, code: str, value: float, status: Status, said: tuple[str, ...]
) -> None:
    score = score_code(CLAMP, code, None, sandbox)
    assert (score.value, score.passed, score.status) == (value, False, status)
    for part in said:
        assert part in score.feedback
    assert "clamp(-9" not in score.feedback


def test_arguments_left_wrong_are_explained(sandbox: Sandbox) -> None:
    sorting = task({"args": "([2, 1],)", "expected": "None", "args_after": "([1, 2],)"})
    score = score_code(sorting, "def clamp(x): pass", None, sandbox)
    assert (score.passed, score.status) == (False, Status.WRONG_ANSWER)
    assert "should give None and leave the arguments as ([1, 2],)" in score.feedback
    assert "got ([2, 1],)" in score.feedback
    assert score_code(sorting, "def clamp(x): x.sort()", None, sandbox).passed


@pytest.mark.parametrize(
    ("failure", "said"),
    [("truncated: the ir stage was cut off", "truncated: the ir stage"), (None, "no code")],
)
def test_no_code_scores_nothing_and_says_why(failure: str | None, said: str) -> None:
    unused: Any = None
    score = score_code(CLAMP, None, failure, unused)
    assert (score.value, score.passed, score.status) == (0.0, False, None)
    assert said in score.feedback


class Fake:
    """A sandbox that gives a prepared answer, and keeps what it was asked."""

    description = "fake"

    def __init__(self, answer: Execution | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[Submission, Limits | None]] = []

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        self.asked.append((submission, limits))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        """Nothing is held."""


def test_a_sandbox_failure_is_never_scored() -> None:
    with pytest.raises(SandboxError, match="the worker is gone"):
        score_code(CLAMP, GOOD, None, Fake(SandboxError("the worker is gone")))


def test_expected_values_never_enter_and_limits_do() -> None:
    fake = Fake(SandboxError("stop"))
    limits = Limits(call_seconds=0.5)
    secret = task({"args": "(1,)", "expected": "987654"}, {"args": "(2,)", "raises": "KeyError"})
    with pytest.raises(SandboxError):
        score_code(secret, GOOD, None, fake, limits)
    ((submission, given),) = fake.asked
    assert given == limits
    assert "987654" not in submission.model_dump_json()
    assert "KeyError" not in submission.model_dump_json()


WEAK = "def lift_weak_check():\n    for x in (5, 6):\n        assert clamp(x) == x"


@pytest.mark.parametrize("hidden", [CLAMP.hidden, ()])
@pytest.mark.parametrize(
    ("code", "passed", "said"),
    [
        (GOOD, True, "hidden cases passed"),
        ("def clamp(x):\n    if x is None:\n        raise ValueError\n    return min(4, max(0, x))",
         False, "the assert-style tests of clamp fail: "),
        ("def clamp(x:", False, "syntax_error"),
        ("def other(x):\n    return x", False, "no_entry_point"),
    ],
)  # fmt: skip
def test_weak_tests_count_as_one_case_more(
    sandbox: Sandbox, hidden: tuple[Case, ...], code: str, passed: bool, said: str
) -> None:
    weak = Task.model_validate(CLAMP.model_dump() | {"hidden": hidden, "weak_tests": WEAK})
    score = score_code(weak, code, None, sandbox)
    assert score.passed is passed
    assert said in f"{score.status}: {score.feedback}"
    kept = len(hidden) if "assert-style" in said else (len(hidden) + 1) * passed
    assert score.value == kept / (len(hidden) + 1)


def test_a_verdict_without_cases_is_explained_by_its_message() -> None:
    verdict = Verdict(status=Status.TIMEOUT, cases=(), message="too slow")
    assert explain(CLAMP, verdict) == "timeout: too slow"
