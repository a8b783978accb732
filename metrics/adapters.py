"""The metric in the forms that DSPy calls.

Owns one callable with DSPy's five arguments. Where a teleprompter bootstraps demos (a trace and no
predictor name) the answer is a strict ``bool``: DSPy keeps every trace whose metric is *truthy*,
and a score object of zero is truthy, so failing traces would become demos.
"""

from __future__ import annotations

from typing import Any

import dspy

from lift_sys.sandbox.base import Limits, Sandbox
from lift_sys.tasks import Task
from metrics.execution import score_code


class ExecutionMetric:
    """Scores a prediction of a spec-to-code program on the task of its example.

    Args:
        sandbox: Where the code runs.
        limits: What each candidate may use.
    """

    def __init__(self, sandbox: Sandbox, limits: Limits | None = None) -> None:
        self._sandbox = sandbox
        self._limits = limits

    def __call__(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> bool | dspy.Prediction:
        """Return ``Prediction(score, feedback)``, or a ``bool`` where demos are bootstrapped.

        Raises:
            SandboxError: The sandbox failed; nothing was scored.
        """
        score = score_code(gold.task, pred.code, pred.get("failure"), self._sandbox, self._limits)
        if trace is not None and pred_name is None and pred_trace is None:
            return score.passed
        return dspy.Prediction(score=score.value, feedback=score.feedback)

    def __deepcopy__(self, memo: dict[int, Any]) -> ExecutionMetric:
        return self


def to_example(task: Task) -> dspy.Example:
    """Return a task as a DSPy example whose *inputs* are what a program may see.

    The whole task travels as a label, which DSPy hands to the metric and never to the program.
    """
    view = task.view
    example: dspy.Example = dspy.Example(
        spec=view.spec, entry_point=view.entry_point, visible=view.visible, task=task
    ).with_inputs("spec", "entry_point", "visible")
    return example
