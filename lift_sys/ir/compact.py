"""The compact wire forms: the same fields of an IR in fewer tokens.

Owns the packing of a wire form's fields and the way back. A signature is one text in Python's own
syntax, the summary is left to whoever has the spec, and the keys of effects are single tokens.
Assertions stay calls by name: that is how code is written, and the name also tells that of which
a property speaks.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from lift_sys.ir.schema import MAX_ASSERTIONS
from lift_sys.record import Record

_KEYS = {"effects": "steps", "assertions": "checks"}
_EFFECT_KEYS = {
    "description": "step",
    "implementation_hint": "how",
    "return_values": "returns",
    "order_constraint": "order",
}
_LONG = {short: key for key, short in (_KEYS | _EFFECT_KEYS).items()}


class CompactIR(Record):
    """``WireIR`` without its summary.

    Attributes:
        signature: As Python, e.g. ``f(a: int) -> str``.
        steps: The effects.
        checks: The assertions.
    """

    signature: str
    steps: Annotated[list[str], Field(max_length=8)]
    checks: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


class CompactEffect(Record):
    """``WireEffect`` with shorter keys."""

    step: str
    how: str
    returns: Annotated[list[str], Field(max_length=6)]
    order: str


class StructuredCompactIR(Record):
    """``StructuredWireIR`` without its summary; else as ``CompactIR``."""

    signature: str
    steps: Annotated[list[CompactEffect], Field(max_length=8)]
    checks: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


class CompactChecksIR(Record):
    """``ChecksWireIR``; else as ``CompactIR``."""

    signature: str
    checks: Annotated[list[str], Field(max_length=MAX_ASSERTIONS)]


def compact_key(field: str) -> str:
    """Return the key under which the compact forms have a field of a wire form."""
    return _KEYS.get(field, "signature")


def pack(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the fields of a wire form as those of the compact one.

    Args:
        fields: ``parameters`` and ``returns``, and what else the form has.
        name: Of the function.
    """
    inside = ", ".join(p.removesuffix(": Any") for p in fields["parameters"])
    returns = "" if fields["returns"] in {"", "Any"} else f" -> {fields['returns']}"
    packed = {short: fields[key] for key, short in _KEYS.items() if key in fields}
    return {"signature": f"{name}({inside}){returns}"} | {
        key: [_renamed(item, _EFFECT_KEYS) for item in items] for key, items in packed.items()
    }


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a wire form from those of the compact one.

    A signature that is not Python is read as far as its brackets, commas and colons tell; whether
    its parameters have names is for ``from_wire`` to say.
    """
    parameters, returns = _signature(packed["signature"])
    lists = {key: items for key, items in packed.items() if key != "signature"}
    return {"parameters": parameters, "returns": returns} | {
        _LONG[key]: [_renamed(item, _LONG) for item in items] for key, items in lists.items()
    }


def _renamed(item: Any, keys: Mapping[str, str]) -> Any:
    return {keys[k]: v for k, v in item.items()} if isinstance(item, dict) else item


def _signature(text: str) -> tuple[list[str], str]:
    """Return each parameter as ``name: type``, and the return type."""
    written = text.strip().strip("`").strip().removeprefix("def ").rstrip(":").strip()
    try:
        function = ast.parse(f"def {written}:\n    ...").body[0]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return _loosely_read(written)
    if not isinstance(function, ast.FunctionDef):
        return _loosely_read(written)
    given = function.args
    arguments = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    returns = ast.unparse(function.returns) if function.returns else "Any"
    return [ast.unparse(a) for a in arguments if a], returns


def _loosely_read(text: str) -> tuple[list[str], str]:
    head, arrow, returns = text.rpartition("->") if "->" in text else (text, "", "")
    opened, closed = head.find("("), head.rfind(")")
    if closed > opened and not arrow:
        returns = head[closed + 1 :]
    inside = head[opened + 1 : closed if closed > opened else None]
    only_a_name = opened < 0 and not {":", ","} & set(inside)
    return [] if only_a_name else _parted(inside), returns.strip(" :") or "Any"


def _parted(text: str) -> list[str]:
    """Return what stands between commas that are in no brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]
