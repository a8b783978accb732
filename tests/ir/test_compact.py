"""The compact forms: what they carry comes back, and signatures are read as models write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lift_sys.errors import IRError
from lift_sys.ir.compact import (
    CompactChecksIR,
    CompactIR,
    StructuredCompactIR,
    compact_key,
    pack,
    unpack,
)
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.ir.schema import ChecksWireIR, StructuredWireIR, WireIR, from_wire, to_wire

HINTS = ["int", "str", "list[int]", "dict[str, int]", "int | None", "tuple[int, ...]", "Any"]
PAIRS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (WireIR, CompactIR),
    (StructuredWireIR, StructuredCompactIR),
    (ChecksWireIR, CompactChecksIR),
]

texts = st.text(min_size=1).map(lambda text: "t" + text.rstrip())
names = st.from_regex(r"[a-z]{1,3}[0-9]{0,2}_", fullmatch=True)
effects = st.builds(
    Effect,
    description=texts,
    implementation_hint=st.none() | texts,
    return_values=st.none() | st.tuples(st.integers() | st.text() | st.none()),
    order_constraint=st.none() | texts,
)


def irs(effects: st.SearchStrategy[Effect]) -> st.SearchStrategy[SpecIR]:
    """Return IRs of which the compact wire carries all but the summary."""
    parameters = st.lists(
        st.builds(Parameter, name=names, type_hint=st.sampled_from(HINTS)),
        max_size=8,
        unique_by=lambda p: p.name,
    )
    return st.builds(
        SpecIR,
        intent=st.just(Intent(summary="s")),
        signature=st.builds(
            FunctionSignature,
            name=st.just("f"),
            parameters=parameters.map(tuple),
            returns=st.sampled_from(HINTS),
        ),
        effects=st.lists(effects, max_size=8).map(tuple),
        assertions=st.lists(
            st.builds(Assertion, predicate=texts), max_size=5, unique_by=lambda a: a.predicate
        ).map(tuple),
    )


def there_and_back(ir: SpecIR, form: type[BaseModel], **changed: Any) -> SpecIR:
    """Send an IR over a compact wire."""
    sent = form.model_validate(pack({**to_wire(ir).model_dump(), **changed}, "f"))
    fields = unpack(form.model_validate_json(sent.model_dump_json()).model_dump())
    wire = StructuredWireIR if form is StructuredCompactIR else WireIR
    return from_wire(wire.model_validate({"summary": "s"} | fields), "f")


@given(irs(st.builds(Effect, description=texts)))
def test_the_compact_wire_carries_an_ir_there_and_back(ir: SpecIR) -> None:
    assert there_and_back(ir, CompactIR, effects=[e.description for e in ir.effects]) == ir


@given(irs(effects))
def test_the_compact_wire_carries_structure_there_and_back(ir: SpecIR) -> None:
    assert there_and_back(ir, StructuredCompactIR) == ir


@pytest.mark.parametrize(("wire", "compact"), PAIRS)
def test_a_compact_form_has_every_field_but_the_summary(
    wire: type[BaseModel], compact: type[BaseModel]
) -> None:
    carried = [key for key in wire.model_fields if key != "summary"]
    assert list(dict.fromkeys(compact_key(key) for key in carried)) == list(compact.model_fields)
    empty = unpack({"signature": "f()"} | {k: [] for k in list(compact.model_fields)[1:]})
    assert list(empty) == carried


@pytest.mark.parametrize(
    ("parameters", "returns", "signature"),
    [
        (["a: int", "b: list[str]"], "bool", "f(a: int, b: list[str]) -> bool"),
        (["a: Any"], "Any", "f(a)"),
        ([], "None", "f() -> None"),
    ],
)
def test_a_signature_is_written_as_python(
    parameters: list[str], returns: str, signature: str
) -> None:
    assert pack({"parameters": parameters, "returns": returns}, "f") == {"signature": signature}


@pytest.mark.parametrize(
    ("signature", "parameters", "returns"),
    [
        ("f(a: int, b: str = ',') -> bool", ["a: int", "b: str"], "bool"),
        ("def f(a, *, k=1, **kw) -> list[int]:", ["a", "k", "kw"], "list[int]"),
        ("`f(a, *rest: int, k)`", ["a", "rest: int", "k"], "Any"),
        ("f(a: list of ints, b) -> text", ["a: list of ints", "b"], "text"),
        ("f(a: list of (int, str), b: x y)", ["a: list of (int, str)", "b: x y"], "Any"),
        ("f(a: int): bool", ["a: int"], "bool"),
        ("f(a: int) bool", ["a: int"], "bool"),
        ("a: int, b: str -> bool", ["a: int", "b: str"], "bool"),
        ("f(a: int, b", ["a: int", "b"], "Any"),
        ("f() -> (int, str)", [], "(int, str)"),
        ("f", [], "Any"),
        ("-> int", [], "int"),
        ("", [], "Any"),
        ("class f: pass", ["class f: pass"], "Any"),
        ("f(\x00)", ["\x00"], "Any"),
    ],
)
def test_a_signature_is_read_as_far_as_it_tells(
    signature: str, parameters: list[str], returns: str
) -> None:
    assert unpack({"signature": signature}) == {"parameters": parameters, "returns": returns}


@given(st.text() | st.text(alphabet="f(a: int,)[]-> =*\"'", max_size=30))
def test_no_signature_makes_reading_fail_other_than_as_an_ir_error(signature: str) -> None:
    fields = {"summary": "", "effects": [], "assertions": []} | unpack({"signature": signature})
    try:
        wire = WireIR.model_construct(None, **fields)
        ir = from_wire(wire, "f")
    except IRError as error:
        assert "parameter" in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert all(p.name.isidentifier() for p in ir.signature.parameters)
