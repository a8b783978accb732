"""The engine around a concurrent backend: records, shares, the cap, errors, giving up."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import ProviderError
from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import AsyncChatEngine, ChatEngine, Meter
from lift_sys.inference.failures import EngineError
from lift_sys.inference.usage import recording, stage


class Fake:
    """Stands where a backend stands."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.most = 0
        self.gave_up = threading.Event()
        self._now = 0
        self._seconds = seconds
        self._error = error

    async def send(self, body: dict[str, Any]) -> Answer:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.gave_up.set()
            raise
        finally:
            self._now -= 1
        if self._error is not None:
            raise self._error
        return Answer("hello", "stop", 12, 8, 3)


def lm_of(fake: Fake, concurrency: int = 4) -> dspy.LM:
    engine = ChatEngine(fake.send, "m", concurrency=concurrency)
    return dspy.LM(
        "local/m",
        engine=engine,
        async_engine=AsyncChatEngine(engine),
        cache=False,
        num_retries=0,
    )


@pytest.mark.parametrize("how", ["call", "acall"])
def test_a_call_is_recorded_with_its_stage(how: str) -> None:
    lm = lm_of(Fake())
    with recording() as rows, stage("code"):
        assert (lm("hi") if how == "call" else asyncio.run(lm.acall("hi"))) == ["hello"]
    (row,) = rows
    assert (row.model, row.stage, row.finish_reason) == ("m", "code", "stop")
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (12, 8, 3)
    assert row.share == pytest.approx(row.seconds, abs=0.05)


@pytest.mark.parametrize("how", ["call", "acall"])
def test_a_failure_reaches_the_caller_of_dspy_as_it_was_raised(how: str) -> None:
    lm = lm_of(Fake(error=EngineError("no power")))
    with recording() as rows, pytest.raises(ProviderError, match="no power"):
        lm("hi") if how == "call" else asyncio.run(lm.acall("hi"))
    assert rows == []


def test_never_more_calls_in_flight_than_allowed_and_their_shares_add_up() -> None:
    fake = Fake(seconds=0.05)
    lm = lm_of(fake, concurrency=3)
    began = time.perf_counter()
    with recording() as rows, ThreadPoolExecutor(8) as pool:
        made = [pool.submit(copy_context().run, lm, f"{i}") for i in range(8)]
        assert [m.result() for m in made] == [["hello"]] * 8
    assert fake.most == 3
    shares = sum(row.machine_seconds for row in rows)
    assert shares <= time.perf_counter() - began < sum(row.seconds for row in rows)


def test_a_cancelled_task_stops_its_call() -> None:
    fake = Fake(seconds=20)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lm_of(fake).acall("hi"), 0.05)

    asyncio.run(give_up())
    assert fake.gave_up.wait(5)


def test_an_engine_of_a_saved_program_is_refused() -> None:
    engine = ChatEngine(Fake().send, "m")
    with pytest.raises(EngineError, match="model m is not part of a saved program"):
        ChatEngine.load_state(engine.dump_state())


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 100)), min_size=1, max_size=8))
def test_shares_add_up_to_the_time_in_which_anything_was_in_flight(
    calls: list[tuple[float, float]],
) -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    events = sorted(
        [(start, 1, i) for i, (start, _) in enumerate(calls)]
        + [(start + length, 0, i) for i, (start, length) in enumerate(calls)]
    )
    marks: dict[int, float] = {}
    total = busy = last = 0.0
    for moment, begins, i in events:
        busy += moment - last if marks else 0.0
        now[0] = last = moment
        if begins:
            marks[i] = meter.begin()
        else:
            total += meter.end(marks.pop(i))
    assert total == pytest.approx(busy)
