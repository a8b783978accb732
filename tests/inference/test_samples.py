"""Samples of one request differ where they are asked for, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest
from dspy.lm15 import Config, Message, Request, TextPart

from lift_sys.app.container import MemoryCalls
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.samples import SampledLM, rollout, sampled
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import recording


def seed_of(request: Request) -> str:
    return f"[[ ## answer ## ]]\nof {request.config.seed}\n[[ ## completed ## ]]"


def model(temperature: float = 0.7, kind: type[dspy.LM] = SampledLM) -> dspy.LM:
    """Return a model that keeps its answers, each of which tells the seed."""
    engine = ReplayEngine(ScriptedEngine(seed_of), "w", MemoryCalls())
    return kind("local/x", engine=engine, cache=False, num_retries=0, temperature=temperature)


def ask(lm: dspy.LM, **config: Any) -> Any:
    with dspy.context(lm=lm):
        return dspy.Predict("question -> answer")(question="which?", config=config)


def test_a_call_is_what_it_was_where_nothing_asks_for_another_sample() -> None:
    assert ask(model()).answer == "of None"
    assert ask(model(), seed=7).answer == "of 7"
    assert ask(model().copy(rollout_id=None)).answer == "of None"


@pytest.mark.parametrize("kind", [SampledLM, dspy.LM])
def test_the_samples_of_one_call_differ(kind: type[dspy.LM]) -> None:
    answers = ask(model(kind=kind), n=3, temperature=0.9).completions.answer

    # The control: DSPy sends the same request three times.
    assert len(set(answers)) == (3 if kind is SampledLM else 1)
    if kind is SampledLM:
        assert answers == ask(model(), n=3, temperature=0.9).completions.answer
        assert ask(model(), n=2, seed=7).completions.answer == ["of 7", "of 8"]


@pytest.mark.parametrize("kind", [SampledLM, dspy.LM])
def test_rollouts_of_a_copy_differ(kind: type[dspy.LM]) -> None:
    lm = model(kind=kind)
    answers = [ask(lm.copy(rollout_id=number, temperature=1.0)).answer for number in (0, 1, 2, 2)]

    assert len(set(answers)) == (3 if kind is SampledLM else 1)
    assert answers[2] == answers[3]


def test_rollouts_of_a_task_differ_and_meet_those_of_a_copy() -> None:
    lm = model()
    with rollout(1):
        inside = [ask(lm).answer, ask(lm.copy(rollout_id=1)).answer, ask(lm, seed=7).answer]
        with rollout(2):
            other = ask(lm).answer
    with rollout(0):
        first = ask(lm).answer

    assert len({*inside[:2], other, first}) == 4
    assert (inside[2], first) == ("of 7", "of None")


def test_dspys_threads_draw_the_samples_of_the_rollout_and_are_recorded() -> None:
    program = dspy.Predict("question -> answer")
    asked = [(program, {"question": question}) for question in ("a", "b", "c")]
    found = []
    for number in (0, 1):
        with recording() as calls, dspy.context(lm=model()), rollout(number):
            answers = dspy.Parallel(num_threads=2, disable_progress_bar=True)(asked)
        found.append({answer.answer for answer in answers})
        assert len(calls) == 3

    assert found[0] == {"of None"}
    assert not found[0] & found[1]


def test_a_model_with_a_seed_has_other_samples_of_a_rollout() -> None:
    found = [ask(model().copy(seed=seed, rollout_id=1)).answer for seed in (3, 4)]

    assert len(set(found)) == 2
    assert ask(model().copy(seed=3)).answer == "of 3"


def test_a_greedy_answer_has_no_other_samples() -> None:
    lm = model(0.0)
    with rollout(1):
        assert ask(lm).answer == "of None"
    assert len(lm("hi", n=3)) == 3


def test_await_gives_the_same_samples() -> None:
    lm = sampled(model(), ScriptedEngine(seed_of), rollout_id=3)

    assert asyncio.run(lm.acall("hi", n=2)) == lm("hi", n=2)
    assert asyncio.run(lm.acall("hi")) == lm("hi") == lm("hi", n=2)[:1]


def test_a_whole_request_is_left_as_it_is() -> None:
    lm = model().copy(rollout_id=3)
    said = Message(role="user", parts=(TextPart(text="hi"),))
    request = Request(model="local/x", messages=(said,), config=Config(temperature=0.7))

    assert "of None" in lm(request).message.text


def test_any_model_can_be_given_samples() -> None:
    class Loud(dspy.LM):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return [output.upper() for output in super().__call__(*args, **kwargs)]

    plain, loud = model(kind=dspy.LM), model(kind=Loud)
    made = sampled(loud, loud.engine)

    assert type(sampled(plain, plain.engine)) is SampledLM
    assert type(plain) is dspy.LM
    assert isinstance(made, Loud)
    assert len(set(made("hi", n=2))) == 2
    assert made("hi")[0].startswith("[[ ## ANSWER")
    assert made.copy(rollout_id=4)("hi") != made("hi")
