"""An IR as readable Markdown, for people and for the code stage's prompt.

Owns the wording of the sections. The same text is shown by ``lift run`` and sent to the model, so
that what a person reads is what the model read. Holes are not part of it: they are questions to a
person, and a model would answer them in the code.
"""

from __future__ import annotations

from lift_sys.ir.models import Effect, SpecIR, TypedHole


def render(ir: SpecIR) -> str:
    """Return the IR as Markdown, without holes and what is empty."""
    lines = [f"**Intent**: {ir.intent.summary}"]
    if ir.intent.rationale:
        lines[0] += f" ({ir.intent.rationale})"
    lines += ["", f"**Signature**: `{ir.signature.render()}`"]
    described = [p for p in ir.signature.parameters if p.description]
    lines += [f"- `{p.name}`: {p.description}" for p in described]
    if ir.effects:
        lines += ["", "**Effects**"]
        lines += [f"{i}. {_effect(e)}" for i, e in enumerate(ir.effects, start=1)]
    if ir.assertions:
        lines += ["", "**Assertions**"]
        for assertion in ir.assertions:
            reason = f": {assertion.rationale}" if assertion.rationale else ""
            lines.append(f"- `{assertion.predicate}`{reason}")
    return "\n".join(lines)


def render_hole(hole: TypedHole) -> str:
    """Return a hole as one line of Markdown."""
    return f"- `{hole.identifier}: {hole.type_hint}` ({hole.kind}): {hole.description}"


def _effect(effect: Effect) -> str:
    parts = [effect.description]
    if effect.implementation_hint:
        parts.append(f"How: {effect.implementation_hint}.")
    if effect.return_values:
        parts.append("Returns exactly: " + ", ".join(repr(v) for v in effect.return_values) + ".")
    if effect.order_constraint:
        parts.append(f"Order: {effect.order_constraint}.")
    return " ".join(parts)
