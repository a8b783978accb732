"""The next model of a chain is asked for a reason, and every call is noted."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import ProviderError
from lift_sys.inference.breaker import Breaker
from lift_sys.inference.chain import ChainEngine
from lift_sys.inference.chat import Answer
from lift_sys.inference.course import Caps, Member
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.failures import (
    CancelledError,
    EngineError,
    PromptTooLongError,
    RefusedError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.model_info import FREE, ModelInfo, Price
from lift_sys.inference.replay import ReplayEngine, StoredCall
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import CallRecord, recording, stage

GOOD, BAD = '{"n": 1}', '{"n": "one"}'
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORM: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
}
SAMPLED: dict[str, Any] = {"temperature": 0.7, "seed": 5}
Said = str | Exception


class Script:
    """Members a, b, ... that say what they are told to, one thing a call, then ``GOOD``."""

    def __init__(self, *said: Sequence[Said], **chain: Any) -> None:
        self.price: Price | None = FREE
        self.cap: float | None = None
        self.now = 0.0
        self.engines = [ScriptedEngine(self._answers(list(lines))) for lines in said]
        self.ids = [chr(ord("a") + i) for i in range(len(said))]
        self.chain = {"tries": 2, **chain}

    def _answers(self, lines: list[Said]) -> Callable[[Request], str]:
        def answer(_: Request) -> str:
            line = lines.pop(0) if lines else GOOD
            if isinstance(line, Exception):
                raise line
            return line

        return answer

    def info(self, name: str, price: Price | None = FREE) -> ModelInfo:
        return ModelInfo(id=name, backend="vllm", name=name, price=price, cap=self.cap)

    def engine(
        self, wrap: Callable[[Any], Any] = lambda engine: engine, caps: Caps | None = None
    ) -> ChainEngine:
        info = ModelInfo(id="chain", backend="chain", name="chain", **self.chain)
        prices = [self.price, *[FREE] * len(self.ids)]
        members = [
            Member(self.info(name, price), wrap(engine), f"local/{name}", self.breaker())
            for name, engine, price in zip(self.ids, self.engines, prices, strict=False)
        ]
        return ChainEngine(info, members, caps)

    def breaker(self) -> Breaker:
        return Breaker(3, 10.0, lambda: self.now)

    @property
    def asked(self) -> list[int]:
        return [len(engine.requests) for engine in self.engines]


def lm_of(engine: ChainEngine) -> dspy.LM:
    return dspy.LM(
        "local/chain",
        engine=engine,
        async_engine=engine.for_await(),
        cache=False,
        num_retries=0,
        temperature=0.0,
    )


def ask(engine: ChainEngine, awaited: bool = False, **config: Any) -> tuple[str, list[CallRecord]]:
    lm = lm_of(engine)
    config = {"response_format": FORM, **config}
    with recording() as calls:
        made = asyncio.run(lm.acall("hi", **config)) if awaited else lm("hi", **config)
    return made[0], calls


def told(calls: Sequence[CallRecord]) -> list[tuple[str, str, tuple[str, ...]]]:
    assert all(call.asked == "chain" for call in calls)
    return [(call.model, call.rejected, call.passed_on) for call in calls]


both = pytest.mark.parametrize("awaited", [False, True])


@both
def test_the_first_member_answers_alone(awaited: bool) -> None:
    script = Script([], [])
    text, calls = ask(script.engine(), awaited)
    assert (text, script.asked, told(calls)) == (GOOD, [1, 0], [("a", "", ())])


@both
@pytest.mark.parametrize(
    ("bad", "flaw"), [("no", "not JSON"), (BAD, "not of the schema"), (" ", "empty")]
)
def test_an_unusable_greedy_answer_is_not_asked_for_again(
    bad: str, flaw: str, awaited: bool
) -> None:
    script = Script([bad], [])
    text, calls = ask(script.engine(), awaited)
    assert (text, script.asked) == (GOOD, [1, 1])
    assert told(calls) == [("a", flaw, ()), ("b", "", (f"a: {flaw}",))]
    assert sum(call.completion_tokens for call in calls) == 2 + len(bad.split(" "))


@both
def test_a_sampled_one_is_drawn_again_with_another_seed(awaited: bool) -> None:
    script = Script([BAD, BAD, BAD], [], tries=3)
    _, calls = ask(script.engine(), awaited, **SAMPLED)
    assert script.asked == [3, 1]
    seeds = [body["seed"] for body in script.engines[0].bodies]
    assert seeds[0] == 5 == script.engines[1].bodies[0]["seed"]
    assert len(set(seeds)) == 3
    assert calls[-1].passed_on == ("a: not of the schema",)


def test_a_second_try_that_is_usable_stays_with_the_member() -> None:
    script = Script([BAD], [])
    _, calls = ask(script.engine(), **SAMPLED)
    assert told(calls) == [("a", "not of the schema", ()), ("a", "", ())]


def test_an_answer_that_was_cut_off_is_unusable() -> None:
    script = Script(["one two three"], ["fine"])
    text, calls = ask(script.engine(), response_format=None, max_tokens=2)
    assert (text, calls[0].rejected, calls[0].finish_reason) == ("fine", "cut off", "length")


@both
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineError("no power"), "unavailable"),
        (UnavailableError("no power"), "unavailable"),
        (TimedOutError("slow"), "timeout"),
        (StatusError("bad key", 401), "refused"),
        (PromptTooLongError("long"), "too long"),
    ],
)
def test_a_member_that_fails_is_passed_over(error: Exception, reason: str, awaited: bool) -> None:
    script = Script([error], [])
    _, calls = ask(script.engine(), awaited, **SAMPLED)
    assert (script.asked, told(calls)) == ([1, 1], [("b", "", (f"a: {reason}",))])


def test_a_failure_on_the_second_try_is_the_reason() -> None:
    script = Script([BAD, TimedOutError("slow")], [])
    _, calls = ask(script.engine(), **SAMPLED)
    assert told(calls) == [("a", "not of the schema", ()), ("b", "", ("a: timeout",))]


@both
def test_if_all_fail_the_last_unusable_answer_is_the_answer(awaited: bool) -> None:
    script = Script([BAD], ["no"], [EngineError("no power")])
    text, calls = ask(script.engine(), awaited)
    everything = ("a: not of the schema", "b: not JSON", "c: unavailable")
    assert text == "no"
    assert told(calls) == [
        ("a", "not of the schema", ()),
        ("b", "not JSON", everything),
    ]


def test_if_there_is_no_answer_at_all_the_error_says_why_of_each() -> None:
    script = Script([EngineError("no power")], [PromptTooLongError("9000 tokens")])
    with pytest.raises(ProviderError, match=r"chain chain .*: a: no power; b: 9000 tokens"):
        ask(script.engine())
    long = Script([PromptTooLongError("long")], [PromptTooLongError("long")])
    with pytest.raises(PromptTooLongError):
        ask(long.engine())


@pytest.mark.parametrize("error", [CancelledError("gone"), RefusedError("spent")])
def test_giving_up_and_a_spent_budget_end_the_call(error: Exception) -> None:
    script = Script([BAD, error], [])
    with recording() as calls, pytest.raises(type(error)):
        lm_of(script.engine())("hi", response_format=FORM, **SAMPLED)
    assert script.asked == [2, 0]
    assert [call.rejected for call in calls] == ["not of the schema"]


def test_a_member_that_keeps_failing_rests_and_comes_back() -> None:
    down = [EngineError("no power")] * 3
    script = Script(down, [])
    engine = script.engine()
    reasons = [ask(engine)[1][-1].passed_on for _ in range(4)]
    assert reasons == [("a: unavailable",)] * 3 + [("a: resting",)]
    script.now += 10
    assert told(ask(engine)[1]) == [("a", "", ())]
    assert script.asked == [4, 4]


@both
def test_a_member_has_only_so_long(awaited: bool) -> None:
    async def sleep(_: dict[str, Any]) -> Answer:
        await asyncio.sleep(20)
        return Answer(GOOD, "stop", 1, 0, 1)

    script = Script([], timeout=0.05)
    slow = Member(script.info("slow"), ChatEngine(sleep, "slow"), "local/slow", script.breaker())
    chain = script.engine()
    _, calls = ask(ChainEngine(chain.info, (slow, *chain.members)), awaited)
    assert told(calls) == [("a", "", ("slow: timeout",))]


def test_a_member_is_passed_over_at_its_cap_and_stored_answers_cost_nothing() -> None:
    script = Script([], [])
    script.price, script.cap = Price(million_output=1e6), 2.5
    engine = script.engine(lambda e: ReplayEngine(e, "w", Stored()))
    models = [ask(engine, temperature=0.5, seed=n)[1][-1].model for n in (0, 0, 0, 1, 2)]
    assert models == ["a", "a", "a", "a", "b"]  # two words, and so two USD, an answer
    assert ask(engine, temperature=0.5, seed=9)[1][-1].passed_on == ("a: cap reached",)


def test_chains_that_share_a_record_spend_one_cap() -> None:
    script, shared = Script([], []), Caps()
    script.price, script.cap = Price(million_output=1e6), 2.5
    chains = [script.engine(caps=caps) for caps in (shared, shared, None)]
    models = [[ask(chain)[1][-1].model for _ in range(2)] for chain in chains]
    assert models == [["a", "a"], ["b", "b"], ["a", "a"]]  # two USD an answer


class Stored(dict[str, StoredCall]):
    def put(self, entry: StoredCall) -> None:
        self[entry.key] = entry


def test_a_member_answers_as_it_does_alone_and_each_answer_is_generated_once() -> None:
    script, calls = Script([BAD], []), Stored()
    engine = script.engine(lambda e: ReplayEngine(e, "w", calls))
    alone = dspy.LM(
        "local/a", engine=engine.members[0].engine, cache=False, num_retries=0, temperature=0.0
    )
    assert alone("hi", response_format=FORM) == [BAD]
    _, first = ask(engine)
    _, again = ask(engine)
    assert script.asked == [1, 1]
    assert [call.reused for call in first] == [True, False]
    assert [call.reused for call in again] == [True, True]
    assert told(first) == told(again)
    stored = [entry.record for entry in calls.values()]
    assert all(not record.asked and not record.rejected for record in stored)


def test_calls_keep_their_stage_and_the_chain_its_identity() -> None:
    engine = Script([], []).engine()
    assert copy.deepcopy(engine) is engine
    with stage("code"):
        assert ask(engine)[1][0].stage == "code"
    with pytest.raises(EngineError, match="chain chain is not part of a saved program"):
        ChainEngine.load_state(engine.dump_state())
    with pytest.raises(EngineError, match="chain chain is not part"):
        type(engine.for_await()).load_state(engine.for_await().dump_state())


LINES = st.one_of(
    st.sampled_from([GOOD, BAD, "no", ""]),
    st.sampled_from([EngineError, TimedOutError, PromptTooLongError]).map(lambda kind: kind("x")),
)


@given(st.lists(st.lists(LINES, max_size=4), min_size=1, max_size=4), st.integers(1, 3))
def test_the_first_usable_answer_in_order_is_given(said: list[list[Said]], tries: int) -> None:
    script = Script(*said, tries=tries)
    engine = script.engine()
    expected: list[tuple[str, Said]] = []
    for name, lines in zip(script.ids, said, strict=True):
        for line in [*lines, *[GOOD] * tries][:tries]:
            expected.append((name, line))
            if isinstance(line, Exception) or line == GOOD:
                break
        if expected[-1][1] == GOOD:
            break
    texts = [(name, line) for name, line in expected if isinstance(line, str)]
    if not texts:
        with pytest.raises(ProviderError):
            ask(engine, **SAMPLED)
        return
    text, calls = ask(engine, **SAMPLED)
    assert text == texts[-1][1]
    assert [call.model for call in calls] == [name for name, _ in texts]
    assert [not call.rejected for call in calls] == [line == GOOD for _, line in texts]
    named = [reason.split(":")[0] for reason in calls[-1].passed_on]
    turned_to = list(dict.fromkeys(name for name, _ in expected))
    assert named == (turned_to[:-1] if text == GOOD else turned_to)
