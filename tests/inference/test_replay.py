"""Answers are generated once, addressed by what the model receives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.inference.replay import ReplayEngine, StoredCall
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import recording, stage


class MemoryCalls:
    def __init__(self) -> None:
        self.entries: dict[str, StoredCall] = {}

    def get(self, key: str) -> StoredCall | None:
        return self.entries.get(key)

    def put(self, entry: StoredCall) -> None:
        self.entries[entry.key] = entry


def endless() -> Iterator[str]:
    number = 0
    while True:
        yield f"answer {number}"
        number += 1


@pytest.fixture
def calls() -> MemoryCalls:
    return MemoryCalls()


def ask(engine: ScriptedEngine, calls: MemoryCalls, weights: str = "w", **config: Any) -> str:
    replaying = ReplayEngine(engine, weights, calls)
    lm = dspy.LM("local/x", engine=replaying, cache=False, num_retries=0)
    text = config.pop("text", "hello")
    answer: str = lm(text, **config)[0]
    return answer


@pytest.fixture
def engine() -> ScriptedEngine:
    answers = endless()
    return ScriptedEngine(lambda _: next(answers))


SAMPLED: dict[str, Any] = {"temperature": 0.7, "seed": 1, "max_tokens": 50}


@pytest.mark.parametrize(
    ("change", "generated"),
    [
        ({}, 1),
        ({"seed": 2}, 2),
        ({"temperature": 0.5}, 2),
        ({"reasoning_effort": "high"}, 2),
        ({"logit_bias": {"50": 1}}, 2),
        ({"max_tokens": 51}, 2),
        ({"text": "bye"}, 2),
        ({"weights": "other"}, 2),
    ],
)
def test_only_the_same_request_is_reused(
    engine: ScriptedEngine, calls: MemoryCalls, change: dict[str, Any], generated: int
) -> None:
    first = ask(engine, calls, **SAMPLED)
    second = ask(engine, calls, **{**SAMPLED, **change})

    assert len(engine.requests) == generated
    assert (first == second) == (generated == 1)


def test_a_greedy_answer_does_not_depend_on_the_seed(
    engine: ScriptedEngine, calls: MemoryCalls
) -> None:
    ask(engine, calls, temperature=0.0, seed=1)
    ask(engine, calls, temperature=0.0, seed=2)

    assert len(engine.requests) == 1


def test_where_the_engine_chooses_the_most_tokens_it_is_another_request(
    engine: ScriptedEngine, calls: MemoryCalls
) -> None:
    ask(engine, calls, temperature=0.7, max_tokens=1024)
    ask(engine, calls, temperature=0.7)
    assert len(calls.entries) == 2


def test_where_the_engine_chooses_the_temperature_seeds_ask_for_samples(
    engine: ScriptedEngine, calls: MemoryCalls
) -> None:
    ask(engine, calls, seed=1)
    ask(engine, calls, seed=2)
    assert len(calls.entries) == 2


@pytest.mark.parametrize(("temperature", "generated"), [(0.0, 1), (0.7, 2)])
def test_only_a_sampled_answer_depends_on_top_p(
    engine: ScriptedEngine, calls: MemoryCalls, temperature: float, generated: int
) -> None:
    ask(engine, calls, temperature=temperature, top_p=0.8)
    ask(engine, calls, temperature=temperature, top_p=0.9)

    assert len(engine.requests) == generated


def test_equal_requests_at_the_same_time_are_generated_once(calls: MemoryCalls) -> None:
    others = threading.Event()

    def answer(_: Request) -> str:
        others.wait(0.2)  # long enough for the other threads to ask
        return "answer"

    engine = ScriptedEngine(answer)
    replaying = ReplayEngine(engine, "w", calls)
    lm = dspy.LM("local/x", engine=replaying, cache=False, num_retries=0)
    with recording() as records, ThreadPoolExecutor(4) as threads:
        contexts = [copy_context() for _ in range(4)]
        texts = list(threads.map(lambda c: c.run(lambda: lm("hello", **SAMPLED)[0]), contexts))

    assert texts == ["answer"] * 4
    assert len(engine.requests) == 1
    assert sorted(record.reused for record in records) == [False, True, True, True]


def test_a_reused_call_is_recorded_with_what_it_cost(
    engine: ScriptedEngine, calls: MemoryCalls
) -> None:
    with recording() as records:
        for name in ("first", "second"):
            with stage(name):
                ask(engine, calls, **SAMPLED)
    made, reused = records

    assert (made.reused, reused.reused) == (False, True)
    assert (made.stage, reused.stage) == ("first", "second")
    assert made.key == reused.key != ""
    assert made.completion_tokens == reused.completion_tokens == 2


def test_a_truncated_answer_stays_truncated(calls: MemoryCalls) -> None:
    engine = ScriptedEngine(["one two three four"], cut_at=2)
    with recording() as records:
        texts = [ask(engine, calls, **SAMPLED) for _ in range(2)]

    assert [r.finish_reason for r in records] == ["length", "length"]
    assert texts[0] == texts[1]
