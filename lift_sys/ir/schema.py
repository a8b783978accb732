"""The wire form of an IR: the few flat fields that a model fills, and the way back.

Owns the translation between ``WireIR`` and ``SpecIR``. The wire form stays in the subset of JSON
Schema that every constrained decoder enforces: all properties required, no references, bounds,
patterns or combinators. It is flat because every token of structure is a token the model spends.
"""

from __future__ import annotations

from lift_sys.errors import IRError
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.record import Record

WIRE_VERSION = 1
"""Raised whenever the fields or their meaning change; artifacts record it."""


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
    parameters: list[str]
    returns: str
    effects: list[str]
    assertions: list[str]


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
            name=name, parameters=parameters, returns=wire.returns.strip() or None
        ),
        effects=tuple(Effect(description=e.strip()) for e in wire.effects if e.strip()),
        assertions=tuple(
            Assertion(predicate=a) for a in dict.fromkeys(a.strip() for a in wire.assertions) if a
        ),
    )


def to_wire(ir: SpecIR) -> WireIR:
    """Return the wire form of an IR, for demos; what the wire cannot carry is left out."""
    return WireIR(
        summary=ir.intent.summary,
        parameters=[f"{p.name}: {p.type_hint}" for p in ir.signature.parameters],
        returns=ir.signature.returns or "None",
        effects=[e.description for e in ir.effects],
        assertions=[a.predicate for a in ir.assertions],
    )


def _parameter(text: str) -> Parameter:
    name, _, hint = text.partition(":")
    name = name.strip().strip("`*").strip()
    hint = hint.partition("=")[0].strip() or "Any"
    if not name.isidentifier():
        msg = f"the IR has a parameter without a name: {text[:60]!r}"
        raise IRError(msg)
    return Parameter(name=name, type_hint=hint)
