"""Schemas for the tests of the lint and of XGrammar: ours, and one for each thing that is refused.

Each refused one comes with a text that shows why, and each good one with a text that it keeps out;
``test_xgrammar`` holds all of them against XGrammar itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from lift_sys.ir.schema import WireCritique, wire_schema
from programs.forms import ir_form
from programs.modules import Critic, IRGenerator, Refiner

DETAILS = ("basic", "structured", "checks")
WIRES = ("json", "compact")
ASSERTIONS = (3, 5, 8)

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
ONE = {"type": "object", "properties": {"a": WHOLE}, "required": ["a"]}


def ours() -> Iterator[tuple[str, type[BaseModel], dict[str, Any]]]:
    """Yield each form of an answer that has a schema: its name, model and schema as it is sent."""
    for detail in DETAILS:
        for wire in WIRES:
            for assertions in ASSERTIONS:
                adapter = ir_form(detail, wire, assertions).adapter
                name = f"{detail}-{wire}-{assertions}"
                yield name, adapter._wire, adapter.response_format["json_schema"]["schema"]
    yield "critic", WireCritique, wire_schema(WireCritique)


def of_stages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schema that each stage sends where nothing else is asked for."""
    for stage in (IRGenerator, Refiner, Critic):
        sent = stage.adapter.response_format["json_schema"]["schema"]
        yield stage.name, sent


@dataclass(frozen=True)
class Refused:
    """A schema that the lint refuses.

    Attributes:
        schema: With one thing wrong.
        at: The path that the lint names.
        wrong: A text that breaks the schema and is written all the same; empty where there is none.
        lost: A text that fits the schema and cannot be written; empty where there is none.
    """

    schema: Any
    at: str
    wrong: str = ""
    lost: str = ""


