"""The wire form of an IR: the few flat fields that a model fills, and the way back.

Owns the translation between ``WireIR`` and ``SpecIR``, and the JSON schemas that are sent to
constrained decoders. They stay in the subset that every decoder enforces: all properties required,
nothing additional, no references, patterns, number bounds or combinators. Lists have a maximum
length, which llama.cpp and XGrammar both enforce: without it small models repeat themselves until
the token limit. The form is flat because every token of structure is a token the model spends.
"""

from __future__ import annotations

import keyword
import re
from typing import Annotated, Any

from pydantic import BaseModel, Field

from lift_sys.errors import IRError
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.ir.types import python_type
from lift_sys.record import Record

WIRE_VERSION = 1
"""Raised whenever the fields or their meaning change; artifacts record it."""

MAX_ASSERTIONS = 5
"""Most assertions that the IR stage may write."""


class WireIR(Record):
    """What the IR stage generates.

    Attributes:
        summary: What the function does, in one sentence.
        parameters: ``name: type`` for each parameter, in order.
        returns: The return type.
        effects: What happens, step by step, with exact literals, order and edge cases.
        assertions: Python expressions that hold, most of them examples.
    """

    summary: str
    parameters: Annotated[list[str], Field(max_length=8)]
    returns: str
    effects: Annotated[list[str], Field(max_length=8)]
    assertions: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


class WireCritique(Record):
    """What the critic generates.

    Attributes:
        issues: Each with its fix.
        overall_quality: 0 (useless) to 10 (perfect).
    """

    issues: Annotated[list[str], Field(max_length=5)]
    overall_quality: int


def wire_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a wire model, without what costs a decoder and says nothing."""
    schema = model.model_json_schema()
    properties = {
        name: {k: v for k, v in prop.items() if k not in {"title", "description"}}
        for name, prop in schema["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def from_wire(wire: WireIR, name: str) -> SpecIR:
    """Turn what a model filled into an IR for the function ``name``.

    Raises:
        IRError: A parameter has no identifier, or two share one.
    """
    parameters = tuple(_parameter(text) for text in wire.parameters if text.strip())
    names = [p.name for p in parameters]
    if len(set(names)) != len(names):
        msg = f"the IR names a parameter twice: {', '.join(names)}"
        raise IRError(msg)
    return SpecIR(
        intent=Intent(summary=wire.summary.strip()),
        signature=FunctionSignature(
            name=name, parameters=parameters, returns=python_type(wire.returns)
        ),
        effects=tuple(Effect(description=text) for e in wire.effects if (text := _unnumbered(e))),
        assertions=tuple(
            Assertion(predicate=a) for a in dict.fromkeys(a.strip() for a in wire.assertions) if a
        ),
    )


def to_wire(ir: SpecIR) -> WireIR:
    """Return the wire form of an IR, for demos; what the wire cannot carry is left out."""
    return WireIR(
        summary=ir.intent.summary,
        parameters=[f"{p.name}: {p.type_hint}" for p in ir.signature.parameters][:8],
        returns=ir.signature.returns or "Any",
        effects=[e.description for e in ir.effects][:8],
        assertions=[a.predicate for a in ir.assertions][:MAX_ASSERTIONS],
    )


def _unnumbered(text: str) -> str:
    """Return a step without the number or bullet that some models put before it."""
    return re.sub(r"^\s*(?:\d+[.)]|[-*•])\s+", "", text).strip()


def _parameter(text: str) -> Parameter:
    name, _, hint = text.partition(":")
    name = re.sub(r"[`*]|\(.*", "", name).strip()
    if not name.isidentifier() or keyword.iskeyword(name):
        msg = f"the IR has a parameter without a name: {text[:60]!r}"
        raise IRError(msg)
    return Parameter(name=name, type_hint=python_type(hint.partition("=")[0]))
