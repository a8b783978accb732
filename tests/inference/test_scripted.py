"""The scripted engine: what it answers, counts and refuses."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.errors import ProviderError
from lift_sys.inference.scripted import AsyncScriptedEngine, ScriptedEngine
from lift_sys.inference.usage import recording


def lm_of(engine: ScriptedEngine) -> dspy.LM:
    return dspy.LM(
        "local/script",
        engine=engine,
        async_engine=AsyncScriptedEngine(engine),
        cache=False,
        num_retries=0,
    )


def test_answers_are_given_in_turn_and_run_out() -> None:
    lm = lm_of(ScriptedEngine(["one", "two"]))
    assert [lm("a"), asyncio.run(lm.acall("b"))] == [["one"], ["two"]]
    with pytest.raises(ProviderError, match="2 answers and was asked for one more"):
        lm("c")


def test_a_function_sees_the_request() -> None:
    def answer(request: Request) -> str:
        return f"{request.config.seed}: {request.messages[-1].text}"

    engine = ScriptedEngine(answer)
    assert lm_of(engine)("hi", seed=4) == ["4: hi"]
    assert engine.bodies[0]["seed"] == 4
    assert len(engine.requests) == 1


def test_usage_counts_words() -> None:
    with recording() as rows:
        lm_of(ScriptedEngine(["a b c"]))("one two")
    assert (rows[0].prompt_tokens, rows[0].completion_tokens) == (2, 3)
    assert rows[0].finish_reason == "stop"


@pytest.mark.parametrize(("cut_at", "max_tokens"), [(2, None), (None, 2), (9, 2)])
def test_an_answer_is_cut_off_when_asked(cut_at: int | None, max_tokens: int | None) -> None:
    engine = ScriptedEngine(["a b c"], cut_at=cut_at)
    with recording() as rows:
        assert lm_of(engine)("hi", max_tokens=max_tokens) == ["a b"]
    assert rows[0].finish_reason == "length"


def test_threads_lose_no_request() -> None:
    engine = ScriptedEngine(lambda request: str(request.messages[-1].text))
    lm = lm_of(engine)
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda i: lm(str(i))[0], range(64)))
    assert given == [str(i) for i in range(64)]
    assert len(engine.requests) == 64
