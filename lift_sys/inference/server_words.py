"""What the words of a server mean: its message, a web page, a prompt that is too long.

Knows no server in particular and sends nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOO_LONG = re.compile(
    r"context (length|limit|window|size)|prompt is too long|max(imum)?[ _]model[ _]len", re.I
)
_TITLE = re.compile(r"<(?:title|h1)[^>]*>([^<]*)<", re.I)


def message_in(body: Any) -> str:
    """Return the message of an error body of the form that most servers use; empty if none."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or ""
    return whole(error) if isinstance(error, str) else json.dumps(error)


def whole(text: str) -> str:
    """Return a text with each half of a surrogate pair, which nothing can carry, as U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def does_not_fit(status: int, said: str) -> bool:
    """Return whether a refusal says that the prompt is too long for the model."""
    return status == 413 or (status in {400, 422} and _TOO_LONG.search(said) is not None)


def is_page(text: str) -> bool:
    """Return whether a text is a web page."""
    return text[:200].lstrip().lower().startswith(("<!doctype", "<html"))


def page_words(page: str) -> str:
    """Return what a person is told of a web page: that it is one, and its title."""
    found = _TITLE.search(page[:20_000])
    title = " ".join(found[1].split())[:80] if found else ""
    return f"a web page ({title})" if title else "a web page"
