"""Reading JSON that nobody constrained, and asking for it again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.chat import Answer
from lift_sys.inference.tolerant import (
    ANY_OBJECT,
    REPAIR_TURNS,
    MisfitError,
    Validated,
    conforming,
    in_words,
    schema_of,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "steps": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["summary", "steps"],
    "additionalProperties": False,
}
FINE = {"summary": 'it says "hi" {x}', "steps": ["a"]}
TEXT = json.dumps(FINE)
BODY: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Write it."}, {"role": "user", "content": "go"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "W", "schema": SCHEMA, "strict": True},
    },
    "max_tokens": 9,
}


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}",
        f"Here you are:\n{TEXT}",
        f"The set {{1, 2}} first.\n\n{TEXT}",
        f"{TEXT}\n\nHope this helps, it's 5\" wide!",
        f'{{"note": 1}}\n{TEXT}',
        TEXT.removesuffix("}"),
        TEXT.replace("]}", ",]}"),
        "{'summary': 'it says \"hi\" {x}', 'steps': ['a']}",
        json.dumps(FINE, indent=4),
    ],
)
def test_an_object_is_found_wherever_it_is(text: str) -> None:
    assert json.loads(conforming(text, SCHEMA)) == FINE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no complete JSON object"),
        ("I would rather not.", "no complete JSON object"),
        ("[1, 2]", "no complete JSON object"),
        ('{"summary": "s", "steps": ["a", "b', "no complete JSON object"),
        ('{"summary": "s {x} and', "no complete JSON object"),
        ('{"summary": 1, "steps": []}', r"\$.summary: 1 is not of type 'string'"),
        ('{"summary": "s"}', "'steps' is a required property"),
        ('{"summary": "s", "steps": [], "x": 1}', "'x' was unexpected"),
        ('{"summary": "s", "steps": ["a", "b", "c"]}', r"\$.steps"),
        ("{" * 100_000, "no complete JSON object"),
        ('{"a":' * 5_000, r"\$|no complete"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(MisfitError, match=reason) as caught:
        conforming(text, SCHEMA)
    assert len(str(caught.value)) <= 200


def test_no_inner_object_stands_for_a_broken_outer_one() -> None:
    with pytest.raises(MisfitError):
        conforming('{"steps": [{"a": 1}, {"b": "x', ANY_OBJECT)


@given(
    st.fixed_dictionaries(
        {"summary": st.text(), "steps": st.lists(st.text(), max_size=2)},
    ),
    st.sampled_from(["", "Sure!\n", "```json\n"]),
    st.sampled_from(["", "\n```", " Anything else?"]),
)
def test_every_object_comes_back_from_what_is_around_it(
    value: dict[str, Any], before: str, after: str
) -> None:
    assert json.loads(conforming(before + json.dumps(value) + after, SCHEMA)) == value


@given(st.data())
def test_what_breaks_off_inside_a_string_is_never_completed(data: st.DataObject) -> None:
    value = {"summary": data.draw(st.text(min_size=1)), "steps": ["a long last step"]}
    text = json.dumps(value)
    end = data.draw(st.integers(text.index("a long") + 1, text.rindex('"')))
    with pytest.raises(MisfitError):
        conforming(text[:end], SCHEMA)


def test_a_schema_is_asked_for_in_words() -> None:
    asked = in_words(BODY)

    assert "response_format" not in asked
    system, user = asked["messages"]
    assert system["content"].startswith("Write it.\n\nReply with one JSON object alone")
    assert json.loads(system["content"].splitlines()[-1]) == SCHEMA
    assert user == BODY["messages"][1]
    assert in_words(asked) == asked

    bare = in_words({**BODY, "messages": BODY["messages"][1:]})
    assert [m["role"] for m in bare["messages"]] == ["system", "user"]


def test_json_without_a_schema_is_any_object() -> None:
    assert schema_of({"response_format": {"type": "json_object"}}) == ANY_OBJECT
    assert schema_of({}) is None


def run(*answers: Answer, body: dict[str, Any] = BODY) -> tuple[Answer, list[dict[str, Any]]]:
    """Return the answer, and the bodies that were sent for it."""
    bodies: list[dict[str, Any]] = []

    async def send(sent: dict[str, Any]) -> Answer:
        bodies.append(sent)
        return answers[len(bodies) - 1]

    async def ask() -> Answer:
        return await Validated(send)(body)

    return asyncio.run(ask()), bodies


def said(text: str, reason: str = "stop") -> Answer:
    return Answer(text, reason, 10, 4, 3)


def test_what_is_wrong_is_said_and_every_turn_is_counted() -> None:
    answer, bodies = run(said("no idea"), said('{"summary": 5, "steps": []}'), said(TEXT))

    assert json.loads(answer.text) == FINE
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (30, 12, 9)
    *_, mine, correction = bodies[2]["messages"]
    assert mine == {"role": "assistant", "content": '{"summary": 5, "steps": []}'}
    assert "$.summary: 5 is not of type 'string'" in correction["content"]
    assert bodies[0] == BODY
    assert bodies[2]["response_format"] == BODY["response_format"]


def test_after_the_last_turn_the_answer_is_what_it_is() -> None:
    wrong = said('{"summary": 5, "steps": []}')
    answer, bodies = run(*[wrong] * 9)

    assert len(bodies) == 1 + REPAIR_TURNS
    assert answer.text == wrong.text
    assert answer.completion_tokens == 3 * len(bodies)


@pytest.mark.parametrize("reason", ["length", "refusal"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_answer_without_its_end_stays_one(reason: str, before: int) -> None:
    cut = TEXT if reason == "length" else "The model refused to answer."
    answer, bodies = run(*[said("hm")] * before, said(cut, reason), said(TEXT))

    assert (answer.text, answer.finish_reason) == (cut, reason)
    assert len(bodies) == before + 1


def test_an_empty_answer_is_not_repeated_to_the_model() -> None:
    _, bodies = run(said(" "), said(TEXT))
    assert [m["role"] for m in bodies[1]["messages"]] == ["system", "user", "user"]


def test_text_is_left_alone() -> None:
    body = {k: v for k, v in BODY.items() if k != "response_format"}
    answer, bodies = run(said("```python\nx\n```"), body=body)
    assert (answer.text, bodies) == ("```python\nx\n```", [body])
