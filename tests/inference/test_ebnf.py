"""Which schemas our grammar takes; what it allows is in ``tests/ir/test_xgrammar``."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.inference.ebnf import ebnf_of
from tests.ir.schemas import TEXT, TRANSLATED, closed

OTHERS: dict[str, Any] = {
    "nothing": {},
    "anything": True,
    "number": {"type": "number"},
    "two types": {"type": ["string", "null"]},
    "reference": {"$ref": "#/$defs/x", "$defs": {"x": TEXT}},
    "bounded text": {**TEXT, "maxLength": 3},
    "endless list": {"type": "array", "items": TEXT},
    "empty list": {"type": "array", "items": TEXT, "maxItems": 0},
    "no fewer": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2},
    "list of numbers": {"type": "array", "items": {"type": "number"}, "maxItems": 2},
    "open object": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
    "optional": {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
    "no properties": {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize("schema", OTHERS.values(), ids=OTHERS)
def test_what_is_not_translated_is_left_to_xgrammar(schema: Any) -> None:
    assert ebnf_of(schema) is None
    assert ebnf_of(closed(a=schema)) is None


@pytest.mark.parametrize("schema", TRANSLATED.values(), ids=TRANSLATED)
def test_the_forms_of_answers_are_translated(schema: Any) -> None:
    ebnf = ebnf_of(schema)
    assert ebnf is not None
    assert ebnf.startswith("root ::= ")
