"""The wire form: what it carries comes back, and its schema is one that every decoder enforces."""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lift_sys.errors import IRError
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.ir.schema import WireCritique, WireIR, from_wire, to_wire, wire_schema
from programs.signatures import CritiqueIR, RefineIR, WriteIR

SAFE = {"type", "properties", "required", "additionalProperties", "items", "maxItems"}
"""Keywords that llama.cpp and XGrammar both enforce."""

HINTS = ["int", "str", "list[int]", "dict[str, int]", "int | None", "tuple[int, ...]", "Any"]
sentences = st.text(min_size=1).filter(lambda t: t == t.strip() and t[0].isalpha())
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda n: not iskeyword(n))


def _keywords(schema: Any) -> set[str]:
    """Return every keyword of a schema; names of properties are not keywords."""
    found = set(schema)
    for prop in schema.get("properties", {}).values():
        found |= _keywords(prop)
    if "items" in schema:
        found |= _keywords(schema["items"])
    return found


@pytest.mark.parametrize("wire", [WireIR, WireCritique])
def test_the_schema_stays_in_the_safe_subset(wire: type[BaseModel]) -> None:
    schema = wire_schema(wire)
    assert _keywords(schema) <= SAFE
    assert schema["type"] == "object"
    assert schema["required"] == list(schema["properties"]) == list(wire.model_fields)
    assert schema["additionalProperties"] is False
    for prop in schema["properties"].values():
        assert prop["type"] in {"string", "array", "integer"}
        assert (prop["type"] == "array") == ("maxItems" in prop)


@pytest.mark.parametrize(
    ("wire", "signature"), [(WireIR, WriteIR), (WireIR, RefineIR), (WireCritique, CritiqueIR)]
)
def test_the_schema_has_the_fields_of_the_signature(wire: type[BaseModel], signature: Any) -> None:
    outputs = signature.output_fields
    assert list(wire_schema(wire)["properties"]) == list(outputs)
    kinds = {"string": str, "integer": int, "array": list[str]}
    for name, prop in wire_schema(wire)["properties"].items():
        assert outputs[name].annotation == kinds[prop["type"]]


@given(
    st.builds(
        SpecIR,
        intent=st.builds(Intent, summary=sentences),
        signature=st.builds(
            FunctionSignature,
            name=st.just("f"),
            parameters=st.lists(
                st.builds(Parameter, name=names, type_hint=st.sampled_from(HINTS)),
                max_size=8,
                unique_by=lambda p: p.name,
            ).map(tuple),
            returns=st.sampled_from(HINTS),
        ),
        effects=st.lists(st.builds(Effect, description=sentences), max_size=8).map(tuple),
        assertions=st.lists(
            st.builds(Assertion, predicate=sentences), max_size=5, unique_by=lambda a: a.predicate
        ).map(tuple),
    )
)
def test_the_wire_carries_an_ir_there_and_back(ir: SpecIR) -> None:
    wire = to_wire(ir)
    assert from_wire(WireIR.model_validate_json(wire.model_dump_json()), "f") == ir


def test_what_a_model_adds_is_tidied() -> None:
    wire = WireIR(
        summary=" Adds. ",
        parameters=["`a`: integer", "b (optional): list of integers = []", "", "*rest: int"],
        returns="a string",
        effects=["1. add", "- return", "", "2 is special"],
        assertions=[" f(1) == 2 ", "f(1) == 2", ""],
    )
    ir = from_wire(wire, "f")
    assert ir.intent.summary == "Adds."
    hints = [(p.name, p.type_hint) for p in ir.signature.parameters]
    assert hints == [("a", "int"), ("b", "list[int]"), ("rest", "int")]
    assert ir.signature.returns == "str"
    assert [e.description for e in ir.effects] == ["add", "return", "2 is special"]
    assert [(a.predicate, a.provenance) for a in ir.assertions] == [("f(1) == 2", "derived")]


def test_more_than_the_wire_carries_is_cut_to_what_the_schema_allows() -> None:
    ir = SpecIR(
        intent=Intent(summary="s"),
        signature=FunctionSignature(
            name="f", parameters=tuple(Parameter(name=f"p{i}", type_hint="int") for i in range(9))
        ),
        effects=tuple(Effect(description=str(i)) for i in range(20)),
        assertions=tuple(Assertion(predicate=f"f({i})") for i in range(20)),
    )
    wire = to_wire(ir)
    WireIR.model_validate(wire.model_dump())
    assert wire.returns == "Any"
    for name, prop in wire_schema(WireIR)["properties"].items():
        if "maxItems" in prop:
            assert len(getattr(wire, name)) == prop["maxItems"]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (["a: int", "a: str"], "names a parameter twice: a, a"),
        (["the first number: int"], "parameter without a name: 'the first number: int'"),
        ([": int"], "without a name"),
    ],
)
def test_unusable_parameters_are_an_ir_error(parameters: list[str], says: str) -> None:
    wire = WireIR(summary="", parameters=parameters, returns="", effects=[], assertions=[])
    with pytest.raises(IRError, match=says):
        from_wire(wire, "f")
