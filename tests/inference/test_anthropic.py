"""Claude through the Messages API: what is sent, what is read, and what goes wrong.

The bodies are written from the API's documented format. They were not recorded from the live API,
which these tests cannot reach.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import dspy
import httpx
import pytest

from lift_sys.errors import ModelError, ProviderError
from lift_sys.inference import catalogue
from lift_sys.inference.anthropic import REFUSED, connect, messages_body
from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.lm import build_lm
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.inference.tolerant import REPAIR_TURNS
from lift_sys.inference.usage import recording
from lift_sys.ir.schema import WireCritique, WireIR, wire_schema
from lift_sys.sandbox import Sandbox
from programs.hypers import set_hypers
from programs.presets import make_program

KEY = "sk-ant-very-secret"
CLAUDE = catalogue.get("claude")
QUICK = Retries(tries=3, first=0.01, most=0.05)
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
CODE = "```python\ndef double(x):\n    return 2 * x\n```"
BODY: dict[str, Any] = {
    "model": "local/claude",
    "messages": [
        {"role": "system", "content": "Write an IR."},
        {"role": "user", "content": "Spec: Double x."},
    ],
    "temperature": 0.5,
    "seed": 7,
    "max_tokens": 512,
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "WireIR", "schema": wire_schema(WireIR), "strict": True},
}


def with_structure(structured: str | None = None, **more: Any) -> ModelInfo:
    return CLAUDE.model_copy(update={"structured": structured, **more})


def message(text: str = "hello", stop_reason: str = "end_turn", **more: Any) -> httpx.Response:
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 5,
    }
    reply = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return httpx.Response(200, json=reply | more)


def failure(status: int, kind: str, said: str, **headers: str) -> httpx.Response:
    error = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_011C"}
    return httpx.Response(status, json=error, headers=headers)


class Api:
    """Answers in turn; the last answer is repeated."""

    def __init__(self, answers: Sequence[httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = answers

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


def ask(
    *answers: httpx.Response, info: ModelInfo = CLAUDE, **more: Any
) -> tuple[Answer, list[dict[str, Any]], Api]:
    """Return the answer to the body with ``more`` in it, and what was sent for it."""
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))

    async def once() -> Answer:
        return await send({**BODY, **more})

    return asyncio.run(once()), api.bodies, api


def raised(*answers: httpx.Response, info: ModelInfo = CLAUDE, **more: Any) -> tuple[Any, Api]:
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))

    async def once() -> None:
        await send({**BODY, **more})

    with pytest.raises(EngineError) as caught:
        asyncio.run(once())
    sentence = str(caught.value)
    assert KEY not in sentence
    assert "\n" not in sentence
    return caught.value, api


def test_a_chat_body_becomes_a_messages_request() -> None:
    answer, (body,), api = ask(message(), stop=["END"])

    assert body == {
        "model": "claude-sonnet-4-5",
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


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            failure(401, "authentication_error", f"invalid x-api-key {KEY}"),
            StatusError,
            "set the right key in ANTHROPIC_API_KEY",
        ),
        (failure(403, "permission_error", "no access"), StatusError, "refuses the key"),
        (
            failure(404, "not_found_error", "model: claude-x"),
            StatusError,
            "claude-x; check the URL and the model's name",
        ),
        (
            failure(400, "invalid_request_error", "Your credit balance is too low"),
            StatusError,
            "credit balance is too low",
        ),
        (
            failure(400, "invalid_request_error", "`temperature` is deprecated for this model."),
            StatusError,
            r"write sampling = false into \[claude\] of your models.toml",
        ),
        (
            failure(400, "invalid_request_error", "output_config.format: not supported"),
            StatusError,
            'structured = "tool"',
        ),
        (
            failure(
                400,
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
            ),
            PromptTooLongError,
            "does not fit",
        ),
        (
            failure(
                400,
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000",
            ),
            PromptTooLongError,
            "does not fit",
        ),
        (failure(413, "request_too_large", "too many bytes"), PromptTooLongError, "shorten it"),
        (
            httpx.Response(200, text="<html><title>Sign in</title>"),
            StatusError,
            r"a web page \(Sign in\)",
        ),
        (httpx.Response(200, json={"answer": 1}), EngineError, "no message; check the URL"),
        (httpx.Response(200, json={"usage": None}), EngineError, "no message; check the URL"),
        (message(content=[{"text": "x"}]), EngineError, "no message; check the URL"),
    ],
    ids=str,
)
def test_a_refused_request_is_one_sentence_and_is_not_repeated(
    answer: httpx.Response, kind: type[EngineError], words: str
) -> None:
    error, api = raised(answer)

    assert type(error) is kind
    assert re.search(words, str(error))
    assert isinstance(error, ProviderError)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "first",
    [
        failure(429, "rate_limit_error", "slow down", **{"retry-after": "0"}),
        failure(529, "overloaded_error", "Overloaded"),
        failure(500, "api_error", "Internal server error"),
        httpx.Response(502, text="<html><title>Bad Gateway</title></html>"),
        httpx.Response(200, content=b'{"type": "message", "content": [{"ty'),
        httpx.Response(200, content=b""),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(first: httpx.Response) -> None:
    answer, bodies, _ = ask(first, message())
    assert (answer.text, len(bodies)) == ("hello", 2)

    error, api = raised(first)
    assert isinstance(error, UnavailableError)
    assert len(api.requests) == QUICK.tries


def test_an_answer_that_does_not_come_is_given_up() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    send = connect(with_structure(timeout=0.05), KEY, transport=httpx.MockTransport(never))

    async def once() -> None:
        await send(BODY)

    with pytest.raises(TimedOutError, match=r"within 0\.05 s"):
        asyncio.run(once())


def test_without_its_key_the_model_is_refused_before_anything_is_asked(tmp_path: Any) -> None:
    for keys in (None, {}, {"ANTHROPIC_API_KEY": ""}):
        with pytest.raises(ModelError, match="model claude needs a key: set ANTHROPIC_API_KEY"):
            build_lm("claude", tmp_path, keys=keys)
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        catalogue.get_servable("qwen2.5-coder-0.5b>claude", {})
    assert catalogue.get_servable("claude").id == "claude"


def test_with_its_key_it_is_a_model_that_tells_the_key_to_nobody(tmp_path: Any) -> None:
    lm = build_lm("claude", tmp_path, keys={"ANTHROPIC_API_KEY": KEY})
    assert lm.engine.concurrency == CLAUDE.concurrency
    assert KEY not in f"{lm.dump_state()} {lm!r} {vars(lm)} {vars(lm.engine)}"


def lm_of(model_id: str, info: ModelInfo, *answers: httpx.Response) -> tuple[dspy.LM, Api]:
    api = Api(answers)
    send = connect(info, KEY, retries=QUICK, transport=httpx.MockTransport(api))
    engine = ChatEngine(send, model_id)
    return dspy.LM(f"local/{model_id}", engine=engine, cache=False, num_retries=0), api


@pytest.mark.parametrize("structured", ["schema", "tool", "words"])
def test_the_ir_is_claudes_and_the_code_another_models(sandbox: Sandbox, structured: str) -> None:
    call = {"type": "tool_use", "id": "toolu_01A", "name": "answer", "input": IR}
    reply = (
        message(stop_reason="tool_use", content=[call])
        if structured == "tool"
        else message(json.dumps(IR))
    )
    claude, thinking = lm_of("claude", with_structure(structured), reply)
    other, writing = lm_of("other", CLAUDE, message(CODE))
    program = make_program("single", sandbox).with_models({"claude": claude}.__getitem__)
    set_hypers(program, {"ir_generator.model": "claude", "code_sees": "ir"})

    with recording() as calls, dspy.context(lm=other):
        made = program(spec="Return the double of x.", entry_point="double")

    assert "return 2 * x" in made.code
    assert made.ir.intent.summary == "Doubles x"
    assert [(call.model, call.stage) for call in calls] == [("claude", "ir"), ("other", "code")]
    assert (len(thinking.requests), len(writing.requests)) == (1, 1)


WRONG = message(json.dumps(IR | {"effects": [1, 2]}))


@pytest.mark.parametrize(
    ("reply", "requests", "failed"),
    [
        (message(""), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message("I'd rather talk."), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (WRONG, 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message(json.dumps(IR)[:60]), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message(json.dumps(IR)[:60], "max_tokens"), 1, "truncated: the ir stage was cut off"),
        (message(json.dumps(IR)[:-1], "max_tokens"), 1, "truncated: the ir stage was cut off"),
        (message("", "refusal"), 1, "other: the model refused to answer in the ir stage"),
    ],
)
@pytest.mark.parametrize("structured", ["schema", "words"])
def test_a_bad_answer_is_a_failed_attempt_and_its_tokens_count(
    sandbox: Sandbox, reply: httpx.Response, requests: int, failed: str, structured: str
) -> None:
    claude, api = lm_of("claude", with_structure(structured), reply)

    with recording() as calls, dspy.context(lm=claude):
        made = make_program("single", sandbox)(spec="Double x.", entry_point="double")

    assert made.code is None or made.code == ""
    assert made.failure.startswith(failed)
    assert len(api.requests) == requests
    (call,) = calls
    assert (call.prompt_tokens, call.completion_tokens) == (20 * requests, 5 * requests)


def test_a_failing_api_is_no_failed_attempt(sandbox: Sandbox) -> None:
    claude, _ = lm_of("claude", CLAUDE, failure(529, "overloaded_error", "Overloaded"))
    with dspy.context(lm=claude), pytest.raises(ProviderError, match="Overloaded"):
        make_program("single", sandbox)(spec="Double x.", entry_point="double")
