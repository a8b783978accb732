"""What a vLLM server receives, and what is done with one that is not what its entry says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from dspy.lm15 import Config, Message, Request

from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue, vllm
from lift_sys.inference.chat import Answer, chat_body
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import EngineError, StatusError, UnavailableError
from lift_sys.inference.lm import build_lm
from lift_sys.inference.usage import recording
from lift_sys.inference.vllm import connect, read_answer
from lift_sys.ir.schema_lint import lint_schema
from tests.contracts import fake_model
from tests.contracts.backends import KEY, QUICK, info_of
from tests.contracts.fake_server import Behaviour, FakeServer, Fault

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
AS_JSON = {"type": "json_schema", "name": "Colour", "schema": SCHEMA}


def ask(**config: Any) -> Request:
    return Request(model="local/m", messages=(Message.user("A colour?"),), config=Config(**config))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(Behaviour(models=("small", "adapter"))) as made:
        yield made


def engine_of(*servers: FakeServer, **fields: Any) -> ChatEngine:
    urls = tuple(server.url for server in servers)
    info = info_of(servers[0], **{"urls": urls, **fields})
    return ChatEngine(connect(info, None, retries=QUICK), info.id, concurrency=8)


def test_the_schema_reaches_the_server_strict_and_under_the_one_name_that_it_reads(
    server: FakeServer,
) -> None:
    engine = engine_of(server)
    text = engine.complete(ask(response_format=AS_JSON)).message.text

    assert json.loads(text)["colour"] in {"red", "blue"}
    sent = server.bodies[-1]
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Colour", "schema": SCHEMA, "strict": True},
    }
    assert "guided_json" not in json.dumps(sent)


def test_all_that_samples_reaches_the_server(server: FakeServer) -> None:
    request = ask(temperature=0.8, top_p=0.9, top_k=20, seed=7, max_tokens=50, stop=("END",))
    engine_of(server).complete(request)

    assert server.bodies == [{**chat_body(request), "model": "small"}]
    assert server.bodies[0]["top_k"] == 20


def test_an_adapter_is_asked_by_its_name(server: FakeServer) -> None:
    engine_of(server, name="adapter").complete(ask())

    assert server.bodies[0]["model"] == "adapter"


def test_a_server_is_asked_once_whether_it_holds_schemas(server: FakeServer) -> None:
    engine = engine_of(server)
    engine.complete(ask())
    assert len(server.bodies) == 1
    for _ in range(3):
        engine.complete(ask(response_format=AS_JSON))

    assert len(server.bodies) == 1 + 1 + 3
    probe = server.bodies[1]
    assert probe["max_tokens"] < 100
    assert probe["response_format"]["json_schema"]["name"] == "probe"


def test_the_probe_is_in_nobodys_usage(server: FakeServer) -> None:
    with recording() as rows:
        engine_of(server).complete(ask(response_format=AS_JSON))

    assert len(rows) == 1
    assert len(server.bodies) == 2


def test_every_server_is_probed() -> None:
    with ExitStack() as stack:
        made = [stack.enter_context(FakeServer(Behaviour(structured=i < 1))) for i in range(2)]
        engine = engine_of(*made)
        engine.complete(ask(response_format=AS_JSON))
        made[0].faults.extend([Fault(503)] * QUICK.tries)
        with pytest.raises(EngineError, match=rf":{made[1].port}/v1 has no structured outputs"):
            engine.complete(ask(response_format=AS_JSON))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(), "it answers freely where a schema is given"),
        (Fault(400, {"error": {"message": "no such field"}}), "refuses a schema: no such field"),
    ],
)
def test_a_server_without_structured_outputs_is_refused(fault: Fault, why: str) -> None:
    with FakeServer(Behaviour(structured=False)) as server:
        server.faults.append(fault)
        with pytest.raises(EngineError, match=why) as caught:
            engine_of(server).complete(ask(response_format=AS_JSON))

        assert 'write structured = "words" into the entry of model m' in str(caught.value)
        assert type(caught.value) is StatusError
        probe, *without = server.bodies
        assert without in ([], [{k: v for k, v in probe.items() if k != "response_format"}])


def test_a_probe_that_is_refused_for_another_reason_says_that_one(server: FakeServer) -> None:
    server.faults.extend([Fault(400, {"error": {"message": "max_tokens must be at most 16"}})] * 2)
    with pytest.raises(StatusError, match=r"\(400\): max_tokens must be at most 16") as caught:
        engine_of(server).complete(ask(response_format=AS_JSON))

    assert "structured" not in str(caught.value)


def test_an_empty_answer_to_the_probe_is_not_a_free_one(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any) -> str:
        return " "

    monkeypatch.setattr(fake_model, "_text", nothing)
    with pytest.raises(StatusError, match="it answers with an empty text where a schema is given"):
        engine_of(server).complete(ask(response_format=AS_JSON))


def test_a_schema_that_would_not_be_enforced_is_never_sent(server: FakeServer) -> None:
    short = {"type": "object", "properties": {"colour": {"type": "string", "maxLength": 4}}}
    engine = engine_of(server)
    for _ in range(2):
        with pytest.raises(
            StatusError, match=r"model m: the schema of the answer cannot be"
        ) as why:
            engine.complete(ask(response_format={**AS_JSON, "schema": short}))
        assert "#/properties/colour/maxLength: " in str(why.value)

    assert server.bodies == []
    assert engine.complete(ask(response_format=AS_JSON)).message.text


def test_a_schema_is_looked_at_once(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []

    def look(schema: Any) -> tuple[()]:
        looked.append(schema)
        return ()

    monkeypatch.setattr(vllm, "lint_schema", look)
    vllm._unenforced.cache_clear()
    engine = engine_of(server)
    other = {**SCHEMA, "required": []}
    for schema in (SCHEMA, other, SCHEMA, other):
        engine.complete(ask(response_format={**AS_JSON, "schema": schema}))
    vllm._unenforced.cache_clear()

    assert looked == [SCHEMA, other]


def test_json_without_a_schema_is_asked_for_as_it_is(server: FakeServer) -> None:
    engine_of(server).complete(ask(response_format={"type": "json_object"}))

    assert server.bodies[-1]["response_format"] == {"type": "json_object"}


def test_the_probe_asks_for_what_would_be_enforced() -> None:
    assert lint_schema(vllm._PROBE["response_format"]["json_schema"]["schema"]) == ()  # type: ignore[index]


def test_in_words_a_schema_may_say_anything() -> None:
    short = {**SCHEMA, "properties": {"colour": {"enum": ["red"], "not": {"enum": ["blue"]}}}}
    with FakeServer(Behaviour(structured=False)) as server:
        engine = engine_of(server, structured="words")

        assert engine.complete(ask(response_format={**AS_JSON, "schema": short})).message.text


def test_plain_text_needs_no_structured_outputs() -> None:
    with FakeServer(Behaviour(structured=False)) as server:
        assert engine_of(server).complete(ask()).message.text


def test_in_words_no_schema_is_sent_and_the_answer_is_validated() -> None:
    with FakeServer(Behaviour(structured=False)) as server:
        engine = engine_of(server, structured="words")
        text = engine.complete(ask(response_format=AS_JSON)).message.text

        assert json.loads(text)["colour"] in {"red", "blue"}
        (sent,) = server.bodies
        assert "response_format" not in sent
        assert json.dumps(SCHEMA) in sent["messages"][0]["content"]


def test_a_way_that_vllm_does_not_have_is_refused(server: FakeServer) -> None:
    with pytest.raises(ConfigError, match='write "schema" or "words"'):
        engine_of(server, structured="tool")


def test_a_server_with_another_model_says_which(server: FakeServer) -> None:
    with pytest.raises(StatusError, match="does not serve 'large' but adapter, small; correct"):
        engine_of(server, name="large").complete(ask())


def test_a_url_without_its_end_is_recognised(server: FakeServer) -> None:
    engine = engine_of(server, urls=(server.url.removesuffix("/v1"),))
    with pytest.raises(StatusError, match="has no OpenAI API; its URL should end in /v1"):
        engine.complete(ask())


ANSWER: dict[str, Any] = {
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None},
}


def test_what_an_answer_says() -> None:
    assert read_answer(ANSWER, "S") == Answer("hi", "stop", 5, 0, 2)
    usage = {**ANSWER["usage"], "prompt_tokens_details": {"cached_tokens": 4}}
    assert read_answer({**ANSWER, "usage": usage}, "S").cached_tokens == 4


def test_no_content_is_an_empty_answer() -> None:
    choice = {"message": {"content": None}, "finish_reason": "length"}

    assert read_answer({**ANSWER, "choices": [choice]}, "S") == Answer("", "length", 5, 0, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"text": "hi"}]},
        {"choices": ["hi"]},
        {"usage": None},
        {"usage": {}},
        {"usage": {"prompt_tokens": "many"}},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": float("inf")}},
        {"choices": [{"message": {"content": ["hi"]}}]},
        {"choices": [{"message": {"content": "hi"}, "finish_reason": ["stop"]}]},
    ],
    ids=str,
)
def test_what_is_no_answer_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="S answers with JSON that is no chat completion"):
        read_answer({**ANSWER, **change}, "S")


def test_an_answer_that_the_server_gave_up_is_none() -> None:
    choice = {"message": {"content": "hal"}, "finish_reason": "abort"}
    with pytest.raises(UnavailableError, match="S gave up in the middle"):
        read_answer({**ANSWER, "choices": [choice]}, "S")


def test_a_model_of_the_catalogue_is_a_language_model_of_dspy(
    server: FakeServer, tmp_path: Any
) -> None:
    server.behaviour = Behaviour(key=KEY)
    try:
        catalogue.use([info_of(server)])
        lm = build_lm("m", tmp_path, keys={"M_KEY": KEY})
        with recording() as rows:
            assert lm("hi")[0].startswith("Hello")
        assert rows[0].model == "m"
        assert KEY not in repr(lm) + json.dumps(lm.dump_state(), default=str)
    finally:
        catalogue.use([])
