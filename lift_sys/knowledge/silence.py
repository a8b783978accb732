"""What a spec's text does not say although the function needs it.

Owns the rules: each names a boundary value, the words of a spec that leave open what happens there
(the highest of no numbers, the quotient by zero), and the words that may settle it or exclude the
value. A rule that is in doubt stays silent: an open question that is none costs a person's time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lift_sys.ir.models import FunctionSignature
from lift_sys.ir.types import python_type


@dataclass(frozen=True)
class Silence:
    """A boundary value of one parameter of which the spec does not speak.

    Attributes:
        what: ``empty``, ``zero`` or ``negative``.
        place: Position of the parameter.
        parameter: Its name.
        value: Literal text of the value.
    """

    what: str
    place: int
    parameter: str
    value: str


@dataclass(frozen=True)
class Rule:
    """When a boundary value is left open.

    Attributes:
        what: Name of the value.
        asks: Found in a spec that leaves the value open.
        says: Found in a spec that may speak of the value, or exclude it.
        values: Literal text of the value by type; other types have no such value.
        place: Which of the parameters with such a type is meant; ``None`` where that is in doubt.
    """

    what: str
    asks: re.Pattern[str]
    says: re.Pattern[str]
    values: dict[str, str]
    place: Callable[[str, FunctionSignature, Sequence[int]], int | None]


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(alternatives)})", re.IGNORECASE)


def _only(_: str, __: FunctionSignature, places: Sequence[int]) -> int | None:
    return places[0] if len(places) == 1 else None


_BY = re.compile(r"\bby\s+(?:the\s+)?[`'\"]?(\w+)", re.IGNORECASE)
_ORDINALS = {"first": 0, "second": 1, "other": 1, "third": 2, "latter": 1}


def _divisor(spec: str, signature: FunctionSignature, places: Sequence[int]) -> int | None:
    """Return the numeric parameter that the spec divides by."""
    names = {p.name.lower(): i for i, p in enumerate(signature.parameters)}
    for found in _BY.finditer(spec):
        word = found.group(1).lower()
        place = names.get(word, _ORDINALS.get(word))
        if place in places:
            return place
    return None


_EXTREME = (
    "highest|lowest|largest|smallest|biggest|longest|shortest|greatest|cheapest|oldest|youngest|"
    "newest|latest|earliest|maximum|minimum|best|worst|average|mean|median|most frequent|"
    "most common|least common|middle"
)
_EMPTY = Rule(
    what="empty",
    asks=_words(
        rf"(?<!\bfrom )(?<!\bto )\b(?:the|an?)\s+(?:arithmetic\s+)?(?:{_EXTREME})\b"
        r"(?!\s+(?:\w+\s+)?(?:first|to|allowed|possible)\b)",
        r"\bthe\s+(?:first|last)\s+(?:item|element|word|entry|name|value|number|character|letter)\b",
    ),
    says=_words(
        r"\b(?:non-?)?empty\b", r"\bblank\b", r"\bno\b", r"\bat least\b", r"\bor more\b",
        r"\bnever\b", r"\bfewer\b", r"\bless than\b", r"\bnothing\b", r"\bnone\b", r"\bzero\b",
        r"\b0\b", r"\[\]", "''", '""', r"\{\}", r"\bany length\b", r"\bone or\b", r"\bis missing\b",
        r"\beach\b", r"\bexactly \w+ (?:items|words|values|numbers)\b",
    ),
    values={"list": "[]", "str": "''", "dict": "{}", "set": "set()", "frozenset": "frozenset()"},
    place=_only,
)  # fmt: skip
_ZERO = Rule(
    what="zero",
    asks=_words(r"\bdivid(?:e|es|ed|ing)\b", r"\bquotient\b", r"\bremainder\b", r"\bmodulo\b"),
    says=_words(
        r"\bzero\b", r"\b0\b", r"\bpositive\b", r"\bat least\b", r"\bor more\b", r"\bnatural\b",
        r"\bnever\b", r"\bgreater than\b", r"\bmore than\b", r"\bbelow\b",
    ),
    values={"int": "0", "float": "0.0"},
    place=_divisor,
)  # fmt: skip
_NEGATIVE = Rule(
    what="negative",
    asks=_words(
        r"\bfactorial\b", r"\bfibonacci\b", r"\bsquare root\b", r"\bbinary\b", r"\bdigits?\b",
        r"\broman\b", r"\bdivisors?\b", r"\b(?:n|k)-?th\b", r"\btimes\b",
    ),
    says=_words(
        r"\b(?:non-?)?negative\b", r"\bpositive\b", r"\bminus\b", r"\bsigns?\b", r"\bbelow\b",
        r"\bless than\b", r"\bat least\b", r"\bor more\b", r"\bnatural\b", r"\bnever\b",
        r"\bzero\b", r"\b0\b", r"\bbetween\b", r"\bfrom 1\b", r"\bunsigned\b", r"-[1-9]",
    ),
    values={"int": "-1"},
    place=_only,
)  # fmt: skip
RULES = (_EMPTY, _ZERO, _NEGATIVE)

_ANYTHING = _words(
    r"\bany(?:thing| value| type| kind)?\b", r"\bwhatever\b", r"\bmixed\b", r"\btypes?\b"
)


def silences(spec: str, signature: FunctionSignature) -> tuple[Silence, ...]:
    """Return the boundary values that the spec leaves open, at most one for each rule."""
    found = []
    for rule in RULES:
        if not rule.asks.search(spec) or rule.says.search(spec):
            continue
        values = [rule.values.get(_head(p.type_hint)) for p in signature.parameters]
        places = [i for i, value in enumerate(values) if value is not None]
        place = rule.place(spec, signature, places)
        value = values[place] if place is not None else None
        if place is not None and value is not None:
            name = signature.parameters[place].name
            found.append(Silence(rule.what, place, name, value))
    return tuple(found)


def untyped(spec: str, signature: FunctionSignature) -> tuple[str, ...]:
    """Return the parameters of unknown type, in a spec that does not ask for any type.

    The result is called ``result``.
    """
    if _ANYTHING.search(spec):
        return ()
    hints = [(p.name, p.type_hint) for p in signature.parameters]
    hints.append(("result", signature.returns or "Any"))
    return tuple(name for name, hint in hints if python_type(hint) == "Any")


def _head(hint: str) -> str:
    """Return the outermost type of a hint."""
    match ast.parse(python_type(hint), mode="eval").body:
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
    return ""
