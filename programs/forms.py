"""What may be added to a request: the structure of an IR's effects, and quirks of Python.

Owns the values of the hypers ``ir_detail`` and ``quirks`` as changes of a stage's signature. They
are made for one request, so that a predictor has one set of instructions and demos for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.signatures.signature import Signature

from lift_sys.ir.schema import StructuredWireIR, WireEffect, WireIR
from lift_sys.knowledge.quirks import QUIRKS, listed, triggered
from programs.adapters import StructuredAdapter
from programs.signatures import QUIRKS_HEADING, STRUCTURED_EFFECTS


@dataclass(frozen=True)
class IRForm:
    """How much of an IR is on the wire.

    Attributes:
        adapter: Reads and writes it.
        wire: What the model fills.
    """

    adapter: StructuredAdapter
    wire: type[WireIR | StructuredWireIR]

    @property
    def structured(self) -> bool:
        """Whether effects have fields of their own."""
        return self.wire is StructuredWireIR

    def signature(self, base: type[Signature]) -> type[Signature]:
        """Return a signature that writes an IR in this form."""
        made: type[Signature] = base
        if self.structured:
            made = base.with_updated_fields("effects", list[WireEffect], desc=STRUCTURED_EFFECTS)
        return made

    def demo(self, demo: Mapping[str, Any]) -> dict[str, Any]:
        """Return a demo with its effects in this form, and without the quirks of its own spec."""
        shown = {key: value for key, value in demo.items() if key != "quirks"}
        if shown.get("effects") is not None:
            shown["effects"] = [self._effect(effect) for effect in shown["effects"]]
        return shown

    def _effect(self, effect: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(effect, str) and self.structured:
            return WireEffect(
                description=effect, implementation_hint="", return_values=[], order_constraint=""
            ).model_dump()
        if isinstance(effect, dict) and not self.structured:
            return str(effect["description"])
        return effect


BASIC = IRForm(StructuredAdapter(WireIR), WireIR)
IR_FORMS = {
    "basic": BASIC,
    "structured": IRForm(StructuredAdapter(StructuredWireIR), StructuredWireIR),
}
"""By the value of ``ir_detail``."""


@dataclass(frozen=True)
class Reminder:
    """Quirks of Python that a stage is told of.

    Attributes:
        constant: Text that is the same for every spec; it stands before all that varies.
        here: Text for one spec; it stands before the spec.
    """

    constant: str = ""
    here: str = ""

    def signature(self, base: type[Signature]) -> type[Signature]:
        """Return a signature that shows the reminder."""
        made: type[Signature] = base
        if self.constant:
            made = made.with_instructions(f"{base.instructions}\n\n{self.constant}")
        if self.here:
            position = list(base.input_fields).index("spec")
            made = made.insert(position, "quirks", dspy.InputField(), str)
        return made

    @property
    def inputs(self) -> dict[str, str]:
        """The inputs that the signature asks for."""
        return {"quirks": self.here} if self.here else {}


NO_REMINDER = Reminder()


def remind(which: str, spec: str) -> Reminder:
    """Return what a stage is told with a spec.

    Args:
        which: A value of the hyper ``quirks``: ``off``, ``all`` or ``triggered``.
        spec: The request in plain language.
    """
    chosen = {"off": (), "all": QUIRKS, "triggered": triggered(spec)}[which]
    if not chosen:
        return NO_REMINDER
    text = f"{QUIRKS_HEADING}\n{listed(chosen)}"
    return Reminder(constant=text) if which == "all" else Reminder(here=text)
