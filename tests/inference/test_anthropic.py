"""Claude through the Messages API: what is sent, and what is read.

The bodies are written from the API's documented format. They were not recorded from the live API,
which these tests cannot reach.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lift_sys.inference.anthropic import REFUSED, messages_body
from lift_sys.inference.chat import Answer
from lift_sys.ir.schema import WireCritique, WireIR, wire_schema
from tests.inference.chat_server import FORMAT, IR
from tests.inference.messages_api import (
    BODY,
    CLAUDE,
    KEY,
    ask,
    message,
    raised,
    with_structure,
)


def test_a_chat_body_becomes_a_messages_request() -> None:
    answer, (body,), api = ask(message(), stop=["END"])

    assert body == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 512,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "system": [
            {"type": "text", "text": "Write an IR.", "cache_control": {"type": "ephemeral"}}
        ],
        "messages": [{"role": "user", "content": "Spec: Double x."}],
    }
    (request,) = api.requests
    assert str(request.url) == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert answer == Answer("hello", "stop", 20, 0, 5)


def test_the_prompts_tokens_are_those_read_written_and_passed_by_the_cache() -> None:
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 1100,
        "output_tokens": 5,
    }
    answer, _, _ = ask(message(usage=usage))
    assert (answer.prompt_tokens, answer.cached_tokens) == (1420, 1100)

    answer, _, _ = ask(message(usage={"input_tokens": 20, "output_tokens": 5}))
    assert (answer.prompt_tokens, answer.cached_tokens) == (20, 0)


def test_an_entry_may_name_another_url_and_no_system_prompt_is_none() -> None:
    info = CLAUDE.model_copy(update={"urls": ("http://gateway.example/v1/",)})
    _, (body,), api = ask(message(), info=info, messages=BODY["messages"][1:])

    assert str(api.requests[0].url) == "http://gateway.example/v1/messages"
    assert "system" not in body


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"temperature": 0.0, "top_p": 0.9}, {"temperature": 0.0}),
        ({"temperature": 1.0, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0.5, "top_k": 40}, {"temperature": 0.5, "top_k": 40}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0.5}, {"temperature": 0.5}),
    ],
)
def test_of_the_sampling_is_sent_what_the_api_takes(
    asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    body = messages_body({**BODY, **asked}, CLAUDE)
    assert {k: v for k, v in body.items() if k not in {"model", "max_tokens"}} == sent | {
        "system": body["system"],
        "messages": body["messages"],
    }


def test_a_temperature_and_top_p_are_refused_before_anything_is_sent() -> None:
    error, api = raised(message(), temperature=0.7, top_p=0.9)
    assert "takes a temperature or top_p, not both; set top_p to 'model'" in str(error)
    assert api.requests == []


def test_a_model_without_sampling_is_sent_none() -> None:
    _, (body,), _ = ask(message(), info=with_structure(sampling=False), top_p=0.9, top_k=4)
    assert not {"temperature", "top_p", "top_k"} & set(body)


def test_a_schema_goes_out_as_structured_output_without_the_bounds_it_has_no_words_for() -> None:
    answer, (body,), _ = ask(message(json.dumps(IR)), response_format=FORMAT)

    assert json.loads(answer.text) == IR
    asked = body["output_config"]["format"]
    assert asked["type"] == "json_schema"
    schema = asked["schema"]
    assert "maxItems" not in json.dumps(schema)
    assert schema["properties"]["assertions"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "at most 5 items.",
    }
    assert schema["required"] == list(IR)
    assert schema["additionalProperties"] is False
    assert "maxItems" in json.dumps(wire_schema(WireIR))


def test_nested_bounds_and_enumerations_keep_their_meaning() -> None:
    schema = wire_schema(WireCritique)
    body = messages_body(
        {**BODY, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
        CLAUDE,
    )
    sent = body["output_config"]["format"]["schema"]["properties"]
    assert sent["overall_quality"] == schema["properties"]["overall_quality"]
    assert sent["issues"]["items"] == schema["properties"]["issues"]["items"]


def test_what_the_decoder_did_not_hold_is_asked_for_again() -> None:
    many = IR | {"assertions": [f"double({i}) == {2 * i}" for i in range(6)]}
    answer, bodies, _ = ask(
        message(json.dumps(many)), message(json.dumps(IR)), response_format=FORMAT
    )

    assert json.loads(answer.text) == IR
    assert (answer.prompt_tokens, answer.completion_tokens) == (40, 10)
    assert "$.assertions" in bodies[1]["messages"][-1]["content"]


def test_an_entry_may_ask_for_a_forced_tool_call() -> None:
    call = {"type": "tool_use", "id": "toolu_01A", "name": "answer", "input": IR}
    said = {"type": "text", "text": "I will call the tool."}
    answer, (body,), _ = ask(
        message(stop_reason="tool_use", content=[said, call]),
        info=with_structure("tool"),
        response_format=FORMAT,
    )

    assert json.loads(answer.text) == IR
    assert answer.finish_reason == "stop"
    assert body["tools"][0]["input_schema"] == wire_schema(WireIR)
    assert body["tool_choice"] == {
        "type": "tool",
        "name": "answer",
        "disable_parallel_tool_use": True,
    }
    assert "output_config" not in body


def test_an_entry_may_ask_in_words_and_the_answer_is_read_with_tolerance() -> None:
    answer, (body,), _ = ask(
        message(f"Here it is:\n```json\n{json.dumps(IR, indent=1)}\n```\nAnything else?"),
        info=with_structure("words"),
        response_format=FORMAT,
    )

    assert json.loads(answer.text) == IR
    assert not {"output_config", "tools"} & set(body)
    assert json.dumps(wire_schema(WireIR)) in body["system"][0]["text"]


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    answer, (body,), _ = ask(message('{"a": 1}'), response_format={"type": "json_object"})
    assert answer.text == '{"a": 1}'
    assert "output_config" not in body


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
    ],
)
def test_stop_reasons_have_our_names(stop_reason: str, finish_reason: str) -> None:
    answer, _, _ = ask(message(stop_reason=stop_reason))
    assert answer.finish_reason == finish_reason


def test_a_refusal_says_so_in_place_of_what_was_said_before_it() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Against the policy."}
    answer, bodies, _ = ask(
        message("Sure, first", "refusal", stop_details=details), response_format=FORMAT
    )
    assert answer.text == f"{REFUSED} Against the policy."
    assert len(bodies) == 1


def test_thinking_is_no_part_of_the_answer() -> None:
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hello"}]
    assert ask(message(content=blocks))[0].text == "hello"
