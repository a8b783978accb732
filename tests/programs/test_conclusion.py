"""Choosing again among drawn candidates once a question is answered."""

from __future__ import annotations

import pytest

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, TaskView
from programs.agreement import check_agreement
from programs.attempts import Attempt, Draw
from programs.conclusion import choose_again, conclude
from programs.select import RULES

IR = SpecIR(
    intent=Intent(summary="s"),
    signature=FunctionSignature(name="f", parameters=(Parameter(name="x", type_hint="int"),)),
    assertions=(Assertion(predicate="f(0) == 0"), Assertion(predicate="f(2) == 4")),
)
DOUBLE, SQUARE = "def f(x):\n    return 2 * x", "def f(x):\n    return x * x"
NEW = (Case(args="(3,)", expected="9"),)


def attempts(sandbox: Sandbox, *codes: str | None) -> list[Attempt]:
    return [
        Attempt(index=i, failure="cut off")
        if code is None
        else Attempt(
            index=i, code=code, ir=IR, agreement=check_agreement(code, "f", IR, (), sandbox)
        )
        for i, code in enumerate(codes)
    ]


def draw(sandbox: Sandbox, visible: tuple[Case, ...] = ()) -> Draw:
    return Draw(TaskView(spec="Do it.", entry_point="f", visible=visible), 3, sandbox)


@pytest.mark.parametrize("rule", ["assertions", "agreement"])
def test_the_candidate_that_satisfies_the_answer_is_taken(sandbox: Sandbox, rule: str) -> None:
    drawn = attempts(sandbox, None, DOUBLE, DOUBLE, SQUARE)
    before = RULES[rule].choose(drawn, draw(sandbox))
    made = choose_again(drawn, NEW, RULES[rule], draw(sandbox, NEW))

    assert before.code == DOUBLE
    assert made is not None
    assert made.code == SQUARE
    assert made.ir.assertions[0] == Assertion(predicate="f(3) == 9", provenance="stated")
    chosen = made.attempts[3].agreement
    assert (chosen.stated_held, chosen.stated_total, chosen.derived_held) == (1, 1, 2)
    assert made.attempts[1].agreement.broken == ("f(3) == 9",)


def test_no_candidate_satisfies_it(sandbox: Sandbox) -> None:
    for codes in ((DOUBLE,), (None,)):
        drawn = attempts(sandbox, *codes)
        assert choose_again(drawn, NEW, RULES["first"], draw(sandbox, NEW)) is None


def test_a_prediction_carries_its_questions(sandbox: Sandbox) -> None:
    drawn = attempts(sandbox, DOUBLE, SQUARE)
    made = conclude(drawn[0], drawn, draw(sandbox))

    assert made.holes
    assert made.ir.holes == made.holes
    assert (made.code, made.entry_point, made.failure) == (DOUBLE, "f", None)