def _object(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": WHOLE, "b": WHOLE}, **more}


REFUSED = {
    "minLength": Refused({**TEXT, "minLength": 2}, "#/minLength", lost=r'"\n\n"'),
    "maxLength": Refused({**TEXT, "maxLength": 9}, "#/maxLength", lost=r'"\""'),
    "bounded": Refused({**TEXT, "pattern": "^[ -~]{0,9}$"}, "#/pattern", lost=r'"\""'),
    "wildcard": Refused({**TEXT, "pattern": "^.*$"}, "#/pattern", lost=r'"\""'),
    "negated": Refused({**TEXT, "pattern": "^[^a]*$"}, "#/pattern", lost=r'"\""'),
    "unanchored": Refused({**TEXT, "pattern": "a"}, "#/pattern", lost='"bab"'),
    "lookahead": Refused({**TEXT, "pattern": "^(?!a)[a-z]*$"}, "#/pattern", wrong='"ab"'),
    "backreference": Refused({**TEXT, "pattern": r"^(a|b)\1$"}, "#/pattern"),
    "boundary": Refused({**TEXT, "pattern": r"^a\b$"}, "#/pattern"),
    "format": Refused({**TEXT, "format": "regex"}, "#/format", wrong='"("'),
    "rough format": Refused({**TEXT, "format": "date"}, "#/format", wrong='"2021-02-31"'),
    "not": Refused({**TEXT, "not": {"const": "a"}}, "#/not", wrong='"a"'),
    "if": Refused({**ONE, "if": ONE, "then": False}, "#/if", wrong='{"a": 1}'),
    "uniqueItems": Refused(
        {"type": "array", "items": WHOLE, "uniqueItems": True}, "#/uniqueItems", wrong="[1, 1]"
    ),
    "contains": Refused(
        {"type": "array", "items": WHOLE, "contains": {"const": 5}}, "#/contains", wrong="[1]"
    ),
    "minContains": Refused(
        {"type": "array", "items": WHOLE, "minContains": 1}, "#/minContains", lost="[]"
    ),
    "dependentRequired": Refused(
        _object(dependentRequired={"a": ["b"]}), "#/dependentRequired", wrong='{"a": 1}'
    ),
    "dependentSchemas": Refused(
        _object(dependentSchemas={"a": {"required": ["b"]}}),
        "#/dependentSchemas",
        wrong='{"a": 1}',
    ),
    "patternProperties": Refused(
        {"type": "object", "patternProperties": {"^x": WHOLE}},
        "#/patternProperties",
        lost='{"x1": 1}',
    ),
    "propertyNames": Refused(
        _object(propertyNames={"pattern": "^b$"}), "#/propertyNames", wrong='{"a": 1}'
    ),
    "minProperties": Refused(
        {"type": "object", "additionalProperties": WHOLE, "minProperties": 2},
        "#/minProperties",
        wrong='{"a": 1, "a": 2}',
    ),
    "required": Refused({**ONE, "required": ["a", "b"]}, "#/required", wrong='{"a": 1}'),
    "oneOf": Refused({"oneOf": [WHOLE, {"type": "number"}]}, "#/oneOf", wrong="1"),
    "allOf": Refused({"allOf": [WHOLE, {**WHOLE, "minimum": 3}]}, "#/allOf", wrong='"x"'),
    "beside allOf": Refused({**WHOLE, "allOf": [{**WHOLE, "minimum": 3}]}, "#/type"),
    "beside anyOf": Refused({"anyOf": [WHOLE, TEXT], "minimum": 3}, "#/minimum", wrong="2"),
    "beside $ref": Refused(
        {"$defs": {"n": WHOLE}, "$ref": "#/$defs/n", "minimum": 3}, "#/minimum", wrong="2"
    ),
    "beside enum": Refused({**WHOLE, "enum": [1, 5], "minimum": 3}, "#/minimum", wrong="1"),
    "type of enum": Refused({**TEXT, "enum": ["a", 1]}, "#/enum", wrong="1"),
    "empty enum": Refused({"enum": []}, "#/enum"),
    "without type": Refused({"minimum": 3}, "#/minimum", wrong="2"),
    "dangling": Refused({"$ref": "#/$defs/x"}, "#/$ref"),
    "remote": Refused({"$ref": "http://localhost/x.json"}, "#/$ref"),
    "circle": Refused(
        {"$defs": {"x": {"$ref": "#/$defs/x"}}, "$ref": "#/$defs/x"}, "#/$ref", lost="1"
    ),
    "escaped name": Refused({"$defs": {"a/b": WHOLE}, "$ref": "#/$defs/a~1b"}, "#/$ref"),
    "nullable": Refused({**WHOLE, "nullable": True}, "#/nullable", lost="null"),
    "content": Refused({**TEXT, "contentEncoding": "base64"}, "#/contentEncoding", wrong='"%"'),
    "unknown": Refused({**TEXT, "maxWords": 3}, "#/maxWords"),
    "nothing to count": Refused({"type": "array", "minItems": 1}, "#/minItems"),
    "no such type": Refused({"type": "text"}, "#/type"),
    "list of items": Refused({"type": "array", "items": [WHOLE]}, "#/items"),
    "no value": Refused(False, "#"),
    "crossed": Refused({"type": "array", "minItems": 3, "maxItems": 1}, "#/minItems"),
    "negative": Refused({"type": "array", "maxItems": -1}, "#/maxItems"),
    "not whole": Refused({**WHOLE, "minimum": 2.5}, "#/minimum"),
    "inside": Refused(
        {"type": "array", "items": {"anyOf": [{**TEXT, "minLength": 2}, WHOLE]}},
        "#/items/anyOf/0/minLength",
        lost=r'["\n\n"]',
    ),
}

ENFORCED: dict[str, tuple[Any, str, str]] = {
    "properties": (ONE, '{"a": 1}', '{"a": "x"}'),
    "nothing more": (ONE, '{"a": 1}', '{"a": 1, "b": 2}'),
    "more of one kind": (
        {**ONE, "additionalProperties": TEXT},
        '{"a": 1, "b": "x"}',
        '{"a": 1, "b": 2}',
    ),
    "items": ({"type": "array", "items": WHOLE}, "[1, 2]", '["x"]'),
    "count": (
        {"type": "array", "items": WHOLE, "minItems": 1, "maxItems": 2},
        "[1]",
        "[1, 2, 3]",
    ),
    "prefix": ({"type": "array", "prefixItems": [WHOLE], "items": False}, "[1]", "[1, 2]"),
    "enum": ({**TEXT, "enum": ["a", "b"]}, '"a"', '"c"'),
    "const": ({"const": 3}, "3", "4"),
    "pattern": ({**TEXT, "pattern": "^[a-z]+(-[a-z]+)*$"}, '"a-b"', '"a-"'),
    "dots in a set": ({**TEXT, "pattern": r"^[a.]+[\].]$"}, '"a.]"', '"ab]"'),
    "bounds": ({**WHOLE, "minimum": 3, "maximum": 30}, "12", "31"),
    "exclusive": ({"type": "number", "exclusiveMaximum": 3}, "2.5", "3.0"),
    "either": ({"anyOf": [WHOLE, TEXT]}, '"a"', "null"),
    "types": ({"type": ["integer", "null"], "minimum": 3}, "null", "2"),
    "reference": ({"$defs": {"n": WHOLE}, "$ref": "#/$defs/n"}, "1", '"a"'),
    "one of allOf": ({"allOf": [{**WHOLE, "minimum": 3}]}, "3", "2"),
    "tree": (
        {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["next"],
        },
        '{"next": {"next": null}}',
        '{"next": {"next": 1}}',
    ),
}
"""Schemas that the lint takes, each with a text that fits and one that does not."""


def closed(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TRANSLATED: dict[str, Any] = {
    **{name: sent for name, _, sent in ours()},
    "text": TEXT,
    "quoted": closed(**{'a "b"\\ é': TEXT}),
    "values": {"enum": ["a", 'b"\\\n', 1, 1.5, True, None, "é😀"]},
    "one item": {"type": "array", "items": TEXT, "maxItems": 1},
    "nested": {
        "type": "array",
        "items": {"type": "array", "items": closed(a=TEXT, b={"enum": [1, 2]}), "maxItems": 2},
        "maxItems": 3,
    },
    "described": {"title": "T", "description": "D", **closed(a={"title": "A", **TEXT})},
    "pattern": closed(a={**TEXT, "pattern": r"^[a-z]+\[\d\]$"}, b=TEXT),
}
"""Schemas that ``lift_sys.inference.ebnf`` translates: ours, and some that no form of ours has."""
