"""A model that DSPy asks by itself gives an engine's answers, and says what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import dspy
import pytest
from dspy.utils.callback import BaseCallback

from lift_sys.inference.failures import EngineError, PromptTooLongError, TimedOutError
from lift_sys.inference.plain import PlainEngine
from lift_sys.inference.usage import recording, stage
from tests.inference.chat_server import KEY, Server, completion, failure


@pytest.fixture(autouse=True)
def open_loop() -> Iterator[None]:
    """Have a loop ready and close it: litellm makes one of its own otherwise, and leaves it."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield
    asyncio.set_event_loop(None)
    made.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def model(server: Server, **settings: Any) -> dspy.LM:
    """Return a model that asks the server, through an engine of ours."""
    plain = dspy.LM("openai/served", api_base=server.url, api_key=KEY, **settings)
    return dspy.LM("openai/served", engine=PlainEngine(plain), cache=False, num_retries=0)


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_an_answer_is_that_of_the_provider_and_is_counted(server: Server, engine: str) -> None:
    server.answers = [completion("hello", "length")]
    with recording() as calls, stage("code"):
        answer = model(server, engine=engine)("hi", temperature=0.7, seed=3, max_tokens=9)

    (call,) = calls
    assert answer == ["hello"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert {server.bodies[0][name] for name in ("temperature", "seed")} == {0.7, 3}
    assert (call.model, call.stage, call.finish_reason) == ("openai/served", "code", "length")
    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (20, 8, 5)
    assert call.seconds > 0


def test_equal_requests_are_asked_each_time(server: Server) -> None:
    lm = model(server, cache=True)
    with recording() as calls:
        assert lm("hi") == lm("hi") == ["hello"]
    assert len(server.bodies) == len(calls) == 2


def test_a_provider_that_counts_nothing_costs_nothing_that_is_known(server: Server) -> None:
    server.answers = [completion(usage=None)]
    with recording() as calls:
        model(server)("hi")
    assert (calls[0].prompt_tokens, calls[0].completion_tokens) == (0, 0)


def test_a_seed_is_not_sent_where_the_provider_takes_none(server: Server) -> None:
    engine = PlainEngine(dspy.LM("openai/served", api_base=server.url, api_key=KEY))
    lm = dspy.LM("openai/served", engine=engine, cache=False, num_retries=0)
    lm("hi", temperature=0.7, seed=3)
    vars(engine)["supported_params"] = engine.supported_params - {"seed"}
    lm("hi", temperature=0.7, seed=4)

    assert [body.get("seed") for body in server.bodies] == [3, None]


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_a_failure_is_one_of_ours_in_one_line_without_the_key(server: Server, engine: str) -> None:
    server.answers = [failure(401, f"Incorrect API key provided: {KEY}")]
    with pytest.raises(EngineError, match=r"openai/served gave no answer: .*provided: ") as caught:
        model(server, engine=engine)("hi")

    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_a_call_that_took_too_long_may_have_been_charged(server: Server, engine: str) -> None:
    server.hold.clear()
    with pytest.raises(TimedOutError):
        model(server, engine=engine, timeout=0.2, num_retries=0)("hi")


def test_a_prompt_that_is_too_long_is_told_apart(server: Server) -> None:
    server.answers = [failure(400, "maximum context length", "context_length_exceeded")]
    with pytest.raises(PromptTooLongError):
        model(server)("hi")


def test_who_watches_dspys_calls_sees_one(server: Server) -> None:
    class Seen(BaseCallback):
        calls = 0

        def on_lm_start(self, *_: Any, **__: Any) -> None:
            self.calls += 1

    seen, own = Seen(), Seen()
    with dspy.context(callbacks=[seen]), dspy.track_usage() as usage:
        model(server, callbacks=[own])("hi")

    assert (seen.calls, own.calls) == (1, 0)
    assert usage.get_total_tokens()["openai/served"]["completion_tokens"] == 5


def test_as_many_are_asked_at_once_as_by_dspys_evaluation(server: Server) -> None:
    with dspy.context(num_threads=5):
        assert model(server).engine.concurrency == 5
