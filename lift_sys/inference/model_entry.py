"""One table of the user's models.toml, written without touching the rest of the file.

Owns the edit of the text. It is done line by line, so comments and order stay, and then checked:
the new text must read as the old one with exactly the asked change. Where it does not, there is no
new text.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Any

_HEADER = re.compile(r"^\s*\[")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def lines_of(model_id: str, fields: Mapping[str, Any]) -> str:
    """Return a model's table as TOML: texts, numbers, dates, lists and flat tables."""
    body = "".join(f"{_line(name, value)}\n" for name, value in fields.items())
    return f"[{_key(model_id)}]\n{body}"


def with_fields(text: str, model_id: str, fields: Mapping[str, Any]) -> str | None:
    """Return a file's text with these fields in the model's table, or ``None``.

    Everything else stays byte for byte.

    Args:
        text: Of the file; empty where there is none.
        model_id: Whose table is changed, or added at the end.
        fields: What they are afterwards; the table's other fields stay.

    Raises:
        tomllib.TOMLDecodeError: The file is no TOML.
    """
    old = tomllib.loads(text)
    if model_id not in old:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        new = f"{text}{gap}{lines_of(model_id, fields)}"
    else:
        new = _changed(text, model_id, fields)
    table = old.get(model_id)
    wanted = {**old, model_id: {**(table if isinstance(table, dict) else {}), **fields}}
    try:
        read = tomllib.loads(new)
    except tomllib.TOMLDecodeError:
        return None
    return new if read == wanted else None


def _changed(text: str, model_id: str, fields: Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    names = {re.escape(model_id), re.escape(_key(model_id)), re.escape(f"'{model_id}'")}
    header = re.compile(rf"^\s*\[\s*({'|'.join(names)})\s*\]")
    start = next((i + 1 for i, line in enumerate(lines) if header.match(line)), 0)
    end = next((i for i in range(start, len(lines)) if _HEADER.match(lines[i])), len(lines))
    for name, value in reversed(list(fields.items())):  # each new line comes first
        same = re.compile(rf"^\s*{re.escape(name)}\s*=")
        at = next((i for i in range(start, end) if same.match(lines[i])), None)
        if at is not None:
            lines[at] = f"{_line(name, value)}\n"
        else:
            lines.insert(start, f"{_line(name, value)}\n")
            end += 1
    return "".join(lines)


def _line(name: str, value: Any) -> str:
    return f"{_key(name)} = {_value(value)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_line(name, inner) for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(inner) for inner in value)}]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value)
