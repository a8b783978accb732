"""Agreement of an IR with code, by running it in the real sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.errors import SandboxError
from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.assertions import MAX_PROPERTY_INPUTS
from lift_sys.sandbox.base import Execution, Limits, Submission
from lift_sys.tasks import Case
from programs.agreement import Agreement, check_agreement
from programs.belief import Codes, Reliability, Votes

GOOD = "def double(x):\n    return 2 * x"
TWO = "def double(x):\n    return 2"
VISIBLE = (Case(args="(1,)", expected="2"),)


def ir(*derived: str, stated: tuple[str, ...] = ()) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="Doubles"),
        signature=FunctionSignature(name="double", parameters=(Parameter(name="x", type_hint=""),)),
        assertions=(
            *(Assertion(predicate=p, provenance="stated") for p in stated),
            *(Assertion(predicate=p) for p in derived),
        ),
    )


def counts(found: Agreement) -> tuple[int, int, int, int]:
    return found.stated_held, found.stated_total, found.derived_held, found.derived_total


@pytest.mark.parametrize(
    ("code", "assertions", "visible", "expected"),
    [
        (GOOD, ["double(3) == 6"], VISIBLE, (1, 1, 1, 1)),
        (TWO, ["double(3) == 6"], VISIBLE, (1, 1, 0, 1)),
        (TWO, ["double(3) == 6", "double(0) == 2"], (), (0, 0, 1, 2)),
        (GOOD, ["double(3) == 6", "double(4) == 9"], VISIBLE, (1, 1, 1, 2)),
        (GOOD, ["it doubles", "y == 2"], VISIBLE, (1, 1, 0, 0)),
        (GOOD, ["double(1) == 2"], VISIBLE, (1, 1, 0, 0)),
        (GOOD, ["result == x + x"], VISIBLE, (1, 1, 1, 1)),
        (TWO, ["result == x + x"], VISIBLE, (1, 1, 1, 1)),
        (TWO, ["result == x + x", "double(3) == 6"], VISIBLE, (1, 1, 0, 2)),
        (GOOD, ["result.nothing"], VISIBLE, (1, 1, 0, 0)),
        (GOOD, ["result == 2 * x"], (), (0, 0, 0, 0)),
        (GOOD, ["double(1) == 2.0"], (), (0, 0, 1, 1)),  # as Python's ``==`` says
        ("def other(): pass", ["double(3) == 6"], VISIBLE, (0, 1, 0, 1)),
        ("def double(x:", ["double(3) == 6", "result > 0"], VISIBLE, (0, 1, 0, 1)),
        (GOOD, [], (Case(args="(None,)", raises="TypeError"),), (1, 1, 0, 0)),
        (TWO, [], (Case(args="(None,)", raises="TypeError"),), (0, 1, 0, 0)),
        (GOOD, [], (), (0, 0, 0, 0)),
    ],
)
def test_what_held(
    sandbox: Sandbox,
    code: str,
    assertions: list[str],
    visible: tuple[Case, ...],
    expected: tuple[int, int, int, int],
) -> None:
    found = check_agreement(code, "double", ir(*assertions), visible, sandbox)
    assert counts(found) == expected
    held, total = expected[0] + expected[2], expected[1] + expected[3]
    assert len(found.broken) == total - held
    assert found.holds == (held == total > 0)


def test_the_broken_ones_are_named(sandbox: Sandbox) -> None:
    found = check_agreement(TWO, "double", ir("double(3) == 6", "result == 2*x"), VISIBLE, sandbox)
    assert found.broken == ("double(3) == 6", "result == 2 * x")


def test_stated_assertions_count_apart(sandbox: Sandbox) -> None:
    both = ir("double(5) == 11", stated=("double(4) == 8",))
    found = check_agreement(GOOD, "double", both, (), sandbox)
    assert counts(found) == (1, 1, 0, 1)
    assert found.rank == (True, 0.0)
    wrong = ir("double(5) == 10", stated=("double(4) == 9",))
    assert check_agreement(GOOD, "double", wrong, (), sandbox).rank == (False, 1.0)


def test_without_an_ir_the_visible_cases_decide(sandbox: Sandbox) -> None:
    assert check_agreement(GOOD, "double", None, VISIBLE, sandbox).holds
    assert not check_agreement("def double(x): return 0", "double", None, VISIBLE, sandbox).holds


RELIABLE = Reliability(
    standing=Codes(right=89, wrong=9),
    example=Votes(right_held=60, right_total=98, wrong_held=39, wrong_total=98),
)
"""Odds of 9 where all stated assertions hold; an example that holds is worth 61 : 40."""


def test_a_wrong_derived_assertion_cannot_veto_right_code(sandbox: Sandbox) -> None:
    wrong = ir("double(5) == 11")
    equal = check_agreement(GOOD, "double", wrong, VISIBLE, sandbox)
    weighed = check_agreement(GOOD, "double", wrong, VISIBLE, sandbox, RELIABLE)

    odds = 9 * 39 / 60
    assert (equal.posterior, equal.convinces(0.8)) == (None, False)
    assert weighed.posterior == pytest.approx(odds / (odds + 1))
    assert weighed.convinces(0.8)
    assert weighed.rank == (True, weighed.posterior)


def test_a_broken_stated_assertion_is_never_outvoted(sandbox: Sandbox) -> None:
    right = ir(*(f"double({n}) == 2" for n in range(2, 30)))
    found = check_agreement(
        TWO, "double", right, (Case(args="(3,)", expected="6"),), sandbox, RELIABLE
    )

    assert (found.derived_held, found.posterior, found.convinces(0.5)) == (28, 0.0, False)
    assert found.rank < check_agreement(GOOD, "double", None, (), sandbox, RELIABLE).rank


def test_what_convinces_depends_on_the_weights() -> None:
    assert Agreement(stated_total=1, stated_held=1).convinces(0.8)
    assert not Agreement(stated_total=1, stated_held=1, posterior=0.79).convinces(0.8)
    assert Agreement(derived_total=1, broken=("f(1) == 2",), posterior=0.8).convinces(0.8)


class Recorder:
    """Passes on to a sandbox and keeps what it was given."""

    description = "recorder"

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.submissions: list[Submission] = []

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        self.submissions.append(submission)
        return self.inner.execute(submission, limits)

    def close(self) -> None:
        """Leave the inner one open."""


def test_expected_values_do_not_enter_and_inputs_are_bounded(sandbox: Sandbox) -> None:
    recorder = Recorder(sandbox)
    examples = [f"double({n}) == {1000 + 2 * n}" for n in range(20)]
    check_agreement(GOOD, "double", ir("result >= x", *examples), VISIBLE, recorder)
    judged, properties = recorder.submissions
    assert "10" not in "".join(c.args for c in judged.calls).replace("(10,)", "")
    assert all(not c.predicates for c in judged.calls)
    assert len(properties.calls) == MAX_PROPERTY_INPUTS
    assert properties.parameters == ("x",)


def test_a_failing_sandbox_is_not_disagreement() -> None:
    class Broken(Recorder):
        def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
            raise SandboxError("no worker")

    inner: Any = None
    with pytest.raises(SandboxError, match="no worker"):
        check_agreement(GOOD, "double", ir("double(3) == 6"), VISIBLE, Broken(inner))
