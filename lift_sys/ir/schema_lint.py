"""Whether XGrammar enforces all of a JSON schema, told without XGrammar.

Owns what XGrammar 0.2 does with each keyword: it ignores some without a word, so that an answer
breaks the schema, and takes others at the price of answers that cannot be written any more. The
tests hold every rule here against XGrammar itself. A keyword that is not known here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class SchemaProblem(NamedTuple):
    """A part of a schema that is not enforced, or that breaks what is.

    Attributes:
        path: Where it is, as a JSON pointer from ``#``.
        reason: What is wrong and what to do.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


_ESCAPES = "no character may be escaped in such a text any more, not even a quote"
_IGNORED = "XGrammar does not enforce it"
REFUSED = {
    **dict.fromkeys(
        "not if then else uniqueItems contains dependentRequired dependentSchemas dependencies"
        " contentEncoding contentMediaType nullable $dynamicRef".split(),
        _IGNORED,
    ),
    "minContains": "XGrammar takes it for a number of items; use minItems",
    "maxContains": "XGrammar takes it for a number of items; use maxItems",
    "minLength": f"{_ESCAPES}; check the length of the answer instead",
    "maxLength": f"{_ESCAPES}, and compiling takes seconds; check the length of the answer instead",
    "multipleOf": "servers refuse it or answer without it; check the answer instead",
    "format": "XGrammar ignores most formats and knows some roughly; check the answer instead",
    "oneOf": "XGrammar does not keep branches that overlap apart; use anyOf",
    "patternProperties": "XGrammar refuses properties that it allows; name the properties",
    "propertyNames": "XGrammar ignores it beside properties; name the properties",
    "minProperties": "XGrammar counts a property that is written twice; name the properties",
    "maxProperties": "XGrammar counts a property that is written twice; name the properties",
}
"""Keywords that are refused wherever they are, each with the reason."""

_ANNOTATIONS = frozenset(
    "title description default examples deprecated readOnly writeOnly discriminator"
    " $schema $id $comment $defs definitions".split()
)
_OF_TYPE = {
    "properties": {"object"},
    "required": {"object"},
    "additionalProperties": {"object"},
    "unevaluatedProperties": {"object"},
    "items": {"array"},
    "prefixItems": {"array"},
    "unevaluatedItems": {"array"},
    "minItems": {"array"},
    "maxItems": {"array"},
    "pattern": {"string"},
    "minimum": {"integer", "number"},
    "maximum": {"integer", "number"},
    "exclusiveMinimum": {"integer", "number"},
    "exclusiveMaximum": {"integer", "number"},
}
"""Keywords that constrain values of some types; XGrammar needs the type beside them."""

