"""The engine around a fake server: records, errors, interruption, async, copies."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import ContextWindowExceededError

from lift_sys.errors import ProviderError
from lift_sys.inference.chat import Answer
from lift_sys.inference.failures import EngineError, PromptTooLongError
from lift_sys.inference.llama_cpp import AsyncLlamaEngine, LlamaEngine, load_engine
from lift_sys.inference.usage import recording, stage


class Fake:
    """Stands where the native server stands."""

    def __init__(self, error: Exception | None = None, *, wait: bool = False) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.gave_up = threading.Event()
        self._error = error
        self._wait = wait

    def __call__(self, body: dict[str, Any], cancelled: Callable[[], bool]) -> Answer:
        self.bodies.append(body)
        if self._error is not None:
            raise self._error
        deadline = time.monotonic() + 20
        while self._wait and time.monotonic() < deadline:
            if cancelled():
                self.gave_up.set()
                return Answer("", "stop", 0, 0, 0)
            time.sleep(0.005)
        return Answer("hello", "stop", 12, 8, 3, prompt_seconds=0.25, generation_seconds=0.5)


def lm_of(fake: Fake) -> dspy.LM:
    engine = LlamaEngine(fake, "m")
    return dspy.LM(
        "local/m",
        engine=engine,
        async_engine=AsyncLlamaEngine(engine),
        cache=False,
        num_retries=0,
    )


def test_a_call_is_recorded_with_its_stage() -> None:
    with recording() as rows, stage("code"):
        assert lm_of(Fake())("hi") == ["hello"]
    (row,) = rows
    assert (row.model, row.stage, row.finish_reason) == ("m", "code", "stop")
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens) == (12, 8, 3)
    assert (row.prompt_seconds, row.generation_seconds) == (0.25, 0.5)
    assert 0 <= row.seconds < 5


def test_an_awaited_call_is_recorded_too() -> None:
    with recording() as rows:
        assert asyncio.run(lm_of(Fake()).acall("hi")) == ["hello"]
    assert len(rows) == 1


def test_a_structured_stage_really_sends_its_schema() -> None:
    class Ask(dspy.Signature):
        """Name a colour."""

        spec: str = dspy.InputField()
        colour: str = dspy.OutputField()

    fake = Fake()
    with (
        dspy.context(lm=lm_of(fake), adapter=dspy.JSONAdapter()),
        pytest.raises(dspy.utils.exceptions.AdapterParseError),
    ):
        dspy.Predict(Ask)(spec="sky")
    sent = fake.bodies[0]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["strict"] is True
    assert list(sent["json_schema"]["schema"]["properties"]) == ["colour"]


@pytest.mark.parametrize("how", ["call", "acall"])
def test_a_failure_reaches_the_caller_of_dspy_as_it_was_raised(how: str) -> None:
    error = EngineError("the server is gone")
    lm = lm_of(Fake(error))
    with recording() as rows, pytest.raises(ProviderError, match="server is gone") as raised:
        lm("hi") if how == "call" else asyncio.run(lm.acall("hi"))
    assert raised.value is error
    assert rows == []


def test_a_prompt_that_is_too_long_is_told_apart() -> None:
    with pytest.raises(PromptTooLongError, match="9 tokens") as raised:
        lm_of(Fake(PromptTooLongError("9 tokens")))("hi")
    assert isinstance(raised.value, ProviderError)
    assert isinstance(raised.value, ContextWindowExceededError)


def test_ctrl_c_ends_the_wait_at_once_and_stops_the_generation() -> None:
    fake = Fake(wait=True)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lm_of(fake)("hi")
    assert time.monotonic() - began < 10
    assert fake.gave_up.wait(10)


def test_a_cancelled_task_stops_its_generation() -> None:
    fake = Fake(wait=True)

    async def give_up() -> None:
        await asyncio.wait_for(lm_of(fake).acall("hi"), timeout=0.2)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert fake.gave_up.wait(10)


def test_copies_of_a_program_share_the_engine() -> None:
    engine = LlamaEngine(Fake(), "m")
    both = copy.deepcopy((engine, AsyncLlamaEngine(engine)))
    assert both[0] is engine
    assert lm_of(Fake()).copy(temperature=0.5).kwargs["temperature"] == 0.5


def test_a_missing_file_is_one_sentence() -> None:
    with pytest.raises(ProviderError, match=r"no model file at .*none\.gguf.*lift models pull"):
        load_engine(Path("/nowhere/none.gguf"))


def test_an_engine_without_a_file_cannot_be_loaded_again() -> None:
    state = LlamaEngine(Fake(), "m").dump_state()
    with pytest.raises(ProviderError, match="saved without a model file"):
        LlamaEngine.load_state(state)
