"""A caller's own model: kept, counted and paid, and drawn from anew where a task runs again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from lift_sys.errors import BudgetSpent, ConfigError, ProviderError
from tests.app.own_study import (
    NOWHERE,
    Own,
    scripted,
    study,
    told,
)
from tests.inference.chat_server import KEY, Reply, Server, completion


def test_a_cost_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    class Served(dspy.LM):
        """A model that a class of the caller's own asks."""

    served = Served("openai/served", api_base="http://127.0.0.1:9/v1", api_key="none")
    with pytest.raises(ConfigError, match="openai/served costs is not known here"):
        study(tmp_path, model=served, budget={"tokens": 9_999})
    with pytest.raises(ConfigError, match="local/script costs is not known here"):
        study(tmp_path, budget={"usd": 1.0})
    with pytest.raises(ConfigError, match="openai/served takes in tokens is not known here"):
        study(tmp_path, model=served, objectives=("tokens",))
    with pytest.raises(ConfigError, match="local/script takes in usd is not known here"):
        study(tmp_path, objectives=("usd",))


class Answering(Server):
    """A provider that answers as the script does."""

    def answer(self, body: dict[str, Any]) -> Reply:
        return completion(told("\n".join(str(m["content"]) for m in body["messages"])))


def test_answers_that_dspy_gets_by_itself_are_kept_and_paid(tmp_path: Path) -> None:
    server = Answering()
    served = dspy.LM("openai/served", api_base=server.url, api_key=KEY, temperature=0.7)
    found = study(tmp_path, model=served, trials=2, budget={"tokens": 5_000})
    asked = len(server.bodies)
    again = study(tmp_path, model=served, trials=2, budget={"tokens": 5_000})
    server.close()

    assert found.program.care.value is again.program.care.value is True
    assert len(server.bodies) == asked == found.report.usage.calls > 0
    assert found.report.usage.completion_tokens == 5 * asked
    assert found.report.budget is not None
    assert sum(s.tokens for s in found.report.budget.phases.values()) == (20 + 5) * asked
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and KEY in f.read_text("utf-8")]


def test_a_provider_that_counts_no_tokens_passes_no_budget(tmp_path: Path) -> None:
    class Uncounting(Answering):
        def answer(self, body: dict[str, Any]) -> Reply:
            status, headers, content = super().answer(body)
            return status, headers, json.dumps({**json.loads(content), "usage": None}).encode()

    server = Uncounting()
    served = dspy.LM("openai/served", api_base=server.url, api_key=KEY, max_tokens=500)
    with pytest.raises(BudgetSpent, match="the budget of 3,000 tokens is spent"):
        study(tmp_path, model=served, budget={"tokens": 3_000})
    server.close()
    assert len(server.bodies) <= 6


def test_what_runs_again_draws_other_samples(tmp_path: Path) -> None:
    lm, engine = scripted()
    found = study(tmp_path, model=lm.copy(temperature=0.7), trials=2, reevaluate=1)
    seeds = {request.config.seed for request in engine.requests}

    assert found.report.search is not None
    assert found.report.search.after is not None
    assert not found.report.search.repeated
    assert "with fresh samples it passed" in found.text
    assert len(seeds) == 2  # none in trials, and one of their rollout where one runs again


@pytest.mark.parametrize(("temperature", "repeated"), [(None, False), (0.0, True)])
def test_a_provider_samples_unless_it_is_told_not_to(
    tmp_path: Path, temperature: float | None, repeated: bool
) -> None:
    server = Answering()
    served = dspy.LM("openai/o", api_base=server.url, api_key=KEY, temperature=temperature)
    found = study(tmp_path, model=served, trials=2)
    server.close()

    assert found.report.search is not None
    assert found.report.search.repeated is repeated


def test_a_program_may_await_its_model(tmp_path: Path) -> None:
    class Awaiting(Own):
        def forward(self, spec: str) -> dspy.Prediction:
            # Not asyncio.run, which drops the loop that litellm left open.
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                answer = self.write.acall(spec=spec, care=self.care.value)
                return loop.run_until_complete(answer)

    found = study(tmp_path, Awaiting())
    assert found.program.care.value is True
    assert found.report.usage.calls > 0


@pytest.mark.parametrize("settings", [{"model_type": "text"}, {"extra_body": {"best_of": 2}}])
def test_a_model_that_no_request_can_describe_is_asked_by_dspy_and_not_counted(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    served = dspy.LM("openai/o", api_base=NOWHERE, api_key=KEY, num_retries=0, **settings)
    with pytest.raises(ConfigError, match="openai/o costs is not known here"):
        study(tmp_path, model=served, budget={"tokens": 9_999})
    with pytest.raises(ProviderError, match="onnection"):
        study(tmp_path, model=served)
