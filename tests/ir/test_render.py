"""The Markdown of an IR holds all of it that a model may read and nothing that is empty."""

from __future__ import annotations

from lift_sys.ir.models import (
    Assertion,
    Effect,
    FunctionSignature,
    Intent,
    Parameter,
    SpecIR,
    TypedHole,
)
from lift_sys.ir.render import render

FULL = SpecIR(
    intent=Intent(summary="Price a parcel", rationale="the shop asks"),
    signature=FunctionSignature(
        name="cost",
        parameters=(
            Parameter(name="kg", type_hint="float", description="weight in kilograms"),
            Parameter(name="fast", type_hint="bool"),
        ),
        returns="int",
    ),
    effects=(
        Effect(
            description="refuse what is too heavy",
            implementation_hint="compare with 20",
            return_values=(-1, None, "no"),
            order_constraint="before the price",
        ),
        Effect(description="return the price"),
    ),
    assertions=(
        Assertion(predicate="cost(1, False) == 4", rationale="the lightest"),
        Assertion(predicate="cost(21, False) == -1"),
    ),
    holes=(TypedHole(identifier="VAT", type_hint="float", description="the rate", kind="value"),),
)


def test_everything_but_holes_is_shown_in_order() -> None:
    assert render(FULL) == (
        "**Intent**: Price a parcel (the shop asks)\n"
        "\n"
        "**Signature**: `cost(kg: float, fast: bool) -> int`\n"
        "- `kg`: weight in kilograms\n"
        "\n"
        "**Effects**\n"
        "1. refuse what is too heavy How: compare with 20. Returns exactly: -1, None, 'no'. "
        "Order: before the price.\n"
        "2. return the price\n"
        "\n"
        "**Assertions**\n"
        "- `cost(1, False) == 4`: the lightest\n"
        "- `cost(21, False) == -1`"
    )


def test_what_is_empty_leaves_no_heading() -> None:
    ir = SpecIR(intent=Intent(summary="Nothing"), signature=FunctionSignature(name="f"))
    assert render(ir) == "**Intent**: Nothing\n\n**Signature**: `f()`"
