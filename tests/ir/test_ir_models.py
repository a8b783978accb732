"""An IR survives JSON without loss, and what is not an IR of this release is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lift_sys.errors import IRError
from lift_sys.ir.models import (
    Assertion,
    Effect,
    FunctionSignature,
    Intent,
    Parameter,
    Scalar,
    SpecIR,
    TypedHole,
)

maybe = st.none() | st.text()
scalars: st.SearchStrategy[Scalar] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
signatures = st.builds(
    FunctionSignature,
    name=st.text(),
    parameters=st.lists(
        st.builds(Parameter, name=st.text(), type_hint=st.text(), description=maybe), max_size=3
    ).map(tuple),
    returns=maybe,
)
effects = st.builds(
    Effect,
    description=st.text(),
    implementation_hint=maybe,
    return_values=st.none() | st.lists(scalars, max_size=4).map(tuple),
    order_constraint=maybe,
)
assertions = st.builds(
    Assertion,
    predicate=st.text(),
    rationale=maybe,
    provenance=st.sampled_from(["stated", "derived"]),
)
holes = st.builds(
    TypedHole, identifier=st.text(), type_hint=st.text(), description=st.text(), kind=st.text()
)
irs = st.builds(
    SpecIR,
    intent=st.builds(Intent, summary=st.text(), rationale=maybe),
    signature=signatures,
    effects=st.lists(effects, max_size=3).map(tuple),
    assertions=st.lists(assertions, max_size=3).map(tuple),
    holes=st.lists(holes, max_size=2).map(tuple),
)

SMALL = SpecIR(
    intent=Intent(summary="Doubles"),
    signature=FunctionSignature(
        name="double", parameters=(Parameter(name="x", type_hint="int"),), returns="int"
    ),
    effects=(Effect(description="return twice x", return_values=(None, True, 1, 1.0, "1")),),
    assertions=(Assertion(predicate="double(2) == 4", provenance="stated"),),
)


@given(irs, st.sampled_from([None, 2]))
def test_json_loses_nothing(ir: SpecIR, indent: int | None) -> None:
    back = SpecIR.from_json(ir.to_json(indent=indent))
    assert back == ir
    assert repr(back) == repr(ir)  # equality alone takes True for 1 and 1.0
    assert back.content_hash == ir.content_hash


@given(irs)
def test_json_is_standard_json(ir: SpecIR) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    json.loads(ir.to_json(), parse_constant=refuse)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_cannot_carry_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Effect(description="", return_values=(value,))


def test_scalars_keep_their_types() -> None:
    values = SpecIR.from_json(SMALL.to_json()).effects[0].return_values or ()
    assert [type(v) for v in values] == [type(None), bool, int, float, str]


def _changed(change: dict[str, Any]) -> str:
    return json.dumps(SMALL.model_dump(mode="json") | change)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_changed({"schema_version": 2}), "schema_version.*version 2 .*upgrade lift-sys"),
        (_changed({"schema_version": 0}), "schema_version.*version 0"),
        (_changed({"extra": 1}), "extra: Extra inputs are not permitted"),
        (_changed({"intent": {"summary": "s", "why": "?"}}), "intent.why: Extra inputs"),
        (_changed({"assertions": [{"predicate": 3}]}), r"assertions\.0\.predicate"),
        (_changed({"assertions": [{"predicate": "", "provenance": "guessed"}]}), "provenance"),
        ('{"intent": {"summary": "s"}}', "signature: Field required"),
        (SMALL.to_json()[:-5], "the document: Invalid JSON"),
        ("[]", "the document: "),
        ("", "the document: Invalid JSON"),
        ("[" * 100_000, "the document: "),
    ],
)
def test_what_is_not_an_ir_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(IRError, match=says) as caught:
        SpecIR.from_json(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("cannot read the IR: ")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(IRError, match="cannot read the IR"):
        SpecIR.from_json(b"\xff\xfe")


def test_an_ir_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SMALL.intent.summary = "other"


def test_the_hash_follows_the_content() -> None:
    other = SMALL.model_copy(update={"intent": Intent(summary="Doubles", rationale="asked")})
    assert other.content_hash != SMALL.content_hash
    assert SpecIR.from_json(SMALL.to_json()).content_hash == SMALL.content_hash


@pytest.mark.parametrize(
    ("parameters", "returns", "rendered"),
    [
        ((), None, "f()"),
        ((("a", "int"), ("b", "list[str]")), "bool", "f(a: int, b: list[str]) -> bool"),
        ((("a", "Any"),), "Any", "f(a)"),
        ((("a", "int"), ("b", "Any")), "None", "f(a: int, b) -> None"),
    ],
)
def test_a_signature_reads_as_python(
    parameters: tuple[tuple[str, str], ...], returns: str | None, rendered: str
) -> None:
    signature = FunctionSignature(
        name="f",
        parameters=tuple(Parameter(name=n, type_hint=h) for n, h in parameters),
        returns=returns,
    )
    assert signature.render() == rendered
