"""The wire forms: what they carry comes back, and their schemas are enforced by every decoder."""

from __future__ import annotations

from keyword import iskeyword
from typing import Any, get_type_hints

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from lift_sys.errors import IRError
from lift_sys.ir.compact import CompactChecksIR, CompactEffect, CompactIR, StructuredCompactIR
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.ir.schema import (
    PARAMETER_PATTERN,
    ChecksWireIR,
    StructuredWireIR,
    WireCritique,
    WireEffect,
    WireIR,
    WireIssue,
    from_wire,
    to_wire,
    wire_schema,
    with_most,
)
from programs.forms import ir_form
from programs.signatures import CritiqueIR, RefineIR, WriteIR

SAFE = {"type", "properties", "required", "additionalProperties", "items", "maxItems", "enum"}
"""Keywords that llama.cpp and XGrammar both enforce; they do the pattern of a parameter as well."""

HINTS = ["int", "str", "list[int]", "dict[str, int]", "int | None", "tuple[int, ...]", "Any"]
sentences = st.builds(
    lambda start, rest: start + rest.rstrip(), st.characters(categories=["L"]), st.text()
)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda n: not iskeyword(n))


def _keywords(schema: Any) -> set[str]:
    """Return every keyword of a schema; names of properties are not keywords."""
    found = set(schema)
    for prop in schema.get("properties", {}).values():
        found |= _keywords(prop)
    if "items" in schema:
        found |= _keywords(schema["items"])
    return found


def _objects(schema: Any) -> list[Any]:
    """Return a schema of an object and those of the objects in its lists."""
    items = [prop["items"] for prop in schema["properties"].values() if "items" in prop]
    return [schema, *(o for item in items if item["type"] == "object" for o in _objects(item))]


@pytest.mark.parametrize(
    ("wire", "inside"),
    [
        (WireIR, []),
        (StructuredWireIR, [WireEffect]),
        (ChecksWireIR, []),
        (CompactIR, []),
        (StructuredCompactIR, [CompactEffect]),
        (CompactChecksIR, []),
        (WireCritique, [WireIssue]),
    ],
)
def test_the_schema_stays_in_the_safe_subset(
    wire: type[BaseModel], inside: list[type[BaseModel]]
) -> None:
    schema = wire_schema(wire)
    parameters = schema["properties"].get("parameters")
    if parameters:
        assert parameters["items"].pop("pattern") == PARAMETER_PATTERN
    assert _keywords(schema) <= SAFE
    for part, model in zip(_objects(schema), [wire, *inside], strict=True):
        assert part["type"] == "object"
        assert part["required"] == list(part["properties"]) == list(model.model_fields)
        assert part["additionalProperties"] is False
        for prop in part["properties"].values():
            assert prop["type"] in {"string", "array", "integer"}
            assert (prop["type"] == "array") == ("maxItems" in prop)


@pytest.mark.parametrize(
    ("wire", "signature"),
    [
        (WireIR, WriteIR),
        (WireIR, RefineIR),
        (StructuredWireIR, ir_form("structured").signature(WriteIR)),
        (StructuredWireIR, ir_form("structured").signature(RefineIR)),
        (ChecksWireIR, ir_form("checks").signature(WriteIR)),
        (ChecksWireIR, ir_form("checks").signature(RefineIR)),
        (WireCritique, CritiqueIR),
    ],
)
def test_the_schema_has_the_fields_of_the_signature(wire: type[BaseModel], signature: Any) -> None:
    outputs = signature.output_fields
    assert list(wire_schema(wire)["properties"]) == list(outputs)
    hints = get_type_hints(wire)
    assert [outputs[name].annotation for name in outputs] == [hints[name] for name in outputs]


def irs(effects: st.SearchStrategy[Effect]) -> st.SearchStrategy[SpecIR]:
    """Return IRs of which the wire carries all but, perhaps, the effects."""
    return st.builds(
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
        effects=st.lists(effects, max_size=8).map(tuple),
        assertions=st.lists(
            st.builds(Assertion, predicate=sentences), max_size=5, unique_by=lambda a: a.predicate
        ).map(tuple),
    )