_ALONE = ("$ref", "anyOf", "allOf", "enum", "const")
"""Keywords beside which XGrammar ignores others, in the order in which it looks for them."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("properties", "$defs", "definitions"), dict),
    **dict.fromkeys(("prefixItems", "anyOf", "allOf", "enum"), list),
    **dict.fromkeys(("pattern", "$ref"), str),
}
"""What the value of a keyword must be, where it is not a schema or a number."""

_PATTERN = (
    (
        r"^(?!\^)|(?<!\$)$|\\\$$",
        "is matched against the whole text; begin it with ^, end it with $",
    ),
    (r"\(\?<?[=!]", "looks around, which XGrammar ignores"),
    (r"\\[1-9]|\(\?P?[=<]", "names a group, which XGrammar refuses"),
    (r"\\[bB]", "asks for the edge of a word, which XGrammar refuses"),
    (r"(?<!\\)\{\d", f"counts repetitions: {_ESCAPES}"),
    (r"(?<!\\)\.|\[\^|\\[DWSs]", f"matches characters that JSON escapes, but {_ESCAPES}"),
)
"""What a pattern must not hold, each with the reason."""

_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]")
"""A set of characters; a dot in it is a dot."""

_MAX = 2**63 - 1


def lint_schema(schema: Any) -> tuple[SchemaProblem, ...]:
    """Return what in a JSON schema XGrammar would not enforce, or would break; nothing if all good.

    Args:
        schema: As it is sent to a decoder: JSON values.
    """
    return tuple(_node(schema, "#", schema))


def _node(node: Any, path: str, root: Any) -> Iterator[SchemaProblem]:
    if node is True:
        return
    if not isinstance(node, dict):
        what = "allows no value at all" if node is False else "is no schema"
        yield SchemaProblem(path, f"{what}; write one")
        return
    if misshapen := [key for key, value in node.items() if not _shaped(key, value)]:
        yield SchemaProblem(f"{path}/{misshapen[0]}", "has not the form that this keyword needs")
        return
    yield from _keywords(node, path)
    yield from _alone(node, path, root)
    yield from _bounds(node, path)
    for key, inside in _inside(node):
        yield from _node(inside, f"{path}/{key}", root)


def _shaped(key: str, value: Any) -> bool:
    if key == "type":
        names = value if isinstance(value, list) else [value]
        return bool(names) and all(isinstance(name, str) for name in names)
    if key == "required":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return key not in _SHAPES or isinstance(value, _SHAPES[key])


def _keywords(node: dict[str, Any], path: str) -> Iterator[SchemaProblem]:
    types = _types(node)
    if unknown := [name for name in types if name not in _TYPES]:
        yield SchemaProblem(f"{path}/type", f"there is no type {unknown[0]!r}")
    for key, value in node.items():
        where = f"{path}/{key}"
        if key in REFUSED and not (key == "uniqueItems" and value is False):
            yield SchemaProblem(where, REFUSED[key])
        elif key in _OF_TYPE:
            if not types & _OF_TYPE[key] and not any(alone in node for alone in _ALONE):
                needed = " or ".join(sorted(_OF_TYPE[key]))
                yield SchemaProblem(where, f"{_IGNORED} without the type {needed}; add it")
        elif key not in _ANNOTATIONS and key != "type" and key not in (*_ALONE, *REFUSED):
            yield SchemaProblem(where, f"XGrammar is not known to enforce {key}")
    if types & {"object"}:
        yield from _required(node, path)
    if "pattern" in node:
        yield from _pattern(node["pattern"], f"{path}/pattern")


def _required(node: dict[str, Any], path: str) -> Iterator[SchemaProblem]:
    for name in node.get("required", ()):
        if name not in node.get("properties", {}):
            reason = f"{_IGNORED} for {name}, which is not among the properties"
            yield SchemaProblem(f"{path}/required", reason)


def _pattern(pattern: str, path: str) -> Iterator[SchemaProblem]:
    without_dots = _CLASS.sub(lambda found: found[0].replace(".", ""), pattern)
    for form, reason in _PATTERN:
        if re.search(form, without_dots):
            yield SchemaProblem(path, f"the pattern {reason}")


def _alone(node: dict[str, Any], path: str, root: Any) -> Iterator[SchemaProblem]:
    """Look at the keywords beside which XGrammar ignores others."""
    found = [key for key in _ALONE if key in node]
    if not found:
        return
    (first, *_), beside = found, set(node) - _ANNOTATIONS - set(found[:1])
    if first in {"enum", "const"}:
        beside -= {"type"}
        yield from _values(node, first, f"{path}/{first}")
    for key in sorted(beside):
        yield SchemaProblem(f"{path}/{key}", f"XGrammar ignores it beside {first}")
    if first == "$ref":
        yield from _reference(node, f"{path}/$ref", root)
    elif first == "allOf" and len(node["allOf"]) != 1:
        yield SchemaProblem(f"{path}/allOf", f"{_IGNORED}; merge its branches into one schema")
    elif first == "anyOf" and not node["anyOf"]:
        yield SchemaProblem(f"{path}/anyOf", "has no branch; write one")


def _values(node: dict[str, Any], key: str, path: str) -> Iterator[SchemaProblem]:
    values = [node[key]] if key == "const" else node[key]
    if not values:
        yield SchemaProblem(path, "has no value; write one")
    types = _types(node)
    for value in values:
        if types and not any(_is_of(value, name) for name in types):
            yield SchemaProblem(path, f"XGrammar allows {value!r}, which is not of the type beside")


def _is_of(value: Any, name: str) -> bool:
    fits = isinstance(value, _TYPES.get(name, ()))
    return fits and (name == "boolean" or not isinstance(value, bool))


def _reference(node: dict[str, Any], path: str, root: Any) -> Iterator[SchemaProblem]:
    """Follow a reference until it is none any more."""
    seen: set[str] = set()
    while isinstance(node, dict) and "$ref" in node:
        target = str(node["$ref"])
        if target in seen:
            yield SchemaProblem(path, f"{target} refers to itself")
            return
        seen.add(target)
        resolved = _resolved(target, root)
        if resolved is None:
            yield SchemaProblem(path, f"{target} is not in this schema under plain names")
            return
        node = resolved


def _resolved(target: str, root: Any) -> Any:
    if not re.fullmatch(r"#(/[^~%/]+)*", target):
        return None
    for name in target.split("/")[1:]:
        if not isinstance(root, dict) or name not in root:
            return None
        root = root[name]
    return root


def _bounds(node: dict[str, Any], path: str) -> Iterator[SchemaProblem]:
    """Look for bounds that XGrammar does not take, and for those that leave no value."""
    if "items" not in node and not ({"prefixItems", *_ALONE} & set(node)):
        for key in sorted({"minItems", "maxItems"} & set(node)):
            yield SchemaProblem(f"{path}/{key}", "XGrammar needs items to count; add them")
    whole = "integer" in _types(node)
    for key in ("minItems", "maxItems", "minimum", "maximum", *_EXCLUSIVE):
        if key not in node:
            continue
        value, count = node[key], key.endswith("Items")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or abs(value) > _MAX or (count and value < 0):
            yield SchemaProblem(f"{path}/{key}", f"{value!r} is no bound that XGrammar takes")
        elif (whole or count) and value % 1:
            yield SchemaProblem(f"{path}/{key}", f"{value!r} is not whole")
        else:
            continue
        return
    for least, most in (("minItems", "maxItems"), ("minimum", "maximum")):
        if least in node and most in node and node[least] > node[most]:
            yield SchemaProblem(f"{path}/{least}", f"is above {most}; no value is left")


_EXCLUSIVE = ("exclusiveMinimum", "exclusiveMaximum")


def _types(node: dict[str, Any]) -> set[str]:
    named = node.get("type", ())
    return {named} if isinstance(named, str) else set(named)


def _inside(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the schemas in a schema, each with its path from there."""
    for key in ("properties", "$defs", "definitions"):
        for name, inside in node.get(key, {}).items():
            yield f"{key}/{name}", inside
    for key in ("prefixItems", "anyOf", "allOf"):
        for place, inside in enumerate(node.get(key, ())):
            yield f"{key}/{place}", inside
    for key in ("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"):
        if key in node and node[key] is not False:
            yield key, node[key]
