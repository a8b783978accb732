"""The metric in the forms that DSPy calls.

Owns one callable with DSPy's five arguments. Where a teleprompter bootstraps demos (a trace and no
predictor name) the answer is a strict ``bool``: DSPy keeps every trace whose metric is *truthy*,
and a score object of zero is truthy, so failing traces would become demos.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dspy

from lift_sys.errors import DatasetError
from lift_sys.sandbox.base import Limits, Sandbox
from lift_sys.tasks import Task
from metrics.execution import score_code


class ExecutionMetric:
    """Scores a prediction of a spec-to-code program on the task of its example.

    Args:
        tasks: Those that examples may name; their hidden cases stay here.
        sandbox: Where the code runs.
        limits: What each candidate may use.
    """

    def __init__(
        self, tasks: Iterable[Task], sandbox: Sandbox, limits: Limits | None = None
    ) -> None:
        self._tasks = {task.id: task for task in tasks}
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
            DatasetError: The example names a task that the metric was not given.
            SandboxError: The sandbox failed; nothing was scored.
        """
        task = self._tasks.get(gold.task_id)
        if task is None:
            msg = f"the metric has no task {gold.task_id!r}; give it the tasks of all examples"
            raise DatasetError(msg)
        score = score_code(task, pred.code, pred.get("failure"), self._sandbox, self._limits)
        if trace is not None and pred_name is None and pred_trace is None:
            return score.passed
        return dspy.Prediction(score=score.value, feedback=score.feedback)

    def __deepcopy__(self, memo: dict[int, Any]) -> ExecutionMetric:
        return self


def to_example(task: Task) -> dspy.Example:
    """Return a task as a DSPy example: what a program may see, and the task's id.

    Nothing else may travel with an example: teleprompters make demos of whole examples, and demos
    belong to the program.
    """
    view = task.view
    example: dspy.Example = dspy.Example(
        spec=view.spec, entry_point=view.entry_point, visible=view.visible, task_id=task.id
    ).with_inputs("spec", "entry_point", "visible")
    return example
