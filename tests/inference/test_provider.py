"""A model of any provider, through litellm itself, against a server on this machine.

The bodies are written from the documented format of OpenAI's API; no provider can be reached here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import dspy
import pytest

from lift_sys.errors import ConfigError, ModelError, ProviderError
from lift_sys.inference import catalogue
from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.lm import build_lm, require_servable
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.provider import connect
from lift_sys.inference.tolerant import REPAIR_TURNS
from lift_sys.inference.usage import recording
from lift_sys.ir.schema import WireIR, wire_schema
from lift_sys.sandbox import Sandbox
from programs.presets import make_program
from tests.inference.chat_server import (
    BODY,
    FORMAT,
    IR,
    KEY,
    QUICK,
    Reply,
    Server,
    completion,
    failure,
)


def ask(loop: Any, server: Server, info: ModelInfo | None = None, **more: Any) -> Answer:
    send = connect(info or server.info(), KEY, retries=QUICK)

    async def once() -> Answer:
        return await send({**BODY, **more})

    answer: Answer = loop(once())
    return answer


def raised(loop: Any, server: Server, **more: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        ask(loop, server, **more)
    sentence = str(caught.value)
    assert KEY not in sentence
    assert "\n" not in sentence
    return caught.value


def test_a_chat_body_goes_to_the_provider(loop: Any, server: Server) -> None:
    answer = ask(loop, server, stop=["END"])

    assert answer == Answer("hello", "stop", 20, 8, 5)
    (body,) = server.bodies
    assert body == {**BODY, "model": "some-model", "stop": ["END"]}
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_what_litellm_does_not_know_is_asked_in_words(loop: Any, server: Server) -> None:
    server.answers = [completion(f"```json\n{json.dumps(IR)}\n```")]
    answer = ask(loop, server, response_format=FORMAT)

    assert json.loads(answer.text) == IR
    (body,) = server.bodies
    assert "response_format" not in body
    assert json.dumps(wire_schema(WireIR)) in body["messages"][0]["content"]


@pytest.mark.parametrize("named", ["openai/gpt-4o", "openai/some-model"])
def test_a_schema_goes_along_where_the_model_takes_one(
    loop: Any, server: Server, named: str
) -> None:
    structured = None if named.endswith("gpt-4o") else "schema"
    server.answers = [completion(json.dumps(IR))]
    ask(loop, server, server.info(name=named, structured=structured), response_format=FORMAT)

    (body,) = server.bodies
    assert body["response_format"] == FORMAT
    assert body["messages"] == BODY["messages"]


def test_an_answer_that_does_not_fit_is_asked_for_again(loop: Any, server: Server) -> None:
    server.answers = [completion('{"summary": 1}'), completion(json.dumps(IR))]
    answer = ask(loop, server, response_format=FORMAT)

    assert json.loads(answer.text) == IR
    assert (answer.prompt_tokens, answer.completion_tokens) == (40, 10)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (completion("hal", "length"), ("hal", "length")),
        (completion("Sure", "content_filter"), ("The model refused to answer.", "refusal")),
        (completion(None), ("", "stop")),
    ],
)
def test_how_an_answer_ended(
    loop: Any, server: Server, reply: Reply, answer: tuple[str, str]
) -> None:
    server.answers = [reply]
    made = ask(loop, server)
    assert (made.text, made.finish_reason) == answer


def test_a_filtered_prompt_is_a_refusal(loop: Any, server: Server) -> None:
    server.answers = [failure(400, "Your request was rejected as a result of the safety system.")]
    assert ask(loop, server).finish_reason == "refusal"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (failure(401, f"Incorrect API key: {KEY}"), StatusError, "refuses the key"),
        (failure(403, "no access"), StatusError, "refuses the key"),
        (failure(404, "The model does not exist"), StatusError, "The model does not exist"),
        (failure(404, "The model does not exist"), StatusError, "check both"),
        (failure(400, "bad schema"), StatusError, "bad schema; correct the request"),
        (failure(413, "Request Entity Too Large"), PromptTooLongError, "Too Large; shorten it"),
        (
            failure(400, "This model's maximum context length is 8192 tokens"),
            PromptTooLongError,
            "maximum context length is 8192 tokens; shorten it",
        ),
    ],
    ids=str,
)
def test_a_refused_request_is_one_sentence_and_is_not_repeated(
    loop: Any, server: Server, reply: Reply, kind: type[EngineError], words: str
) -> None:
    server.answers = [reply]
    error = raised(loop, server)

    assert type(error) is kind
    assert re.search(words, str(error))
    assert len(server.bodies) == 1


HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    "first",
    [
        failure(429, "slow down", **{"retry-after": "0"}),
        failure(500, "oops"),
        failure(529, "overloaded"),
        (502, HTML, b"<html><title>Bad Gateway</title></html>"),
        (200, {"content-type": "application/json"}, b'{"choices": [{"mess'),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(loop: Any, server: Server, first: Reply) -> None:
    server.answers = [first, completion()]
    assert ask(loop, server).text == "hello"
    assert len(server.bodies) == 2

    server.bodies.clear()
    server.answers = [first]
    error = raised(loop, server)
    assert isinstance(error, UnavailableError)
    assert len(server.bodies) == QUICK.tries


@pytest.mark.parametrize(
    "reply", [(200, HTML, b"<html><title>Sign in</title></html>"), completion(choices=[])], ids=str
)
def test_what_is_no_completion_is_an_error(loop: Any, server: Server, reply: Reply) -> None:
    server.answers = [reply]
    assert isinstance(raised(loop, server), ProviderError)


def test_an_answer_that_does_not_come_is_given_up(loop: Any, server: Server) -> None:
    server.hold.clear()
    with pytest.raises(TimedOutError, match=r"no answer within 0\.3 s"):
        ask(loop, server, server.info(timeout=0.3))


def test_nobody_listens(loop: Any, server: Server) -> None:
    info = server.info(urls=("http://127.0.0.1:9/v1",))
    with pytest.raises(UnavailableError, match="cannot answer now"):
        ask(loop, server, info)


def test_several_servers_are_refused() -> None:
    info = ModelInfo(id="m", backend="provider", name="openai/x", urls=("http://a", "http://b"))
    with pytest.raises(ConfigError, match="one URL"):
        connect(info, None)


def test_a_way_that_providers_do_not_have_is_refused() -> None:
    info = ModelInfo(id="m", backend="provider", name="openai/x", structured="tool")
    with pytest.raises(ConfigError, match='write "schema" or "words"'):
        connect(info, KEY)


def test_a_model_that_cannot_be_asked_is_refused_before_anything_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="not set in the environment: OPENAI_API_KEY"):
        build_lm("openai/gpt-4o", tmp_path)
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        require_servable("qwen2.5-coder-0.5b>openai/gpt-4o", {})
    with pytest.raises(ModelError, match="knows no provider 'nosuch'"):
        build_lm("nosuch/model", tmp_path)

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lm = build_lm("openai/gpt-4o", tmp_path)
    assert KEY not in f"{lm.dump_state()} {lm!r} {vars(lm)} {vars(lm.engine)}"


def test_an_entry_may_name_the_variable_of_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    info = ModelInfo(id="mine", backend="provider", name="openai/gpt-4o", key="MY_KEY")
    catalogue.use([info])
    try:
        with pytest.raises(ModelError, match="not set in the environment: MY_KEY"):
            build_lm("mine", tmp_path)
        build_lm("mine", tmp_path, keys={"MY_KEY": KEY})
    finally:
        catalogue.use([])


@pytest.mark.parametrize(
    ("reply", "failed", "requests"),
    [
        (completion('{"summary": 1}'), "ir_not_parsed", 1 + REPAIR_TURNS),
        (completion(json.dumps(IR)[:-1], "length"), "truncated", 1),
        (completion("", "content_filter"), "other: the model refused", 1),
    ],
)
def test_a_bad_answer_is_a_failed_attempt(
    sandbox: Sandbox, server: Server, reply: Reply, failed: str, requests: int
) -> None:
    server.answers = [reply]
    engine = ChatEngine(connect(server.info(), None, retries=QUICK), "mine")
    lm = dspy.LM("local/mine", engine=engine, cache=False, num_retries=0)
    with recording() as calls, dspy.context(lm=lm):
        made = make_program("single", sandbox)(spec="Double x.", entry_point="double")

    assert made.failure.startswith(failed)
    assert len(server.bodies) == requests
    assert [(call.model, call.prompt_tokens) for call in calls] == [("mine", 20 * requests)]
