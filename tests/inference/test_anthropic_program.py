"""Programs that Claude answers, alone or beside another model.

The bodies are written from the API's documented format. They were not recorded from the live API,
which these tests cannot reach.
"""

from __future__ import annotations

import json
from typing import Any

import dspy
import httpx
import pytest

from lift_sys.config import Budget
from lift_sys.errors import ProviderError
from lift_sys.inference.anthropic import connect
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.tolerant import REPAIR_TURNS
from lift_sys.inference.usage import recording
from lift_sys.sandbox import Sandbox
from programs.hypers import set_hypers
from programs.presets import make_program
from tests.inference.chat_server import FORMAT, IR, QUICK
from tests.inference.messages_api import (
    CLAUDE,
    CODE,
    KEY,
    Api,
    failure,
    lm_of,
    message,
    with_structure,
)
from tests.inference.test_budget import Answers, Memory


@pytest.mark.parametrize("structured", ["schema", "tool", "words"])
def test_the_ir_is_claudes_and_the_code_another_models(sandbox: Sandbox, structured: str) -> None:
    call = {"type": "tool_use", "id": "toolu_01A", "name": "answer", "input": IR}
    reply = (
        message(stop_reason="tool_use", content=[call])
        if structured == "tool"
        else message(json.dumps(IR))
    )
    claude, thinking = lm_of("claude", with_structure(structured), reply)
    other, writing = lm_of("other", CLAUDE, message(CODE))
    program = make_program("single", sandbox).with_models({"claude": claude}.__getitem__)
    set_hypers(program, {"ir_generator.model": "claude", "code_sees": "ir"})

    with recording() as calls, dspy.context(lm=other):
        made = program(spec="Return the double of x.", entry_point="double")

    assert "return 2 * x" in made.code
    assert made.ir.intent.summary == "Doubles x"
    assert [(call.model, call.stage) for call in calls] == [("claude", "ir"), ("other", "code")]
    assert (len(thinking.requests), len(writing.requests)) == (1, 1)


WRONG = message(json.dumps(IR | {"effects": [1, 2]}))


@pytest.mark.parametrize(
    ("reply", "requests", "failed"),
    [
        (message(""), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message("I'd rather talk."), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (WRONG, 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message(json.dumps(IR)[:60]), 1 + REPAIR_TURNS, "ir_not_parsed"),
        (message(json.dumps(IR)[:60], "max_tokens"), 1, "truncated: the ir stage was cut off"),
        (message(json.dumps(IR)[:-1], "max_tokens"), 1, "truncated: the ir stage was cut off"),
        (message("", "refusal"), 1, "other: the model refused to answer in the ir stage"),
    ],
)
@pytest.mark.parametrize("structured", ["schema", "words"])
def test_a_bad_answer_is_a_failed_attempt_and_its_tokens_count(
    sandbox: Sandbox, reply: httpx.Response, requests: int, failed: str, structured: str
) -> None:
    claude, api = lm_of("claude", with_structure(structured), reply)

    with recording() as calls, dspy.context(lm=claude):
        made = make_program("single", sandbox)(spec="Double x.", entry_point="double")

    assert made.code is None or made.code == ""
    assert made.failure.startswith(failed)
    assert len(api.requests) == requests
    (call,) = calls
    assert (call.prompt_tokens, call.completion_tokens) == (20 * requests, 5 * requests)


def test_every_turn_of_a_call_is_paid_for_and_a_stored_answer_once() -> None:
    api = Api([message("{}"), message(json.dumps(IR))])
    send = connect(CLAUDE, KEY, retries=QUICK, transport=httpx.MockTransport(api))
    memory = Memory()
    engine: Any = ReplayEngine(ChatEngine(send, "claude"), CLAUDE.identity, Answers(memory))
    lm = dspy.LM("local/claude", engine=engine, cache=False, num_retries=0)
    pay_from(Account(lambda: Budget(usd=1.0), memory), lm, "claude", CLAUDE.price)
    for _ in range(2):
        lm("Write an IR.", response_format=FORMAT)

    assert len(api.requests) == 2
    assert memory.spent.tokens == 50
    assert memory.spent.usd == pytest.approx((40 * 3 + 10 * 15) / 1e6)


def test_a_failing_api_is_no_failed_attempt(sandbox: Sandbox) -> None:
    claude, _ = lm_of("claude", CLAUDE, failure(529, "overloaded_error", "Overloaded"))
    with dspy.context(lm=claude), pytest.raises(ProviderError, match="Overloaded"):
        make_program("single", sandbox)(spec="Double x.", entry_point="double")
