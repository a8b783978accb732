"""What a call can cost at most, and that budgets hold where one call asks several times."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import dspy
import pytest

from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.charge import BYTES_PER_TOKEN, TOKENS_PER_MESSAGE, most_tokens
from lift_sys.inference.chat import Answer
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.model_info import FREE
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.tolerant import REPAIR_TURNS, Validated, in_words
from tests.inference.test_budget import Answers, Memory

FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "x",
        "schema": {
            "type": "object",
            "properties": {"colour": {"enum": ["red"]}},
            "required": ["colour"],
        },
        "strict": True,
    },
}


def tokens_of(text: str) -> int:
    return len(text.encode()) // BYTES_PER_TOKEN


class Stubborn:
    """A model whose JSON never fits and is as long as it may be."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    async def __call__(self, body: dict[str, Any]) -> Answer:
        with self.lock:
            self.bodies.append(body)
        await asyncio.sleep(0.01)
        told = sum(tokens_of(m["content"]) + TOKENS_PER_MESSAGE for m in body["messages"])
        text = json.dumps({"colour": "x" * (BYTES_PER_TOKEN * body["max_tokens"] - 14)})
        return Answer(text, "stop", told, 0, body["max_tokens"])


def test_all_turns_of_a_call_are_within_what_is_reserved() -> None:
    model = Stubborn()
    body = {
        "messages": [{"role": "user", "content": "Name a colour. " * 20}],
        "max_tokens": 90,
        "response_format": FORM,
    }
    asked = Validated(lambda sent: model(in_words(sent)))
    answer = asyncio.run(asked(body))

    assert len(model.bodies) == 1 + REPAIR_TURNS
    prompt, generated = most_tokens(body, asked.turns)
    assert answer.completion_tokens == generated
    assert prompt / 2 < answer.prompt_tokens <= prompt


def test_the_reservation_of_one_request_is_its_own() -> None:
    body = {"messages": [{"role": "user", "content": "abcd"}], "max_tokens": 7}
    assert most_tokens(body) == (2 + TOKENS_PER_MESSAGE, 7)


@pytest.mark.parametrize("threads", [1, 8])
def test_calls_of_several_turns_pass_a_budget_by_one_at_most(threads: int) -> None:
    model, memory = Stubborn(), Memory()
    engine = ChatEngine(Validated(model), "x", concurrency=threads)
    lm = dspy.LM(
        "local/x", engine=ReplayEngine(engine, "w", Answers(memory)), cache=False, num_retries=0
    )
    account = Account(lambda: Budget(tokens=1000), memory)
    account.enter("search")
    pay_from(account, lm, "x", FREE)

    def ask(number: int) -> None:
        with suppress(BudgetSpent):
            lm(f"question {number}", max_tokens=50, response_format=FORM)

    with ThreadPoolExecutor(threads) as pool:
        for made in [pool.submit(copy_context().run, ask, n) for n in range(12)]:
            made.result()
    dearest = max(entry.spend.tokens for entry in memory.entries)
    assert 1000 <= memory.spent.tokens < 1000 + dearest
