"""What may be added to a request: the form of an IR, and quirks of Python.

Owns the values of the hypers ``ir_detail``, ``ir_wire``, ``assertions`` and ``quirks`` as changes
of a stage's signature. They are made for one request, so that a predictor has one set of
instructions and demos for all of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.signatures.signature import Signature
from pydantic import BaseModel

from lift_sys.ir.compact import (
    CompactChecksIR,
    CompactIR,
    StructuredCompactIR,
    compact_key,
)
from lift_sys.ir.schema import (
    MAX_ASSERTIONS,
    ChecksWireIR,
    StructuredWireIR,
    WireEffect,
    WireIR,
    with_most,
)
from lift_sys.knowledge.quirks import QUIRKS, Quirk, listed, triggered
from programs.adapters import CompactAdapter, StructuredAdapter
from programs.signatures import (
    COMPACT_EFFECTS,
    HOW_MANY,
    QUIRKS_HEADING,
    STRUCTURED_EFFECTS,
    VERIFYING,
    assertions_asked,
)

MAX_SUMMARY_CHARS = 200
"""Longest summary that is taken from a spec, in characters."""


@dataclass(frozen=True)
class IRForm:
    """What of an IR is on the wire, and how.

    Attributes:
        adapter: Reads and writes it.
        wire: As what the fields are read.
        asked: The fields that the model fills.
        effects: What is asked of structured effects.
        assertions: Most that the model may write.
    """

    adapter: StructuredAdapter
    wire: type[WireIR | StructuredWireIR]
    asked: tuple[str, ...]
    effects: str
    assertions: int

    @property
    def structured(self) -> bool:
        """Whether effects have fields of their own."""
        return issubclass(self.wire, StructuredWireIR)

    def signature(self, base: type[Signature]) -> type[Signature]:
        """Return a signature that writes an IR in this form."""
        # To mypy, a class of DSPy is not hashable.
        return _formed(self, base, base.instructions)  # type: ignore[arg-type]

    def read(self, answer: Mapping[str, Any], spec: str) -> WireIR | StructuredWireIR:
        """Return the fields of an answer; a summary that was not asked for is the spec's.

        Raises:
            ValidationError: They are not the fields of this form.
        """
        absent = {"summary": summary_of(spec), "effects": []}
        return self.wire.model_validate(absent | {key: answer.get(key) for key in self.asked})

    def demo(self, demo: Mapping[str, Any]) -> dict[str, Any]:
        """Return a demo in this form, and without the quirks of its own spec."""
        shown = {key: value for key, value in demo.items() if key != "quirks"}
        if shown.get("effects") is not None:
            shown["effects"] = [self._effect(effect) for effect in shown["effects"]]
        if shown.get("assertions") is not None:
            shown["assertions"] = shown["assertions"][: self.assertions]
        if shown.get("summary") is None and shown.get("spec"):
            shown["summary"] = summary_of(shown["spec"])
        return shown

    def _effect(self, effect: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(effect, str) and self.structured:
            return WireEffect(
                description=effect, implementation_hint="", return_values=[], order_constraint=""
            ).model_dump()
        if isinstance(effect, dict) and not self.structured:
            return str(effect["description"])
        return effect


def summary_of(spec: str) -> str:
    """Return the first sentence of a spec, in one line."""
    text = " ".join(spec.split())
    return re.split(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s", text, maxsplit=1)[0][:MAX_SUMMARY_CHARS]


# Making a class costs milliseconds, and every request asks for the same few.
@functools.lru_cache(maxsize=64)
def _formed(form: IRForm, base: type[Signature], instructions: str) -> type[Signature]:
    made: type[Signature] = base
    for field in set(base.output_fields) - set(form.asked):
        made = made.delete(field)
    if form.structured:
        made = made.with_updated_fields("effects", list[WireEffect], desc=form.effects)
    if form.assertions != MAX_ASSERTIONS:
        asked = assertions_asked(HOW_MANY[form.assertions])
        made = made.with_updated_fields("assertions", desc=asked)
    # Instructions that an optimizer wrote are for this form if it was searched with them.
    if "effects" not in form.asked and instructions in VERIFYING:
        made = made.with_instructions(VERIFYING[instructions])
    return made


@dataclass(frozen=True)
class _Wire:
    """A value of ``ir_wire``: its adapter, what it calls a field, and what it says of effects."""

    adapter: type[StructuredAdapter]
    key: Callable[[str], str]
    effects: str
    left_out: frozenset[str] = frozenset()


_WIRES = {
    "json": _Wire(StructuredAdapter, str, STRUCTURED_EFFECTS),
    "compact": _Wire(CompactAdapter, compact_key, COMPACT_EFFECTS, frozenset({"summary"})),
}
_FILLED: dict[str, dict[str, type[BaseModel]]] = {
    "basic": {"json": WireIR, "compact": CompactIR},
    "structured": {"json": StructuredWireIR, "compact": StructuredCompactIR},
    "checks": {"json": ChecksWireIR, "compact": CompactChecksIR},
}
"""What a model fills, by ``ir_detail`` and ``ir_wire``."""


@functools.cache
def ir_form(detail: str, wire: str = "json", assertions: int = MAX_ASSERTIONS) -> IRForm:
    """Return the form for values of the hypers ``ir_detail``, ``ir_wire`` and ``assertions``."""
    way, filled = _WIRES[wire], _FILLED[detail]
    fields = filled["json"].model_fields
    return IRForm(
        adapter=way.adapter(with_most(filled[wire], way.key("assertions"), assertions)),
        wire=with_most(
            StructuredWireIR if detail == "structured" else WireIR, "assertions", assertions
        ),
        asked=tuple(field for field in fields if field not in way.left_out),
        effects=way.effects,
        assertions=assertions,
    )


BASIC = ir_form("basic")


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
        if not self.constant and not self.here:
            return base
        said, here = base.instructions, bool(self.here)
        return _reminding(base, said, self.constant, here=here)  # type: ignore[arg-type]

    @property
    def inputs(self) -> dict[str, str]:
        """The inputs that the signature asks for."""
        return {"quirks": self.here} if self.here else {}


@functools.lru_cache(maxsize=64)
def _reminding(
    base: type[Signature], instructions: str, constant: str, *, here: bool
) -> type[Signature]:
    made: type[Signature] = base
    if constant:
        made = made.with_instructions(f"{instructions}\n\n{constant}")
    if here:
        position = list(base.input_fields).index("spec")
        made = made.insert(position, "quirks", dspy.InputField(), str)
    return made


NO_REMINDER = Reminder()
_CHOSEN: dict[str, Callable[[str], Sequence[Quirk]]] = {
    "off": lambda _: (),
    "all": lambda _: QUIRKS,
    "triggered": triggered,
}


def remind(which: str, spec: str) -> Reminder:
    """Return what a stage is told with a spec.

    Args:
        which: A value of the hyper ``quirks``: ``off``, ``all`` or ``triggered``.
        spec: The request in plain language.
    """
    chosen = _CHOSEN[which](spec)
    if not chosen:
        return NO_REMINDER
    text = f"{QUIRKS_HEADING}\n{listed(chosen)}"
    return Reminder(constant=text) if which == "all" else Reminder(here=text)
