"""Running assertions on code in the real sandbox; tests/programs/test_agreement.py counts them."""

from __future__ import annotations

from lift_sys.ir.lint import Kind
from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.assertions import Held, held_assertions
from lift_sys.tasks import Case


def test_each_is_told_once_with_where_it_comes_from_what_it_is_and_whether_it_held(
    sandbox: Sandbox,
) -> None:
    ir = SpecIR(
        intent=Intent(summary="Doubles"),
        signature=FunctionSignature(
            name="double", parameters=(Parameter(name="x", type_hint="int"),)
        ),
        assertions=(
            Assertion(predicate="double(1) == 2", provenance="stated"),
            Assertion(predicate="it doubles"),
            Assertion(predicate="result > x"),
            Assertion(predicate="assert double(1) == 2"),
            Assertion(predicate="double(4) == 9"),
            Assertion(predicate="double(2) == 4", provenance="stated"),
            Assertion(predicate="double(2)==4"),
        ),
    )

    held = held_assertions(
        "def double(x): return 2 * x",
        "double",
        ir,
        (Case(args="(1,)", expected="2"), Case(args="(0,)", expected="1")),
        sandbox,
    )

    assert held == [
        Held("stated", "double(1) == 2", True, Kind.EXAMPLE),
        Held("stated", "double(0) == 1", False, Kind.EXAMPLE, "expected 1, got 0"),
        Held("derived", "double(4) == 9", False, Kind.EXAMPLE, "expected 9, got 8"),
        Held("stated", "double(2) == 4", True, Kind.EXAMPLE),
        Held("derived", "result > x", False, Kind.PROPERTY, "false of the arguments (0,), got 0"),
    ]
