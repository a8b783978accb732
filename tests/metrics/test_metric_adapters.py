"""The metric as DSPy calls it: five arguments, a strict bool for bootstrapping, and no leaks."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dspy
import pytest

from lift_sys.errors import DatasetError, SandboxError
from lift_sys.inference.scripted import AsyncScriptedEngine, ScriptedEngine
from lift_sys.sandbox import Limits, Sandbox, create_sandbox
from lift_sys.sandbox.base import Execution, Submission
from lift_sys.tasks import Task
from metrics.adapters import ExecutionMetric, to_example

TASK = Task.model_validate(
    {
        "id": "double",
        "spec": "Double x.",
        "entry_point": "double",
        "category": "arithmetic",
        "split": "train",
        "source": "test",
        "visible": [{"args": "(1,)", "expected": "2"}],
        "hidden": [{"args": "(2,)", "expected": "4"}, {"args": "(0,)", "expected": "0"}],
    }
)
GOOD = dspy.Prediction(code="def double(x):\n    return 2 * x", failure=None)
HALF = dspy.Prediction(code="def double(x):\n    return x", failure=None)
NONE = dspy.Prediction(code=None, failure="truncated: the code stage was cut off")


@pytest.fixture(scope="module")
def metric() -> Iterator[ExecutionMetric]:
    with closing(create_sandbox()) as sandbox:
        yield ExecutionMetric([TASK], sandbox)


@pytest.mark.parametrize(
    ("prediction", "score", "said"),
    [
        (GOOD, 1.0, "All 2 hidden cases passed"),
        (HALF, 0.5, "double(2,) should give 4 but gave 2"),
        (NONE, 0.0, "truncated: the code stage"),
    ],
    ids=["good", "half", "none"],
)
def test_score_and_feedback(
    metric: ExecutionMetric, prediction: dspy.Prediction, score: float, said: str
) -> None:
    example = to_example(TASK)
    forms: list[tuple[Any, ...]] = [(), (None,) * 3, (None, "code", None), ([], "code", [])]
    for more in forms:
        result: Any = metric(example, prediction, *more)
        assert result.score == score
        assert said in result.feedback


@pytest.mark.parametrize(("prediction", "passed"), [(GOOD, True), (HALF, False), (NONE, False)])
@pytest.mark.parametrize("trace", [[], [("predictor", {}, {})]], ids=["empty", "full"])
def test_bootstrapping_gets_a_strict_bool(
    metric: ExecutionMetric, prediction: dspy.Prediction, passed: bool, trace: list[Any]
) -> None:
    assert metric(to_example(TASK), prediction, trace) is passed


def test_the_form_is_the_one_dspy_calls(metric: ExecutionMetric) -> None:
    names = list(inspect.signature(metric).parameters)
    assert names == ["gold", "pred", "trace", "pred_name", "pred_trace"]
    result = metric(gold=to_example(TASK), pred=GOOD, trace=None, pred_name="code", pred_trace=None)
    assert result["score"] == 1.0  # type: ignore[index]


def test_a_sandbox_failure_goes_through() -> None:
    class Broken:
        description = "broken"

        def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
            msg = "the worker is gone"
            raise SandboxError(msg)

        def close(self) -> None:
            """Nothing is held."""

    broken: Sandbox = Broken()
    forms: list[dict[str, Any]] = [{}, {"trace": [1]}]
    for more in forms:
        with pytest.raises(SandboxError, match="the worker is gone"):
            ExecutionMetric([TASK], broken)(to_example(TASK), GOOD, **more)


def test_copies_share_the_sandbox(metric: ExecutionMetric) -> None:
    assert copy.deepcopy(metric) is metric


def test_a_program_is_given_no_hidden_case() -> None:
    inputs = to_example(TASK).inputs()
    assert set(inputs.keys()) == {"spec", "entry_point", "visible"}
    assert inputs["visible"] == TASK.visible
    assert to_example(TASK).task_id == TASK.id


class Writer(dspy.Module):
    """Asks for code directly."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict("spec -> code")

    def forward(self, spec: str, entry_point: str, visible: Any) -> dspy.Prediction:
        answer = self.write(spec=spec)
        return dspy.Prediction(code=answer.code, failure=None)


@pytest.mark.parametrize(("prediction", "demos"), [(GOOD, 1), (HALF, 0)], ids=["good", "half"])
def test_only_passing_traces_become_demos(
    metric: ExecutionMetric, prediction: dspy.Prediction, demos: int
) -> None:
    text = f"[[ ## code ## ]]\n{prediction.code}\n\n[[ ## completed ## ]]"
    engine = ScriptedEngine(lambda _: text)
    lm = dspy.LM(
        "local/script",
        engine=engine,
        async_engine=AsyncScriptedEngine(engine),
        cache=False,
        num_retries=0,
    )
    optimizer = dspy.BootstrapFewShot(metric=metric, max_labeled_demos=0)
    with dspy.context(lm=lm):
        compiled = optimizer.compile(Writer(), trainset=[to_example(TASK)])
    assert len(compiled.write.demos) == demos
    assert "task" not in str([d.toDict() for d in compiled.write.demos])


def test_a_task_that_the_metric_was_not_given_is_named(metric: ExecutionMetric) -> None:
    other = TASK.model_copy(update={"id": "another"})

    with pytest.raises(DatasetError, match="no task 'another'"):
        metric(to_example(other), GOOD)
