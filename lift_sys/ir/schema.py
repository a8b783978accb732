"""The wire forms of an IR: the few fields that a model fills, and the way back.

Owns the translation between wire forms and ``SpecIR``, and the JSON schemas that are sent to
constrained decoders; ``compact`` packs the same fields into fewer tokens. The schemas stay in the
subset that every decoder enforces: all properties required, nothing additional, no references,
number bounds or combinators; what is one of a few values is an enumeration, and the one pattern
says what a parameter looks like, so that no constrained model writes one without a name.
Lists have a maximum length, which llama.cpp and XGrammar both enforce: without it small models
repeat themselves until the token limit. ``WireIR`` is flat because every token of structure is a
token the model spends; ``StructuredWireIR`` spends them, to say how, what exactly and in which
order; ``ChecksWireIR`` has no effects at all.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from lift_sys.errors import IRError
from lift_sys.ir.models import (
    Assertion,
    Effect,
    FunctionSignature,
    Intent,
    Parameter,
    Scalar,
    SpecIR,
)
from lift_sys.ir.types import python_type
from lift_sys.literals import parse_literal
from lift_sys.record import Record

WIRE_VERSION = 1
"""Raised whenever the fields or their meaning change; artifacts record it."""

MAX_ASSERTIONS = 5
"""Most assertions that the IR stage may write, where no other number is asked for."""

PARAMETER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*: [A-Za-z_][A-Za-z0-9_ ,.|'\[\]]*$"
"""A parameter as ``name: type``, of characters that JSON does not escape."""

WireParameter = Annotated[str, Field(json_schema_extra={"pattern": PARAMETER_PATTERN})]
"""A decoder is held to the pattern; without a decoder, ``from_wire`` takes what it can read."""

_Wire = TypeVar("_Wire", bound=BaseModel)
_SCALAR: TypeAdapter[Scalar] = TypeAdapter(Scalar)


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
    parameters: Annotated[list[WireParameter], Field(max_length=8)]
    returns: str
    effects: Annotated[list[str], Field(max_length=8)]
    assertions: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


class WireEffect(Record):
    """A step of a structured IR; what does not apply is empty.

    Attributes:
        description: What happens.
        implementation_hint: How to do it.
        return_values: Python literals that the step returns.
        order_constraint: What must come before what.
    """

    description: str
    implementation_hint: str
    return_values: Annotated[list[str], Field(max_length=6)]
    order_constraint: str


class StructuredWireIR(Record):
    """What the IR stage generates where effects are structured; else as ``WireIR``."""

    summary: str
    parameters: Annotated[list[WireParameter], Field(max_length=8)]
    returns: str
    effects: Annotated[list[WireEffect], Field(max_length=8)]
    assertions: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


class ChecksWireIR(Record):
    """What the IR stage generates where the IR only verifies; else as ``WireIR``."""

    parameters: Annotated[list[WireParameter], Field(max_length=8)]
    returns: str
    assertions: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


IssueCategory = Literal[
    "literal_string", "python_quirk", "edge_case", "return_path", "order", "assertion"
]
"""What a critic looks for: the plan's four questions, the order of steps, false assertions."""

Quality = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""0 (useless) to 10 (perfect). A number off this scale says nothing, so none can be written."""


class WireIssue(Record):
    """One thing that is wrong with an IR.

    Attributes:
        category: Its kind.
        description: What is wrong.
        fix: What to do about it.
    """

    category: IssueCategory
    description: str
    fix: str


class WireCritique(Record):
    """What the critic generates.

    Attributes:
        issues: The worst ones.
        overall_quality: Of the IR as it is.
    """

    issues: Annotated[list[WireIssue], Field(max_length=4)]
    overall_quality: Quality


def with_most(model: type[_Wire], field: str, most: int) -> type[_Wire]:
    """Return a wire model whose list ``field`` holds at most ``most`` texts."""
    limited = Annotated[list[str], Field(max_length=most)]
    changed: dict[str, Any] = {field: (limited, ...)}
    return create_model(model.__name__, __base__=model, **changed)


def wire_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a wire model, without what costs a decoder and says nothing."""
    schema = model.model_json_schema()
    return _bare(schema, schema.get("$defs", {}))


def _bare(schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with every reference resolved, every property required and no prose."""
    if "$ref" in schema:
        return _bare(defined[schema["$ref"].rpartition("/")[2]], defined)
    if schema["type"] == "object":
        properties = {name: _bare(prop, defined) for name, prop in schema["properties"].items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    kept = {k: v for k, v in schema.items() if k not in {"title", "description"}}
    return kept | ({"items": _bare(schema["items"], defined)} if "items" in schema else {})


def from_wire(wire: WireIR | StructuredWireIR, name: str) -> SpecIR:
    """Turn what a model filled into an IR for the function ``name``.

    A parameter that is repeated word for word, as small models do, counts once.

    Raises:
        IRError: A parameter has no identifier, or two share one.
    """
    texts = dict.fromkeys(text.strip() for text in wire.parameters)
    parameters = tuple(_parameter(text) for text in texts if text)
    names = [p.name for p in parameters]
    if len(set(names)) != len(names):
        msg = f"the IR names a parameter twice: {', '.join(names)}"
        raise IRError(msg)
    effects = [_effect(e, names) for e in wire.effects]
    return SpecIR(
        intent=Intent(summary=wire.summary.strip()),
        signature=FunctionSignature(
            name=name, parameters=parameters, returns=python_type(wire.returns)
        ),
        effects=tuple(effect for effect in effects if effect.description),
        assertions=tuple(
            Assertion(predicate=a) for a in dict.fromkeys(a.strip() for a in wire.assertions) if a
        ),
    )


def to_wire(ir: SpecIR) -> StructuredWireIR:
    """Return the wire form of an IR, for demos; what the wire cannot carry is left out."""
    return StructuredWireIR(
        summary=ir.intent.summary,
        parameters=[f"{p.name}: {p.type_hint}" for p in ir.signature.parameters][:8],
        returns=ir.signature.returns or "Any",
        effects=[_wire_effect(e) for e in ir.effects][:8],
        assertions=[a.predicate for a in ir.assertions][:MAX_ASSERTIONS],
    )


def _wire_effect(effect: Effect) -> WireEffect:
    return WireEffect(
        description=effect.description,
        implementation_hint=effect.implementation_hint or "",
        return_values=[repr(value) for value in effect.return_values or ()][:6],
        order_constraint=effect.order_constraint or "",
    )


def _effect(effect: str | WireEffect, parameters: Sequence[str]) -> Effect:
    if isinstance(effect, str):
        return Effect(description=_unnumbered(effect))
    values = [_returned(text.strip(), parameters) for text in effect.return_values]
    return Effect(
        description=_unnumbered(effect.description),
        implementation_hint=effect.implementation_hint.strip() or None,
        return_values=tuple(value for known in values for value in known) or None,
        order_constraint=effect.order_constraint.strip() or None,
    )


def _returned(text: str, parameters: Sequence[str]) -> tuple[Scalar, ...]:
    """Return the one literal that a return value stands for, or nothing.

    Models forget the quotes of strings, so what is no expression, or is a word that names no
    parameter, stands for itself. Computed values and containers are left to the description.
    """
    try:
        value = _SCALAR.validate_python(parse_literal(text), strict=True)
        str(value).encode()  # a string with half a character cannot be stored
    except ValidationError:
        return ()
    except ValueError:
        computed = text in parameters or (_is_expression(text) and not text.isidentifier())
        return () if computed or not text else (text,)
    return (value,)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


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