@given(irs(st.builds(Effect, description=sentences)))
def test_the_wire_carries_an_ir_there_and_back(ir: SpecIR) -> None:
    wire = WireIR(
        **to_wire(ir).model_dump(exclude={"effects"}), effects=[e.description for e in ir.effects]
    )
    assert from_wire(WireIR.model_validate_json(wire.model_dump_json()), "f") == ir


scalars = (
    st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
)
structured = st.builds(
    Effect,
    description=sentences,
    implementation_hint=st.none() | sentences,
    return_values=st.none() | st.lists(scalars | st.none(), min_size=1, max_size=6).map(tuple),
    order_constraint=st.none() | sentences,
)


@given(irs(structured))
def test_the_structured_wire_carries_every_effect_there_and_back(ir: SpecIR) -> None:
    wire = StructuredWireIR.model_validate_json(to_wire(ir).model_dump_json())
    back = from_wire(wire, "f")
    assert back == ir
    for effect, same in zip(ir.effects, back.effects, strict=True):
        assert repr(effect.return_values) == repr(same.return_values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'too short'", ("too short",)),
        ("too short", ("too short",)),
        ("north", ("north",)),
        ("-1", (-1,)),
        ("2.5", (2.5,)),
        ("True", (True,)),
        ("None", (None,)),
        (" 'x' ", ("x",)),
        ("", None),
        ("x", None),
        ("2 * x", None),
        ("len(x)", None),
        ("[1, 2]", None),
        ("(1,)", None),
        ("b'a'", None),
        ("float('nan')", None),
        ("1e999", None),
        ("'\\ud800'", None),
        ("2j", None),
    ],
)
def test_a_return_value_is_a_literal_or_left_out(text: str, values: Any) -> None:
    effect = WireEffect(
        description="1. return it",
        implementation_hint=" ",
        return_values=[text],
        order_constraint="",
    )
    wire = StructuredWireIR(
        summary="s", parameters=["x: int"], returns="str", effects=[effect], assertions=[]
    )
    (found,) = from_wire(wire, "f").effects
    assert found == Effect(description="return it", return_values=values)
    assert repr(found.return_values) == repr(values)


def test_what_a_model_adds_is_tidied() -> None:
    wire = WireIR(
        summary=" Adds. ",
        parameters=[
            "`a`: integer",
            "b (optional): list of integers = []",
            "",
            "*rest: int",
            "`a`: integer ",
        ],
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
        effects=tuple(
            Effect(description=str(i), return_values=tuple(range(20))) for i in range(20)
        ),
        assertions=tuple(Assertion(predicate=f"f({i})") for i in range(20)),
    )
    wire = to_wire(ir)
    StructuredWireIR.model_validate(wire.model_dump())
    assert wire.returns == "Any"
    assert len(wire.effects[0].return_values) == 6
    for name, prop in wire_schema(StructuredWireIR)["properties"].items():
        if "maxItems" in prop:
            assert len(getattr(wire, name)) == prop["maxItems"]


@pytest.mark.parametrize("wire", [WireIR, StructuredWireIR, ChecksWireIR])
def test_a_limit_changes_one_number_of_the_schema(wire: type[BaseModel]) -> None:
    before, after = wire_schema(wire), wire_schema(with_most(wire, "assertions", 3))
    assert after["properties"]["assertions"].pop("maxItems") == 3
    assert before["properties"]["assertions"].pop("maxItems") == 5
    assert after == before


@given(st.from_regex(PARAMETER_PATTERN[1:-1], fullmatch=True))
def test_what_the_pattern_lets_a_model_write_is_a_parameter(text: str) -> None:
    assume(not iskeyword(text.partition(":")[0]))
    wire = WireIR(summary="", parameters=[text], returns="", effects=[], assertions=[])
    (parameter,) = from_wire(wire, "f").signature.parameters
    assert parameter.name == text.partition(":")[0]


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
