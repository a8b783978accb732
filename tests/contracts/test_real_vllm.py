"""The contract of a backend, asked of a real vLLM server with real weights, live or recorded."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import httpx
import pytest
from dspy.lm15 import Config, Message, Request, Response

from lift_sys.inference import vllm
from lift_sys.inference.engine import AsyncChatEngine
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
)
from lift_sys.inference.usage import recording
from lift_sys.ir.schema import WireIR, from_wire
from programs.modules import IRGenerator
from programs.stages import Sampling
from tests.contracts.recorder import Recorder, read
from tests.contracts.vllm_sources import CONTEXT, RECORDINGS, URL, Source, real, recorder, source

__all__ = ["recorder", "source"]

ANIMALS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "animal": {"type": "string", "enum": ["quagga", "zebu"]},
        "legs": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["animal", "legs"],
    "additionalProperties": False,
}
SPEC = "Return the larger of two integers a and b; if they are equal, return a."


def asking(text: str, schema: dict[str, Any] | None = None, **config: Any) -> Request:
    if schema is not None:
        config["response_format"] = {"type": "json_schema", "name": "answer", "schema": schema}
    config = {"temperature": 0.0, "max_tokens": 48, **config}
    return Request(model="m", messages=(Message.user(text),), config=Config(**config))


def text_of(response: Response) -> str:
    return response.message.text or ""


def test_plain_text_comes_with_its_usage(source: Source) -> None:
    with recording() as calls:
        answer = source.engine().complete(asking("What is the capital of France? One word."))
    assert "Paris" in text_of(answer)
    assert answer.finish_reason == "stop"
    (call,) = calls
    assert call.model == "m"
    assert 10 < call.prompt_tokens < 100
    assert 0 < call.completion_tokens < 20
    assert call.finish_reason == "stop"


def test_a_schema_holds_where_the_model_would_write_something_else(source: Source) -> None:
    answer = source.engine().complete(asking("Describe a dog.", ANIMALS, max_tokens=96))
    filled = json.loads(text_of(answer))
    assert list(filled) == ["animal", "legs"]
    assert filled["animal"] in {"quagga", "zebu"}
    assert len(filled["legs"]) <= 2


@pytest.mark.vllm
def test_the_ir_stage_gets_an_ir(recorder: Recorder) -> None:
    engine = real(recorder).engine()
    lm = dspy.LM("local/m", engine=engine, cache=False, num_retries=0)
    with dspy.context(lm=lm):
        ir = IRGenerator()("larger", SPEC, None, Sampling(temperature=0.0, seed=0))
    assert ir.signature.name == "larger"
    assert [parameter.name for parameter in ir.signature.parameters] == ["a", "b"]
    assert ir.effects


def test_what_was_recorded_of_the_ir_stage_is_an_ir() -> None:
    """The request is the recorded one, so that a new prompt needs no new recording."""
    irs = [row for row in read(RECORDINGS) if '"WireIR"' in row.question]
    assert irs
    for row in irs:
        (choice,) = row.response["choices"]
        assert choice["finish_reason"] == "stop"
        assert from_wire(WireIR.model_validate_json(choice["message"]["content"]), "larger").effects


def test_an_answer_that_was_cut_off_says_so(source: Source) -> None:
    request = asking("Describe a horse.", ANIMALS, max_tokens=4)
    with recording() as calls:
        answer = source.engine().complete(request)
    assert answer.finish_reason == "length"
    assert calls[0].finish_reason == "length"
    assert calls[0].completion_tokens == 4
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(text_of(answer))


def test_the_seed_decides_what_is_drawn(source: Source) -> None:
    question = "Invent a name for a function. One word."

    def draw(seed: int) -> str:
        request = asking(question, temperature=1.0, seed=seed, max_tokens=12)
        return text_of(source.engine().complete(request))

    drawn = [draw(seed) for seed in (1, 2, 3, 4)]
    assert len(set(drawn)) > 1
    assert draw(1) == drawn[0]


def test_greedy_answers_do_not_depend_on_the_seed(source: Source) -> None:
    question = "Name a primary colour. One word."
    engine = source.engine()
    first, second = (text_of(engine.complete(asking(question, seed=s))) for s in (1, 2))
    assert first == second


def test_candidates_are_answered_at_the_same_time(source: Source) -> None:
    engine = source.engine()
    requests = [
        asking("Describe an animal.", ANIMALS, temperature=0.8, seed=seed, max_tokens=96)
        for seed in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        texts = [text_of(answer) for answer in pool.map(engine.complete, requests)]
    assert {json.loads(text)["animal"] for text in texts} <= {"quagga", "zebu"}
    assert len(set(texts)) > 1


def test_awaited_answers_are_the_same(source: Source) -> None:
    engine = source.engine()
    request = asking("What is the capital of Italy? One word.")
    awaited = asyncio.run(AsyncChatEngine(engine).complete(request))
    assert text_of(awaited) == text_of(engine.complete(request))


def test_a_server_with_another_model_is_named(source: Source) -> None:
    with pytest.raises(EngineError, match="does not serve 'another'"):
        source.engine(name="another").complete(asking("Hello to another model."))


def test_a_wrong_key_is_refused_and_not_repeated(source: Source) -> None:
    with pytest.raises(StatusError, match="refuses the key") as caught:
        source.engine(key="wrong-key").complete(asking("Hello with a wrong key."))
    assert caught.value.status == 401
    assert "wrong-key" not in str(caught.value)


def test_a_prompt_that_does_not_fit_is_told_apart(source: Source) -> None:
    with pytest.raises(PromptTooLongError):
        source.engine().complete(asking("word " * (CONTEXT + 1)))


def test_more_room_than_there_is_is_told_apart(source: Source) -> None:
    with pytest.raises(PromptTooLongError):
        source.engine().complete(asking("Hello.", max_tokens=CONTEXT + 1))


def test_a_schema_that_xgrammar_refuses_is_an_error(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "_unenforced", lambda _: "")  # which would not send it
    unique = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    schema = {**ANIMALS, "properties": {**ANIMALS["properties"], "legs": unique}}
    with pytest.raises(StatusError, match="xgrammar") as caught:
        source.engine().complete(asking("Describe a cat.", schema))
    assert caught.value.status == 400


@pytest.mark.vllm
def test_a_call_that_takes_too_long_is_given_up() -> None:
    engine = real().engine(seconds=1.0)
    began = time.monotonic()
    with pytest.raises(TimedOutError):
        engine.complete(asking("Count from one to five hundred in words.", max_tokens=1024))
    assert time.monotonic() - began < 10
    assert _idle_within(60)


@pytest.mark.vllm
def test_a_cancelled_call_frees_the_server() -> None:
    engine = real().engine()

    async def give_up() -> None:
        request = asking("Count from one to a thousand in words.", max_tokens=1024)
        async with asyncio.timeout(0.5):
            await AsyncChatEngine(engine).complete(request)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert _idle_within(60)


@pytest.mark.vllm
def test_the_prefix_of_prompts_is_computed_once() -> None:
    engine = real().engine()
    shared = "These are the rules of the house, and all of them hold. " * 40

    def ask(text: str) -> int:
        with recording() as calls:
            engine.complete(asking(shared + text, max_tokens=2))
        return calls[0].cached_tokens

    ask("Say one.")
    assert ask("Say two.") > 300


@pytest.mark.vllm
def test_what_the_server_ignores_is_never_relied_on() -> None:
    """vLLM has removed ``guided_json``: it answers 200, and no schema holds."""
    asked = real()
    engine = asked.engine()
    body = {
        "model": "qwen2.5-coder-0.5b-vllm",
        "messages": [{"role": "user", "content": "Describe a dog in one sentence."}],
        "guided_json": ANIMALS,
        "max_tokens": 32,
        "temperature": 0,
    }
    headers = {"Authorization": f"Bearer {asked.key}"}
    url = f"{asked.url}/chat/completions"
    free = httpx.post(url, json=body, headers=headers, timeout=300, trust_env=False)
    assert free.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(free.json()["choices"][0]["message"]["content"])
    held = engine.complete(asking("Describe a dog in one sentence.", ANIMALS, max_tokens=96))
    assert json.loads(text_of(held))["animal"] in {"quagga", "zebu"}


def test_recordings_are_small_and_name_no_machine() -> None:
    text = RECORDINGS.read_text(encoding="utf-8")
    assert len(text.encode()) < 500_000
    for word in ("127.0.0.1", "localhost", "uthorization", "Bearer", "/root", "/home"):
        assert word not in text
    assert {row.status for row in read(RECORDINGS)} == {200, 400, 401, 404}


def _idle_within(seconds: float) -> bool:
    """Return whether the server soon has nothing to do."""
    url = os.environ[URL].removesuffix("/v1") + "/metrics"
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        lines = httpx.get(url, timeout=30, trust_env=False).text.splitlines()
        running = [line for line in lines if line.startswith("vllm:num_requests_running{")]
        if running and all(float(line.split()[-1]) == 0 for line in running):
            return True
        time.sleep(0.5)
    return False
