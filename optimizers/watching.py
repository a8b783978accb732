"""What a teleprompter is given in place of the metric and the model, so that it cannot go wrong.

DSPy's optimizers score a failure of the backend or of the sandbox as 0 and go on, and keep traces
whose metric is merely truthy. ``Watch`` notes the first failure and ends the compile with it,
answers a strict ``bool`` where demos are bootstrapped, and counts what is done. The model in force
is asked nothing after a failure; its samples are those of the seed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Self

import dspy
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import LMError

from lift_sys.errors import ConfigError, LiftError, ProviderError
from lift_sys.inference.samples import sampled
from lift_sys.inference.usage import CallRecord, recording
from lift_sys.record import digest
from optimizers.metric_errors import metric_raised

Metric = Callable[..., Any]
"""DSPy's metric: called with example, prediction and trace; by reflective optimizers with the name
of a predictor and its trace as well. It returns a number, a ``bool`` or a prediction with a
``score`` and ``feedback``; higher is better."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """What a compile took.

    Attributes:
        scored: Answers that the metric scored.
        programs: Different programs that ran on every task of selection, as far as that is known:
            an optimizer that has a way of its own to run programs is not seen.
        calls: Of the model in force and of the one that writes instructions, in the order in which
            they ended; those of models that stages name are not among them.
    """

    scored: int
    programs: int
    calls: tuple[CallRecord, ...]


class Watch(BaseCallback):
    """Calls the metric, and keeps the first failure that is not the program's fault.

    Args:
        metric: As the caller gave it.
        threshold: Score from which a trace makes demos.
        val: What selection uses.

    Attributes:
        failure: The first failure; once it is set nothing is scored or asked any more.
        calls: Of every model that is watched.
    """

    def __init__(self, metric: Metric, threshold: float, val: Sequence[dspy.Example] = ()) -> None:
        self._metric = metric
        self._threshold = threshold
        self._val = {id(example) for example in val}
        self._scored = 0
        self._programs: set[str] = set()
        self._lock = Lock()
        self.failure: Exception | None = None
        self.calls: list[CallRecord] = []

    @property
    def effort(self) -> Effort:
        """What was done so far."""
        return Effort(self._scored, len(self._programs), tuple(self.calls))

    def score(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction | None,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> Any:
        """Return what the metric says; a ``bool`` where demos are bootstrapped.

        A program that raised scores 0: DSPy's SIMBA has no prediction then and asks nevertheless.

        Raises:
            ConfigError: The metric raised, or returned no number.
            Exception: The failure that came before.
        """
        self.check()
        if pred is None:
            return 0.0
        named = (pred_name, pred_trace)
        with self._lock:
            self._scored += 1
        try:
            result = self._metric(gold, pred, trace, *(named if any(named) else ()))
            value = _number(result)
        except LiftError as error:
            self.failure = self.failure or error
            raise
        except Exception as error:
            told = metric_raised(self._metric, str(gold.get("task_id")), error)
            told.__cause__ = error
            self.failure = self.failure or told
            raise told from error
        if trace is not None and not any(named):
            return value >= self._threshold
        return result

    def check(self) -> None:
        """Raise the failure, if there is one.

        Raises:
            Exception: The failure.
        """
        if self.failure is not None:
            raise self.failure

    def on_evaluate_start(
        self,
        call_id: str,  # noqa: ARG002 (DSPy's call, as in the methods below)
        instance: Any,
        inputs: dict[str, Any],
    ) -> None:
        """Count a program that is about to run on every task of selection."""
        devset = inputs["devset"] or instance.devset
        if {id(example) for example in devset} == self._val:
            self._programs.add(digest(repr(inputs["program"].dump_state())))

    def on_module_end(
        self,
        call_id: str,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Keep a failure of the backend, the sandbox or the configuration, or a spent budget."""
        if isinstance(exception, LiftError):
            self.failure = self.failure or exception
        elif isinstance(exception, LMError):
            error = ProviderError(f"the backend failed: {exception}")
            error.__cause__ = exception
            self.failure = self.failure or error

    def on_compile_end(
        self,
        call_id: str,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        exception: Exception | None = None,
    ) -> None:
        """Keep what a step of a chain of optimizers raised: ``BetterTogether`` only logs it."""
        self.failure = self.failure or exception

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _number(result: Any) -> float:
    value = float(getattr(result, "score", result))
    if math.isnan(value):
        msg = "the metric returned NaN, which cannot be compared; return a number"
        raise ConfigError(msg)
    return value


class WatchedEngine:
    """Another engine, which is asked nothing any more once a failure was seen.

    Args:
        engine: Answers; all else is its own, too.
        watch: Sees failures and notes calls.
    """

    def __init__(self, engine: Any, watch: Watch) -> None:
        self._engine = engine
        self._watch = watch

    def complete(self, request: Any) -> Any:
        """Answer one request; raises as the other engine does, and the failure seen before."""
        self._watch.check()
        with recording() as made:
            response = self._engine.complete(request)
        self._watch.calls.extend(made)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def watched(lm: dspy.LM | None, seed: int, watch: Watch) -> dspy.LM | None:
    """Return a model with a ``WatchedEngine``; one without an engine of ours as it is.

    Args:
        lm: The model.
        seed: Of its samples, where a call brings none; other seeds draw others.
        watch: Watches it.
    """
    engine = getattr(lm, "engine", None)
    if lm is None or not hasattr(engine, "complete"):
        return lm
    return sampled(lm, WatchedEngine(engine, watch), seed=seed)
