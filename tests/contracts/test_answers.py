"""What every backend promises of its answers, whether a model or a server stands behind it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from dspy.lm15 import Config, FunctionTool, Message, Request, Response

from lift_sys.inference.failures import EngineError, PromptTooLongError
from lift_sys.inference.replay import ReplayEngine, StoredCall
from lift_sys.inference.usage import CallRecord, recording, stage
from tests.contracts.backends import Rig, params
from tests.contracts.fake_server import Fault

every_backend = pytest.mark.parametrize("backend", params())

COLOURS = ["red", "green", "blue"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": COLOURS},
        "sure": {"type": "boolean"},
        "shades": {"type": "array", "items": {"enum": COLOURS}, "minItems": 2, "maxItems": 2},
    },
    "required": ["colour", "sure", "shades"],
    "additionalProperties": False,
}
AS_JSON = {"type": "json_schema", "name": "Colour", "schema": SCHEMA, "strict": True}


def ask(text: str = "Name a colour of the sky.", **config: Any) -> Request:
    return Request(
        model="local/m",
        messages=(Message.user(text),),
        config=Config(**{"temperature": 0.0, "max_tokens": 64, **config}),
    )


def text_of(response: Response) -> str:
    text = response.message.text
    assert isinstance(text, str)
    return text


def complete(rig: Rig, request: Request) -> tuple[str, CallRecord]:
    with recording() as rows:
        text = text_of(rig.engine.complete(request))
    (row,) = rows
    return text, row


def assert_fits(text: str) -> None:
    value = json.loads(text)
    assert list(value) == ["colour", "sure", "shades"]
    assert value["colour"] in COLOURS
    assert isinstance(value["sure"], bool)
    assert len(value["shades"]) == 2
    assert set(value["shades"]) <= set(COLOURS)


@every_backend
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_json_of_a_schema(rig: Rig, temperature: float) -> None:
    request = ask("Tell me a story.", response_format=AS_JSON, temperature=temperature)
    text, row = complete(rig, request)

    assert_fits(text)
    assert row.finish_reason == "stop"


@every_backend
def test_plain_text_with_what_it_cost(rig: Rig) -> None:
    with stage("code"):
        text, row = complete(rig, ask())

    assert text.strip()
    assert row.stage == "code"
    assert row.prompt_tokens > 0
    assert 0 <= row.cached_tokens <= row.prompt_tokens
    assert 0 < row.completion_tokens <= 64
    assert row.seconds >= (row.share or 0) > 0 or row.share is None


@every_backend
def test_the_usage_of_an_answer_is_that_of_the_record(rig: Rig) -> None:
    with recording() as rows:
        usage = rig.engine.complete(ask()).usage

    assert usage.input_tokens == rows[0].prompt_tokens
    assert usage.output_tokens == rows[0].completion_tokens


@pytest.mark.parametrize("backend", params(caching=True))
def test_cached_tokens_of_a_prompt_that_was_there_before(rig: Rig) -> None:
    request = ask("Many words, so that there is something to keep. " * 20)
    complete(rig, request)
    _, row = complete(rig, request)

    assert row.cached_tokens > 0


@every_backend
def test_a_greedy_answer_does_not_depend_on_the_seed(rig: Rig) -> None:
    assert len({complete(rig, ask(seed=seed))[0] for seed in (0, 1, 2)}) == 1


@pytest.mark.parametrize("backend", params(seeded=True))
def test_the_seed_decides_what_is_drawn(rig: Rig) -> None:
    drawn = [complete(rig, ask("Write a poem.", temperature=1.0, seed=s))[0] for s in (1, 2, 3, 1)]

    assert drawn[0] == drawn[3]
    assert len(set(drawn)) > 1


@every_backend
def test_an_answer_that_was_cut_off_says_so(rig: Rig) -> None:
    with recording() as rows:
        response = rig.engine.complete(ask("Count to a hundred.", max_tokens=3))

    assert response.finish_reason == rows[0].finish_reason == "length"
    assert rows[0].completion_tokens <= 3


@every_backend
def test_json_that_was_cut_off_is_left_as_it_is(rig: Rig) -> None:
    text, row = complete(rig, ask(response_format=AS_JSON, max_tokens=4))

    assert row.finish_reason == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@every_backend
def test_candidates_that_are_drawn_together_are_all_there(rig: Rig) -> None:
    requests = [ask(response_format=AS_JSON, temperature=1.0, seed=i) for i in range(8)]
    with recording() as rows, ThreadPoolExecutor(8) as pool:
        made = [pool.submit(copy_context().run, rig.engine.complete, r) for r in requests]
        texts = [text_of(each.result()) for each in made]

    for text in texts:
        assert_fits(text)
    assert len(rows) == 8


@every_backend
def test_the_same_answers_for_those_who_await(rig: Rig) -> None:
    async def together() -> list[str]:
        made = await asyncio.gather(*(rig.async_engine.complete(ask(seed=i)) for i in range(3)))
        return [text_of(response) for response in made]

    assert set(asyncio.run(together())) == {complete(rig, ask())[0]}


@every_backend
def test_giving_up_is_quick_and_leaves_the_backend_well(rig: Rig) -> None:
    if rig.server is not None:
        rig.server.faults.append(Fault(seconds=30))
    long = ask("Count to a thousand.", max_tokens=4000)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rig.async_engine.complete(long), 0.3)

    began = time.perf_counter()
    asyncio.run(give_up())

    assert time.perf_counter() - began < 5
    assert complete(rig, ask())[0]


@every_backend
def test_what_does_not_fit_is_refused(rig: Rig) -> None:
    with recording() as rows, pytest.raises(PromptTooLongError):
        rig.engine.complete(ask("one two three " * 6000))

    assert rows == []


@every_backend
def test_a_request_with_other_parts_is_refused(rig: Rig) -> None:
    tool = FunctionTool(name="look", description="looks", parameters={"type": "object"})
    with pytest.raises(EngineError, match="takes no tools"):
        rig.engine.complete(dataclasses.replace(ask(), tools=(tool,)))


class Kept:
    """Answers in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredCall] = {}

    def get(self, key: str) -> StoredCall | None:
        return self.rows.get(key)

    def put(self, entry: StoredCall) -> None:
        self.rows[entry.key] = entry


@every_backend
def test_an_answer_is_replayed_from_the_record(rig: Rig) -> None:
    kept = Kept()
    request = ask(response_format=AS_JSON, temperature=1.0, seed=5)
    with recording() as rows:
        first = ReplayEngine(rig.engine, rig.weights, kept).complete(request)
        again = ReplayEngine(Refusing(), rig.weights, kept).complete(request)

    assert text_of(first) == text_of(again)
    assert first.finish_reason == again.finish_reason
    assert [row.reused for row in rows] == [False, True]
    assert rows[0].prompt_tokens == rows[1].prompt_tokens


class Refusing:
    """An engine that must not be asked."""

    concurrency = 1

    def complete(self, request: Request) -> Response:
        raise AssertionError


@every_backend
def test_an_engine_keeps_its_cap(rig: Rig) -> None:
    assert rig.engine.concurrency == rig.cap
    if rig.server is None:
        return
    rig.server.behaviour = dataclasses.replace(rig.server.behaviour, latency=0.02)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(rig.engine.complete, [ask(seed=i) for i in range(16)]))

    assert rig.server.most_in_flight == rig.cap == 4
