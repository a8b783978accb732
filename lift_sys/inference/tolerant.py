"""JSON from a model that no decoder held to the schema, or only to a part of it.

Owns how such an answer is read (in a fence, behind a preface, before a remark, with small faults),
checked against the whole schema, and asked for again. An answer that was cut off is never
completed: what is missing cannot be known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import json_repair
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import Send
from lift_sys.inference.server_words import whole

REPAIR_TURNS = 2
"""Most times that a model is told what is wrong with its JSON, in one call."""

ANY_OBJECT: dict[str, Any] = {"type": "object"}
"""The schema of a request for JSON that names none."""

_LONGEST_REASON = 200
_OBJECT = re.compile(r"""\{\s*["'}]""")
_ESCAPE = re.compile(r"\\.", re.DOTALL)


class MisfitError(ValueError):
    """An answer holds no JSON object of the schema; the message says what is wrong with it."""


def conforming(text: str, schema: dict[str, Any]) -> str:
    """Return the first JSON object in an answer that fits a schema, as JSON.

    Raises:
        MisfitError: There is none.
    """
    validator = Draft202012Validator(schema)
    reason = ""
    for value in _objects(text):
        error = best_match(validator.iter_errors(value))
        if error is None:
            return json.dumps(value, ensure_ascii=False)
        reason = reason or f"{error.json_path}: {error.message}"[:_LONGEST_REASON]
    raise MisfitError(reason or "it holds no complete JSON object")


def in_words(body: dict[str, Any]) -> dict[str, Any]:
    """Return a chat body that asks for its schema in the system message, for want of a better way.

    One that asks for no schema is returned as it is.
    """
    schema = schema_of(body)
    if schema is None:
        return body
    rest = {key: value for key, value in body.items() if key != "response_format"}
    request = f"Reply with one JSON object alone, of this JSON schema:\n{json.dumps(schema)}"
    first, *others = body["messages"]
    if first["role"] == "system":
        asked = [{**first, "content": f"{first['content']}\n\n{request}"}, *others]
    else:
        asked = [{"role": "system", "content": request}, first, *others]
    return rest | {"messages": asked}


@dataclass(frozen=True, slots=True)
class Validated:
    """A backend whose answers fit the schema that the request asks for, where it asks.

    An answer that does not is sent back with what is wrong with it, ``REPAIR_TURNS`` times; the
    tokens of all turns are in the usage of the one answer. The last turn is returned as it is when
    it does not fit either, and so is any that was cut off or refused.

    Attributes:
        send: The backend behind it.
        turns: Most requests that become one answer.
    """

    turns: ClassVar[int] = 1 + REPAIR_TURNS
    send: Send

    async def __call__(self, body: dict[str, Any]) -> Answer:
        """Answer a chat body."""
        schema = schema_of(body)
        if schema is None:
            return await self.send(body)
        answer = await self.send(body)
        for _ in range(REPAIR_TURNS):
            if answer.finish_reason != "stop":
                return answer
            try:
                return replace(answer, text=conforming(answer.text, schema))
            except MisfitError as error:
                body = _asked_again(body, answer.text, whole(str(error)))
            answer = _after(answer, await self.send(body))
        return _read(answer, schema)


def schema_of(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema that a chat body asks for: any object where it asks for JSON alone."""
    asked = body.get("response_format")
    if asked is None:
        return None
    if asked["type"] != "json_schema":
        return ANY_OBJECT
    schema: dict[str, Any] = asked["json_schema"]["schema"]
    return schema


def _read(answer: Answer, schema: dict[str, Any]) -> Answer:
    if answer.finish_reason != "stop":
        return answer
    try:
        return replace(answer, text=conforming(answer.text, schema))
    except MisfitError:
        return answer


def _asked_again(body: dict[str, Any], text: str, reason: str) -> dict[str, Any]:
    said = [{"role": "assistant", "content": text}] if text.strip() else []
    correction = (
        f"This is not the JSON object that was asked for: {reason}."
        " Reply with the corrected JSON object alone."
    )
    turns = [*body["messages"], *said, {"role": "user", "content": correction}]
    return body | {"messages": turns}


def _after(before: Answer, answer: Answer) -> Answer:
    """Return an answer with the tokens of those before it."""
    return replace(
        answer,
        prompt_tokens=before.prompt_tokens + answer.prompt_tokens,
        cached_tokens=before.cached_tokens + answer.cached_tokens,
        completion_tokens=before.completion_tokens + answer.completion_tokens,
    )


def _objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects in a text that are not inside others; at last a mended one."""
    decoder = json.JSONDecoder()
    end = 0
    while match := _OBJECT.search(text, end):
        try:
            value, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            yield from _mended(text[match.start() :])
            return
        yield value


def _mended(text: str) -> Iterator[Any]:
    """Yield what a faulty object means, unless it breaks off inside a string."""
    if _ESCAPE.sub("", text).count('"') % 2:
        return
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value
