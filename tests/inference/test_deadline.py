"""Engines give up when an answer would come too late, and stop the backend."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from dspy.lm15 import Message, Request

from lift_sys.inference.chat import Answer
from lift_sys.inference.deadline import at_most, left, one_call, within
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import TimedOutError
from lift_sys.inference.llama_cpp import LlamaEngine

REQUEST = Request(model="m", messages=(Message.user("hi"),))
SOON = 0.05


def test_the_earlier_moment_holds() -> None:
    assert left() is None
    with within(100):
        with within(5):
            assert 4 < (left() or 0) <= 5
        with within(1000):
            assert 99 < (left() or 0) <= 100
    with within(-1):
        assert left() == 0
    assert left() is None


class Slow:
    """Two backends that answer much too late, and tell when they were stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    async def send(self, _: dict[str, Any]) -> Answer:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        return Answer("late", "stop", 1, 0, 1)

    def wait(self, _: dict[str, Any], cancelled: Callable[[], bool]) -> Answer:
        until = time.monotonic() + 20
        while time.monotonic() < until and not cancelled():
            time.sleep(0.005)
        self.stopped.set()
        return Answer("late", "stop", 1, 0, 1)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("backend", ["chat", "embedded"])
def test_a_call_is_given_up_in_time(backend: str, awaited: bool) -> None:
    slow = Slow()
    engine: Any = ChatEngine(slow.send, "m") if backend == "chat" else LlamaEngine(slow.wait, "m")
    began = time.monotonic()
    with within(SOON), pytest.raises(TimedOutError, match="in the time that it was given"):
        asyncio.run(engine.for_await().complete(REQUEST)) if awaited else engine.complete(REQUEST)
    assert SOON <= time.monotonic() - began < 10
    assert slow.stopped.wait(10)


@pytest.mark.parametrize("awaited", [False, True])
def test_an_answer_in_time_is_given(awaited: bool) -> None:
    async def send(_: dict[str, Any]) -> Answer:
        return Answer("here", "stop", 1, 0, 1)

    engine = ChatEngine(send, "m")
    with within(20):
        whole = asyncio.run(engine.for_await().complete(REQUEST)) if awaited else None
        whole = whole or engine.complete(REQUEST)
    assert whole.message.text == "here"


def test_all_requests_of_one_call_share_its_time() -> None:
    async def call(seconds: float) -> list[float]:
        with one_call(seconds):
            first = at_most(5)
            await asyncio.sleep(0.02)
            return [first, at_most(5), at_most(0.001)]

    async def calls() -> list[list[float]]:
        return await asyncio.gather(*map(call, (2, 0.01, 50)))

    (first, later, short), (_, late, _), (whole, *_) = asyncio.run(calls())
    assert 1.5 < later < first <= 2
    assert short == 0.001
    assert late == 0
    assert whole == at_most(5) == 5
