"""What makes an answer unusable for whoever asked, as far as the request alone can tell.

Owns the check. What an answer means, and whether it is right, is not known here.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Literal

from dspy.lm15 import Request, Response
from jsonschema import Draft202012Validator

from lift_sys.record import canonical_json

Flaw = Literal["empty", "cut off", "not JSON", "not of the schema"]


def flaw_of(request: Request, response: Response) -> Flaw | None:
    """Return why an answer cannot be used; ``None`` where nothing is wrong with it."""
    text = response.message.text or ""
    if response.finish_reason == "length":
        return "cut off"
    if not text.strip():
        return "empty"
    asked = request.config.response_format
    if asked is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON"
    if asked["type"] != "json_schema":
        return None
    fits = _validator(canonical_json(asked["schema"])).is_valid(value)
    return None if fits else "not of the schema"


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    return Draft202012Validator(json.loads(schema))
