"""What the fake servers answer: deterministic texts that fit what was asked.

Owns no wire format. A token is four characters, so usage and cuts need no tokenizer. Greedy answers
depend on the messages alone, sampled ones on the seed as well.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

IN_WORDS = "JSON schema:\n"
"""Stands before a schema that is asked for in the prompt."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat request, whatever its wire format."""

    model: str
    messages: list[dict[str, str]]
    schema: dict[str, Any] | None
    temperature: float
    seed: int
    max_tokens: int

    @property
    def prompt(self) -> str:
        return "\n".join(message["content"] for message in self.messages)


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, whatever its wire format."""

    text: str
    cut: bool
    prompt_tokens: int
    completion_tokens: int


def tokens(text: str) -> int:
    return -(-len(text) // 4)


def answer(asked: Asked) -> Given:
    drawn = random.Random(f"{asked.prompt} {asked.seed if asked.temperature else ''}")  # noqa: S311
    text = _text(asked, drawn)
    kept = text[: 4 * asked.max_tokens]
    return Given(kept, kept != text, tokens(asked.prompt), tokens(kept))


def _text(asked: Asked, drawn: random.Random) -> str:
    if asked.schema is not None:
        return json.dumps(instance(asked.schema, asked.schema, drawn))
    if IN_WORDS in asked.prompt:
        schema, _ = json.JSONDecoder().raw_decode(asked.prompt.split(IN_WORDS)[1])
        return f"Here it is:\n```json\n{json.dumps(instance(schema, schema, drawn))}\n```"
    return f"Hello, here are some words for you: {drawn.getrandbits(64):x}."


def instance(schema: dict[str, Any], root: dict[str, Any], drawn: random.Random) -> Any:
    """Return a value that a schema allows."""
    if "$ref" in schema:
        return instance(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, drawn)
    if "const" in schema:
        return schema["const"]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return instance(drawn.choice(schema[several]), root, drawn)
    if "enum" in schema:
        return drawn.choice(schema["enum"])
    kind = schema.get("type", "object")
    if kind == "object":
        return {k: instance(v, root, drawn) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema["items"], root, drawn) for _ in range(schema.get("minItems", 1))]
    scalars = {
        "string": f"word{drawn.randrange(1000)}",
        "integer": drawn.randrange(1000),
        "number": drawn.random(),
        "boolean": drawn.random() < 0.5,
        "null": None,
    }
    return scalars[kind]
