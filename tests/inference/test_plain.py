"""A model that DSPy asks by itself gives an engine's answers, and says what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dspy
import pytest

from lift_sys.inference.plain import PlainEngine
from lift_sys.inference.usage import recording, stage
from tests.inference.chat_server import KEY, Server, completion


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


def test_as_many_are_asked_at_once_as_by_dspys_evaluation(server: Server) -> None:
    with dspy.context(num_threads=5):
        assert model(server).engine.concurrency == 5
