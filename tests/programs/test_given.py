"""A given IR stands in for the IR stages: nobody asks them, and the code stage reads it."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.record import digest
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case
from programs.given import GivenIR
from programs.hypers import set_hypers
from programs.presets import make_program

SPEC = "Return the double of x."
GOLD = SpecIR(
    intent=Intent(summary="Doubles x"),
    signature=FunctionSignature(name="double", parameters=(Parameter(name="x", type_hint="int"),)),
    effects=(Effect(description="the golden effect"),),
    assertions=(Assertion(predicate="double(3) == 6"),),
)


@pytest.mark.parametrize("hypers", [{}, {"reason": True, "refine_iterations": 2}])
def test_only_the_code_stage_is_asked(sandbox: Sandbox, hypers: dict[str, Any]) -> None:
    engine = ScriptedEngine(["```python\ndef double(x):\n    return 2 * x\n```"])
    lm = dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)
    program = make_program("single", sandbox)
    set_hypers(program, hypers)

    with dspy.context(lm=lm):
        answer = GivenIR(program, {SPEC: GOLD})(
            spec=SPEC, entry_point="double", visible=(Case(args="(1,)", expected="2"),)
        )

    (request,) = engine.bodies
    assert "the golden effect" in str(request["messages"])
    assert [a.provenance for a in answer.ir.assertions] == ["stated", "derived"]
    assert answer.attempts[0].agreement.derived_held == 1
    assert answer.code.endswith("return 2 * x")


def test_it_is_another_program_than_the_one_inside(sandbox: Sandbox) -> None:
    program = make_program("single", sandbox)

    assert digest(GivenIR(program, {}).dump_state()) != digest(program.dump_state())
