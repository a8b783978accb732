"""What a request becomes on its way to a model, and an answer on its way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dspy.lm15 import Config, FunctionTool, ImagePart, Message, Request

from lift_sys.errors import ProviderError
from lift_sys.inference.chat import DEFAULT_MAX_TOKENS, Answer, chat_body, to_response

SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def ask(config: Config | None = None, **fields: object) -> Request:
    values: dict[str, object] = {"model": "m", "messages": (Message.user("hi"),), **fields}
    return Request(**values, config=config or Config())


def test_turns_keep_their_order_and_roles() -> None:
    request = ask(
        system="be brief",
        messages=(Message.user("a"), Message.assistant("b"), Message.developer("c")),
    )
    assert [(m["role"], m["content"]) for m in chat_body(request)["messages"]] == [
        ("system", "be brief"),
        ("user", "a"),
        ("assistant", "b"),
        ("system", "c"),
    ]


def test_a_schema_is_sent_strict_in_the_server_s_shape() -> None:
    asked = {"type": "json_schema", "name": "IR", "schema": SCHEMA, "strict": False}
    body = chat_body(ask(Config(response_format=asked)))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "IR", "schema": SCHEMA, "strict": True},
    }


def test_plain_json_mode_is_passed_on() -> None:
    body = chat_body(ask(Config(response_format={"type": "json_object"})))
    assert body["response_format"] == {"type": "json_object"}


def test_settings_reach_the_body() -> None:
    config = Config(temperature=0.7, top_p=0.9, top_k=3, seed=5, max_tokens=9, stop=("x", "y"))
    body = chat_body(ask(config))
    assert {k: body[k] for k in ("temperature", "top_p", "top_k", "seed", "max_tokens")} == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 3,
        "seed": 5,
        "max_tokens": 9,
    }
    assert body["stop"] == ["x", "y"]


def test_a_bare_request_is_greedy_seeded_and_bounded() -> None:
    body = chat_body(ask())
    assert (body["temperature"], body["seed"]) == (0.0, 0)
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS
    assert "response_format" not in body


@pytest.mark.parametrize("seed", [2**32 - 1, 2**40, -1])
def test_no_seed_becomes_the_server_s_word_for_random(seed: int) -> None:
    assert 0 <= chat_body(ask(Config(seed=seed)))["seed"] < 2**32 - 1


def test_tools_and_images_are_refused() -> None:
    with pytest.raises(ProviderError, match="takes no tools"):
        chat_body(ask(tools=(FunctionTool(name="f", description="d", parameters=SCHEMA),)))
    image = ImagePart(url="https://example.org/a.png", media_type="image/png")
    with pytest.raises(ProviderError, match="text only; remove the image part"):
        chat_body(ask(messages=(Message(role="user", parts=(image,)),)))


def test_an_answer_can_be_written_whatever_the_model_said() -> None:
    assert Answer("odd \ud83d", "stop", 5, 2, 3).text == "odd \ufffd"
    assert replace(Answer("x", "stop", 5, 2, 3), text="\udc00").text == "\ufffd"


@pytest.mark.parametrize(
    "wrong",
    [{"text": ["x"]}, {"finish_reason": None}, {"prompt_tokens": -1}, {"cached_tokens": "2"}],
)
def test_what_is_no_answer_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"texts|tokens"):
        replace(Answer("x", "stop", 5, 2, 3), **wrong)


def test_a_cut_off_answer_says_so() -> None:
    answer = Answer("x", "length", prompt_tokens=5, cached_tokens=2, completion_tokens=3)
    response = to_response(ask(), answer)
    assert response.finish_reason == "length"
    assert response.text == "x"
    usage = response.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (5, 2, 3)
