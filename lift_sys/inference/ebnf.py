r"""A JSON schema as a grammar whose texts are cheap to follow.

Owns the EBNF that XGrammar is given for the schemas of wire forms. XGrammar decides beforehand
which tokens stay within a rule; those that leave it are tried again before every token of an
answer. In its own translation of a schema a text ends with its quote, so before each token of a
text it tries the hundreds that begin with a quote. Here the rule of a text ends behind the sign
that follows it, which leaves few to try. Both allow the same answers, but for white space.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SPACE = r'"" | " " | "\n" "\n"? [ \t]{0,20}'
"""White space between two parts, as llama.cpp allows it: a model may indent JSON as it is used to,
and cannot fill an answer with blanks."""

_COMMA, _BRACKET, _BRACE = 'space "," space', 'space "]"', 'space "}"'
_TEXTS = {"": "text", _COMMA: "text_comma", _BRACKET: "text_bracket", _BRACE: "text_brace"}
"""The rule of a text by what follows it, which is part of the rule."""

_ESCAPE = r'["\\/bfnrt] | "u" [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9]'
_ANNOTATIONS = {"title", "description"}

Rules = dict[str, str]


def ebnf_of(schema: Any) -> str | None:
    """Return the grammar of the answers that a JSON schema allows.

    Args:
        schema: Of objects with named properties that are all required, lists with a largest number
            of items, texts, texts with a pattern, and enumerations.

    Returns:
        XGrammar's EBNF; ``None`` for a schema that holds anything else.
    """
    rules: Rules = {"escape": _ESCAPE, "space": _SPACE}
    try:
        root = _value(schema, "", rules)
    except NotImplementedError:
        return None
    return "\n".join(f"{name} ::= {body}" for name, body in {"root": root, **rules}.items())


def _value(schema: Any, end: str, rules: Rules) -> str:
    """Return an expression for a value and what follows it, and add the rules that it names.

    Raises:
        NotImplementedError: The schema holds what is not translated.
    """
    match _bare(schema):
        case {"type": "string", **rest} if not rest:
            return _text(end, rules)
        case {"type": "string", "pattern": str(pattern), **rest} if not rest:
            held = json.dumps(pattern, ensure_ascii=False)
            return rf'"\"" Regex({held}, json_string=true) "\"" {end}'
        case {"enum": [_, *_] as values, **rest} if rest.keys() <= {"type"}:
            return f"({' | '.join(map(_literal, values))}) {end}"
        case {"type": "array", "items": items, "maxItems": int(most), **rest} if not rest and most:
            return f"{_list(items, most, rules)} {end}"
        case {
            "type": "object",
            "properties": dict() as properties,
            "required": required,
            "additionalProperties": False,
            **rest,
        } if not rest and properties and {*required} == {*properties}:
            return f"{_object(properties, rules)} {end}"
    raise NotImplementedError


def _bare(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    return {key: value for key, value in schema.items() if key not in _ANNOTATIONS}


def _literal(value: Any) -> str:
    """Return what matches the JSON of a value; JSON escapes in the way that EBNF does."""
    return json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)


def _text(end: str, rules: Rules) -> str:
    name = _TEXTS[end]
    rest = f"{name}_rest"
    rules |= {
        name: rf'"\"" {rest}',
        rest: rf'"\"" {end} | [^\0-\x1f"\\\r\n] {rest} | "\\" escape {rest}',
    }
    return name


def _list(items: Any, most: int, rules: Rules) -> str:
    if _bare(items) == {"type": "string"}:
        before, last = _text(_COMMA, rules), _text(_BRACKET, rules)
        some = f"{before}{{0,{most - 1}}} {last}" if most > 1 else last
    else:
        item = _named("item", _value(items, "", rules), rules)
        more = f"({_COMMA} {item}){{0,{most - 1}}}" if most > 1 else ""
        some = f"{item} {more} {_BRACKET}"
    # Where llama.cpp expects an item it allows white space twice.
    return _named("list", f'"[" space space "]" | "[" space {some}', rules)


def _object(properties: Mapping[str, Any], rules: Rules) -> str:
    last = list(properties)[-1]
    parts = [
        f'{_literal(name)} space ":" space '
        + _value(schema, _BRACE if name == last else _COMMA, rules)
        for name, schema in properties.items()
    ]
    return f'"{{" space {" ".join(parts)}'


def _named(kind: str, body: str, rules: Rules) -> str:
    """Return the name of a rule with this body; equal ones share it."""
    known = next((name for name, other in rules.items() if other == body), None)
    name = known or f"{kind}_{len(rules)}"
    rules[name] = body
    return name
