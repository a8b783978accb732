"""The typed intermediate representation between a spec and code (the domain model).

Owns the shape of ``SpecIR`` and its JSON. The *wire* form that a model fills is narrower and lives
in ``lift_sys.ir.schema``. No model call and no execution happens here.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import FiniteFloat, ValidationError

from lift_sys.errors import IRError
from lift_sys.record import Record, Versioned, digest

Provenance = Literal["stated", "derived"]
Scalar = str | int | FiniteFloat | bool | None
"""What an effect may return literally; JSON has no form for infinities and NaN."""


class Intent(Record):
    """What the function is for."""

    summary: str
    rationale: str | None = None


class Parameter(Record):
    """One parameter of the function."""

    name: str
    type_hint: str
    description: str | None = None


class FunctionSignature(Record):
    """Name, parameters and return type (``Signature`` is DSPy's word)."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    returns: str | None = None

    def render(self) -> str:
        """Return the signature as Python, e.g. ``f(a: int) -> str``.

        ``Any`` is left out: it says nothing, and code that repeats it without an import fails.
        """
        inside = ", ".join(
            p.name if p.type_hint == "Any" else f"{p.name}: {p.type_hint}" for p in self.parameters
        )
        returns = "" if self.returns in {None, "Any"} else f" -> {self.returns}"
        return f"{self.name}({inside}){returns}"


class Effect(Record):
    """One thing the function does, in order, explicit about how.

    Attributes:
        description: What happens.
        implementation_hint: How to do it, e.g. ``use try/except``.
        return_values: Exact literals that this effect returns.
        order_constraint: What must come before what, e.g. ``check bool before int``.
    """

    description: str
    implementation_hint: str | None = None
    return_values: tuple[Scalar, ...] | None = None
    order_constraint: str | None = None


class Assertion(Record):
    """Something that must hold of the function.

    Attributes:
        predicate: An expression over the function, its parameters and ``result``, if executable.
        rationale: Why it must hold.
        provenance: ``stated`` in the spec (a hard constraint) or ``derived`` by a model (a vote).
    """

    predicate: str
    rationale: str | None = None
    provenance: Provenance = "derived"


class TypedHole(Record):
    """Something the spec leaves open.

    Attributes:
        identifier: Made from the question itself, so that the same question has the same name.
        type_hint: Of the answer.
        description: The question, for a person.
        kind: What left it open, e.g. ``contradiction``.
        args: Where the question is what one call gives: literal text of its argument tuple.
    """

    identifier: str
    type_hint: str
    description: str
    kind: str
    args: str | None = None


class SpecIR(Versioned):
    """A spec, made explicit."""

    current_version: ClassVar[int] = 1

    intent: Intent
    signature: FunctionSignature
    effects: tuple[Effect, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    holes: tuple[TypedHole, ...] = ()

    def to_json(self, *, indent: int | None = None) -> str:
        """Return lossless JSON; ``from_json`` gives back an equal value."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> SpecIR:
        """Read what ``to_json`` wrote.

        Raises:
            IRError: Not JSON, a missing or unknown field, or a newer version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            msg = f"cannot read the IR: {where}: {first['msg']}"
            raise IRError(msg) from error

    @property
    def content_hash(self) -> str:
        """SHA-256 of the IR's content."""
        return digest(self.model_dump(mode="json"))
