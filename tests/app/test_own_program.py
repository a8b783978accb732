"""A caller's program and metric: what they are given, what they answer, and what fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import LMError

from lift_sys.app.own_program import OwnMetric, ask, taken_fields
from lift_sys.errors import ConfigError, ProviderError, SandboxError
from lift_sys.inference.failures import EngineError, PromptTooLongError, RefusedError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.tasks import Case, Task
from programs.hypers import Hyper

TASK = Task(
    id="t", spec="Return one.", entry_point="one", category="c", split="dev", source="test",
    visible=(Case(args="()", expected="1"),), hidden=(Case(args="(2,)", expected="2"),),
)  # fmt: skip


class Own(dspy.Module):
    def __init__(self, answer: Callable[..., Any] = dict) -> None:
        super().__init__()
        self.n = Hyper("n", 1, 2)
        self.answer = answer

    def forward(self, spec: str, rollout: int) -> dspy.Prediction:
        return dspy.Prediction(**self.answer(spec=spec, rollout=rollout))


class NoSpec(dspy.Module):
    def forward(self, question: str) -> None: ...


def raising(error: Exception) -> Own:
    def answer(**_: Any) -> dict[str, Any]:
        raise error

    return Own(answer)


def equals(example: dspy.Example, pred: dspy.Prediction, trace: Any = None) -> bool:
    return bool(pred.code == example.spec)


@pytest.mark.parametrize(
    ("program", "fields"),
    [
        (Own(), ("spec", "rollout")),
        (dspy.Predict("spec -> code"), ("spec",)),
        (dspy.ChainOfThought("spec, entry_point -> code"), ("spec", "entry_point")),
    ],
)
def test_a_program_is_given_what_it_takes(program: dspy.Module, fields: tuple[str, ...]) -> None:
    assert taken_fields(program) == fields


def test_a_program_that_can_only_be_awaited_is_refused() -> None:
    class Awaited(dspy.Module):
        async def aforward(self, spec: str) -> None: ...

    with pytest.raises(ConfigError, match="Awaited has no forward; give it one"):
        taken_fields(Awaited())


class Tolerant(dspy.Module):
    """Goes on whatever its model does, as far as it can."""

    def __init__(self, last: Callable[[], Any] = dspy.Prediction) -> None:
        super().__init__()
        self.predict = dspy.Predict("spec -> code")
        self.last = last

    def forward(self, spec: str) -> Any:
        with contextlib.suppress(Exception):
            self.predict(spec=spec)
        return self.last()


def refusing(error: Exception) -> dspy.LM:
    def answer(_: Any) -> str:
        raise error

    return dspy.LM("local/x", engine=ScriptedEngine(answer), cache=False, num_retries=0)


@pytest.mark.parametrize("error", [EngineError("gone"), RefusedError("spent")])
@pytest.mark.parametrize("last", [dspy.Prediction, dict, lambda: 1 / 0])
def test_no_program_goes_on_after_a_failure_that_is_not_its_own(
    error: Exception, last: Callable[[], Any]
) -> None:
    with dspy.context(lm=refusing(error)), pytest.raises(type(error)) as caught:
        ask(Tolerant(last), TASK, 0)
    assert caught.value is error


def test_nor_do_its_threads() -> None:
    class Parallel(Tolerant):
        def forward(self, spec: str) -> dspy.Prediction:
            dspy.Parallel(num_threads=2, disable_progress_bar=True)(
                [(self.predict, {"spec": f"{spec} {number}"}) for number in (1, 2)]
            )
            return dspy.Prediction()

    with dspy.context(lm=refusing(RefusedError("spent"))), pytest.raises(RefusedError):
        ask(Parallel(), TASK, 0)


def test_a_program_may_mend_a_request_that_is_too_long() -> None:
    with dspy.context(lm=refusing(PromptTooLongError("too long"))):
        assert ask(Tolerant(lambda: dspy.Prediction(code="x")), TASK, 0).code == "x"


def test_a_program_is_asked_and_never_shown_hidden_cases() -> None:
    answer = ask(Own(), TASK, 3)

    assert answer.toDict() == {"spec": "Return one.", "rollout": 3}


@pytest.mark.parametrize("program", [NoSpec(), dspy.Predict("question -> answer")])
def test_a_program_that_takes_no_spec_is_refused(program: dspy.Module) -> None:
    with pytest.raises(ConfigError, match="does not take a task's 'spec'"):
        taken_fields(program)


def test_a_program_that_raises_has_no_answer() -> None:
    answer = ask(raising(KeyError("x")), TASK, 0)

    assert (answer.code, answer.failure) == (None, "KeyError: 'x'")
    assert OwnMetric(equals, 1.0)(TASK, answer).value == 0


@pytest.mark.parametrize(
    ("error", "raised"),
    [(LMError("down"), ProviderError), (SandboxError("broken"), SandboxError)],
)
def test_what_is_not_the_programs_fault_ends_the_job(
    error: Exception, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        ask(raising(error), TASK, 0)


@pytest.mark.parametrize("returned", [None, "x = 1", {"code": "x = 1"}])
def test_a_program_that_returns_no_prediction_is_refused(returned: Any) -> None:
    class Returning(dspy.Module):
        def forward(self, spec: str) -> Any:
            return returned

    kind = type(returned).__name__
    with pytest.raises(ConfigError, match=f"Returning returned a {kind} for the task 't'; a "):
        ask(Returning(), TASK, 0)


@pytest.mark.parametrize(
    ("result", "value", "passed"),
    [
        (True, 1.0, True),
        (0.79, 0.79, False),
        (0.8, 0.8, True),
        (dspy.Prediction(score=0.9, feedback="nearly"), 0.9, True),
    ],
)
def test_a_metric_may_answer_as_dspy_allows(result: Any, value: float, passed: bool) -> None:
    score = OwnMetric(lambda *_: result, 0.8)(TASK, dspy.Prediction(code="x"))

    assert (score.value, score.passed) == (value, passed)
    assert score.feedback == ("nearly" if value == 0.9 else "")
