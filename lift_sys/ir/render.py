"""An IR as readable Markdown, for people and for the code stage's prompt.

Owns the wording of the sections. The same text is shown by ``lift run`` and sent to the model, so
that what a person reads is what the model read.
"""

from __future__ import annotations

from lift_sys.ir.models import Effect, SpecIR


def render(ir: SpecIR) -> str:
    """Return the IR as Markdown, without what is empty."""
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
    if ir.holes:
        lines += ["", "**Holes**"]
        lines += [
            f"- `{h.identifier}: {h.type_hint}` ({h.kind}): {h.description}" for h in ir.holes
        ]
    return "\n".join(lines)


def _effect(effect: Effect) -> str:
    parts = [effect.description]
    if effect.implementation_hint:
        parts.append(f"How: {effect.implementation_hint}.")
    if effect.return_values:
        parts.append("Returns exactly: " + ", ".join(repr(v) for v in effect.return_values) + ".")
    if effect.order_constraint:
        parts.append(f"Order: {effect.order_constraint}.")
    return " ".join(parts)
