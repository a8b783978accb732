"""What the candidates of one answer share: what was executed for one is known for the others."""

from __future__ import annotations

import dspy

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox.base import Execution, Limits, Sandbox, Submission
from programs.hypers import set_hypers
from programs.presets import make_program

SPEC = "Return the double of x: double(1) == 2."
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x\n```"
WORSE = "```python\ndef double(x):\n    return x + 5\n```"


class Counting:
    """A sandbox that keeps what it was asked."""

    description = "counts"

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.asked: list[Submission] = []

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        self.asked.append(submission)
        return self.inner.execute(submission, limits)

    def close(self) -> None:
        """Leave the sandbox behind it open."""


def executed(sandbox: Sandbox, codes: list[str], *, calls: int = 1) -> list[Submission]:
    """Return what is executed while ``adaptive`` draws these codes, every time it is called."""
    counting = Counting(sandbox)
    program = make_program("adaptive", counting)
    set_hypers(program, {"ir_detail": "none", "n": len(codes)})
    engine = ScriptedEngine(codes * calls)
    with dspy.context(lm=dspy.LM("local/s", engine=engine, cache=False, num_retries=0)):
        for _ in range(calls):
            program(spec=SPEC, entry_point="double")
    return counting.asked


def test_code_that_was_drawn_before_is_not_executed_again(sandbox: Sandbox) -> None:
    asked = executed(sandbox, [WRONG, WORSE, WRONG, WRONG])
    assert len(asked) == len(set(asked)) == 2


def test_what_one_answer_executed_is_forgotten_with_it(sandbox: Sandbox) -> None:
    asked = executed(sandbox, [WRONG, WORSE], calls=2)
    assert len(asked) == 4
    assert asked[:2] == asked[2:]


def test_the_candidate_that_is_right_ends_the_executions(sandbox: Sandbox) -> None:
    asked = executed(sandbox, [WRONG, RIGHT, WORSE])
    assert ["return 2 * x" in submission.code for submission in asked] == [False, True]
