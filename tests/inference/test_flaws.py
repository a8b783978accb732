"""What makes an answer unusable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dspy.lm15 import Config, Message, Request, Response
from dspy.lm15 import Usage as TokenUsage
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.flaws import flaw_of

SCHEMA = {
    "type": "object",
    "properties": {"words": {"type": "array", "items": {"$ref": "#/$defs/word"}}},
    "required": ["words"],
    "additionalProperties": False,
    "$defs": {"word": {"type": "string", "minLength": 1}},
}
STRICT: dict[str, Any] = {"type": "json_schema", "name": "answer", "schema": SCHEMA}


def flaw(text: str, asked: dict[str, Any] | None = STRICT, finish: str = "stop") -> str | None:
    request = Request(
        model="m", messages=(Message.user("hi"),), config=Config(response_format=asked)
    )
    response = Response(
        id=None,
        model="m",
        message=Message.assistant(text),
        finish_reason=finish,
        usage=TokenUsage(input_tokens=1, output_tokens=1),
    )
    return flaw_of(request, response)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"words": ["a"]}', None),
        ('{"words": []}', None),
        ('{"words": [""]}', "not of the schema"),
        ('{"words": ["a"], "more": 1}', "not of the schema"),
        ("[]", "not of the schema"),
        ('{"words": ["a"]} and more', "not JSON"),
        ("```json\n{}\n```", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("", "empty"),
        (" \n", "empty"),
    ],
)
def test_what_does_not_fit(text: str, expected: str | None) -> None:
    assert flaw(text) == expected


def test_a_cut_answer_is_unusable_whatever_it_holds() -> None:
    assert flaw('{"words": []}', finish="length") == "cut off"
    assert flaw("def f", None, finish="length") == "cut off"


def test_without_a_schema_only_json_and_without_a_form_any_text_will_do() -> None:
    assert flaw("[1]", {"type": "json_object"}) is None
    assert flaw("no", {"type": "json_object"}) == "not JSON"
    assert flaw("no", None) is None


@given(st.lists(st.text(min_size=1)))
def test_every_value_of_the_schema_fits(words: list[str]) -> None:
    assert flaw(json.dumps({"words": words})) is None
