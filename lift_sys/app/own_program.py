"""A caller's own program and metric, in the form in which a job runs and scores ours.

Owns which fields of a task a program is given, and what a metric's answer means. A program that
raises has given no answer; a backend that fails ends the job.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import dspy
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import ContextWindowExceededError, LMError, LMUnsupportedFeatureError

from lift_sys.app.own_answer import NoAnswer, as_kept, as_run, checked
from lift_sys.errors import ConfigError, LiftError, ProviderError
from lift_sys.inference.samples import rollout as sampling
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from metrics.adapters import to_example
from optimizers.evaluate import Evaluator, Scorer
from optimizers.metric_errors import name_of

Metric = Callable[..., Any]
"""DSPy's metric: called with example, prediction and trace; it returns a number, a ``bool`` or a
prediction with a ``score`` and ``feedback``; higher is better."""

FIELDS = ("spec", "entry_point", "visible", "rollout")
"""What a program may be given, by name."""


def taken_fields(program: dspy.Module) -> tuple[str, ...]:
    """Return which fields of a task a program takes.

    A ``forward`` that takes any name, as that of ``dspy.Predict``, takes those that are input
    fields of a predictor.

    Raises:
        ConfigError: It has no ``forward``, or one that does not take the spec.
    """
    if not hasattr(program, "forward"):
        msg = f"{type(program).__name__} has no forward; give it one, e.g. around its aforward"
        raise ConfigError(msg)
    parameters = inspect.signature(program.forward).parameters
    names = set(parameters)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        names |= {f for p in program.predictors() for f in p.signature.input_fields}
    if "spec" not in names:
        msg = (
            f"{type(program).__name__} does not take a task's 'spec'; give its forward, or the "
            f"signature of its predictor, inputs of these names: {', '.join(FIELDS)}"
        )
        raise ConfigError(msg)
    return tuple(field for field in FIELDS if field in names)


def ask(program: dspy.Module, task: Task, rollout: int) -> dspy.Prediction:
    """Run a program on what it may see of a task.

    Raises:
        ConfigError: It returned something else than a prediction.
        ProviderError: The backend failed.
        LiftError: Another failure that is not the program's.
    """
    view = task.view
    given = {
        "spec": view.spec,
        "entry_point": view.entry_point,
        "visible": view.visible,
        "rollout": rollout,
    }
    fields = {field: given[field] for field in taken_fields(program)}
    seen = _Failures()
    watched = dspy.context(callbacks=[*dspy.settings.callbacks, seen])
    try:
        with sampling(rollout), watched:
            answer = _answer(program, fields)
        seen.check()
    except LiftError:
        raise
    except LMError as error:
        msg = f"the backend failed on the task {task.id!r}: {error}"
        raise ProviderError(msg) from error
    return checked(answer, type(program).__name__, task.id)


def _answer(program: dspy.Module, fields: dict[str, Any]) -> Any:
    try:
        return program(**fields)
    except (LiftError, LMError):
        raise
    except Exception as error:  # noqa: BLE001 (the program's own failure, whatever it is)
        return NoAnswer(error)


class _Failures(BaseCallback):
    """Sees the first failure of a backend, and that a budget is spent.

    A program may go on after either, as ``dspy.BestOfN`` and ``dspy.Parallel`` do; what it returns
    then is worth nothing. What is wrong with the request itself it may mend.
    """

    def __init__(self) -> None:
        self._first: Exception | None = None

    def on_lm_end(
        self,
        call_id: str,  # noqa: ARG002 (DSPy's call)
        outputs: Any,  # noqa: ARG002
        exception: Exception | None = None,
    ) -> None:
        of_request = isinstance(exception, ContextWindowExceededError | LMUnsupportedFeatureError)
        if isinstance(exception, LiftError | LMError) and not of_request:
            self._first = self._first or exception

    def check(self) -> None:
        if self._first is not None:
            raise self._first

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class OwnEvaluator(Evaluator):
    """Runs programs that take some of what may be seen of a task."""

    def ask(self, program: dspy.Module, task: Task, rollout: int) -> dspy.Prediction:
        """Run a program; see ``ask``."""
        return ask(program, task, rollout)

    def kept(self, answer: dspy.Prediction) -> dspy.Prediction:
        """Return what a row keeps; see ``as_kept``."""
        return as_kept(answer)


class OwnMetric:
    """A caller's metric as a job scores.

    Args:
        metric: Higher is better.
        threshold: A task passes from this score on.
    """

    def __init__(self, metric: Metric, threshold: float) -> None:
        self._metric = metric
        self._threshold = threshold
        self.__name__ = name_of(metric)

    def __call__(self, task: Task, answer: dspy.Prediction) -> Score:
        """Score an answer; one that a program failed to give is worth 0."""
        failure = as_kept(answer).get("failure")
        if failure:
            return Score(value=0.0, passed=False, status=None, feedback=failure)
        result: Any = self._metric(to_example(task), answer, None)
        score: Any = getattr(result, "score", result)
        value = float(score)
        feedback = str(getattr(result, "feedback", ""))
        passed = value >= self._threshold
        return Score(value=value, passed=passed, status=None, feedback=feedback)


def own_execution(run: Scorer) -> Scorer:
    """Return the metric that runs code, for answers of a caller's program.

    Args:
        run: The same for answers of ours.
    """

    def execution(task: Task, answer: dspy.Prediction) -> Score:
        return run(task, as_run(answer, task.id))

    return execution
