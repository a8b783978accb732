"""What a rule may ask for is executed once."""

from __future__ import annotations

from lift_sys.sandbox.base import Call, Execution, Limits, Submission
from lift_sys.verdict import Status
from programs.attempts import Attempt, Remembering, usable


class Counting:
    description = "counts"

    def __init__(self) -> None:
        self.asked: list[tuple[Submission, Limits | None]] = []
        self.closed = False

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        self.asked.append((submission, limits))
        return Execution(status=Status.PASSED, outcomes=())

    def close(self) -> None:
        self.closed = True


def test_equal_submissions_are_executed_once() -> None:
    inner = Counting()
    sandbox = Remembering(inner)
    short, long = Limits(call_seconds=1), Limits(call_seconds=2)
    for limits in (None, short, long, None, short):
        for args in ("(1,)", "(2,)", "(1,)"):
            calls = (Call(args=args),)
            sandbox.execute(Submission(code="c", entry_point="f", calls=calls), limits)

    assert len(inner.asked) == len(set(inner.asked)) == 6
    assert sandbox.description == "counts"
    sandbox.close()
    assert not inner.closed


def test_failed_attempts_are_not_usable() -> None:
    attempts = [Attempt(index=0, failure="cut off"), Attempt(index=1, code="c"), Attempt(index=2)]
    assert [a.index for a in usable(attempts)] == [1, 2]
