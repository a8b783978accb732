"""The metric: run the code on the hidden cases.

Owns how a verdict becomes a ``Score``. ``passed`` means every hidden case passed; the value is the
share of them that did. A failure of the sandbox raises and is never a score.

A task that was imported with assert-style tests may have *weak tests* beside its cases. They count
as one case more, and run beside the code under test, which could forge their success: such a score
tells honest code from wrong code, but is no proof against hostile code. ``Task.strong`` tells which
tasks are free of them.
"""

from __future__ import annotations

from lift_sys.sandbox import judge, judge_test_code
from lift_sys.sandbox.base import Limits, Sandbox
from lift_sys.tasks import ConvertedTest, Task
from lift_sys.verdict import CaseResult, Score, Status, Verdict
from metrics.failures import classify


def score_code(
    task: Task,
    code: str | None,
    failure: str | None,
    sandbox: Sandbox,
    limits: Limits | None = None,
) -> Score:
    """Score an answer to a task.

    Args:
        task: With its hidden cases and weak tests.
        code: The answer, or ``None`` if the program gave none.
        failure: Why it gave none.
        sandbox: Where the code runs.
        limits: What the code may use.

    Raises:
        SandboxError: The sandbox failed; nothing was scored.
    """
    if code is None:
        reason = failure or "the program gave no code"
        return Score(
            value=0.0,
            passed=False,
            status=None,
            feedback=f"No code: {reason}.",
            category=classify(task, None, failure, None),
        )
    verdict = _judged(task, code, sandbox, limits)
    return Score(
        value=verdict.fraction,
        passed=verdict.passed,
        status=verdict.status,
        feedback=explain(task, verdict),
        category=classify(task, code, failure, verdict),
    )


def _judged(task: Task, code: str, sandbox: Sandbox, limits: Limits | None) -> Verdict:
    if task.weak_tests is None:
        return judge(sandbox, code, task.entry_point, task.hidden, limits)
    test = ConvertedTest(cases=task.hidden, weak_code=task.weak_tests, weak_count=task.weak_count)
    return judge_test_code(sandbox, code, task.entry_point, test, limits)


def explain(task: Task, verdict: Verdict) -> str:
    """Return feedback that names the first failing case: input, expected and actual."""
    if verdict.passed:
        return f"All {len(verdict.cases)} hidden cases passed."
    failing = next((c for c in verdict.cases if c.status is not Status.PASSED), None)
    if failing is None:
        return f"{verdict.status}: {verdict.message}"
    passed = sum(c.status is Status.PASSED for c in verdict.cases)
    return (
        f"{passed} of {len(verdict.cases)} hidden cases passed. First failure ({failing.status}): "
        f"{_case_text(task, failing)}"
    )


def _case_text(task: Task, result: CaseResult) -> str:
    if result.index == len(task.hidden):
        return f"the assert-style tests of {task.entry_point} fail: {result.message}."
    case = task.hidden[result.index]
    wanted = f"raise {case.raises}" if case.raises else f"give {case.expected}"
    got = result.actual if result.actual is not None else result.message or str(result.status)
    if case.args_after is not None:
        wanted += f" and leave the arguments as {case.args_after}"
        got += f" ({result.message})"
    return f"{task.entry_point}{case.args} should {wanted} but gave {got}."
