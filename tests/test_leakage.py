"""Hidden cases stay with the metric: every public path from a task to a program is tried.

The task's hidden cases hold two marks that occur nowhere else. Each test follows one way by which a
program is called, made or stored, and looks for the marks, or for the task itself, in everything
that the program could reach from what it is given.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from pydantic import ValidationError

from lift_sys.app.export import Artifact, ModelRef, describe_program, save_artifact
from lift_sys.app.show import render_artifact
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import SpecIR
from lift_sys.sandbox import Execution, Limits, Sandbox, Submission, create_sandbox
from lift_sys.tasks import Task, TaskView
from metrics.adapters import ExecutionMetric, to_example
from metrics.execution import score_code
from optimizers.evaluate import Evaluator
from optimizers.pools import build_pool
from optimizers.rows import Row
from programs.demos import make_demos
from programs.presets import PRESETS, make_program
from programs.spec_to_code import SpecToCode

MARKS = ("918273645", "zebra-918")
CODE = "```python\ndef label(n):\n    return 'small' if n < 10 else 'zebra' + str(-918)\n```"
IR = {
    "summary": "Labels a number",
    "parameters": ["n: int"],
    "returns": "str",
    "effects": ["return 'small' if n < 10"],
    "assertions": ["label(3) == 'small'"],
}
TASK = Task.model_validate(
    {
        "id": "label",
        "spec": "Label a number: 'small' below ten.",
        "entry_point": "label",
        "category": "control_flow",
        "split": "train",
        "source": "test",
        "visible": [{"args": "(1,)", "expected": "'small'"}],
        "hidden": [{"args": f"({MARKS[0]},)", "expected": repr(MARKS[1])}],
        "weak_tests": f"def lift_weak_check():\n    assert label({MARKS[0]}) == {MARKS[1]!r}",
        "reference_code": "def label(n):\n    return 'small' if n < 10 else 'zebra' + str(-918)",
        "gold_ir": {
            "intent": {"summary": "Labels a number"},
            "signature": {
                "name": "label",
                "parameters": [{"name": "n", "type_hint": "int"}],
                "returns": "str",
            },
            "effects": [{"description": "return 'small' if n < 10"}],
            "assertions": [{"predicate": "label(3) == 'small'", "provenance": "derived"}],
        },
    }
)


class WatchedSandbox:
    """A sandbox that remembers what it was asked to execute."""

    def __init__(self, inner: Sandbox) -> None:
        self._inner = inner
        self.description = inner.description
        self.submissions: list[Submission] = []

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        self.submissions.append(submission)
        return self._inner.execute(submission, limits)

    def close(self) -> None:
        self._inner.close()


class Spy(SpecToCode):
    """A program that keeps everything it is given, and the settings it finds."""

    seen: list[Any]

    def forward(self, **given: Any) -> dspy.Prediction:  # type: ignore[override]
        self.seen = [given, dict(dspy.settings.config), dspy.settings.get("trace")]
        return super().forward(**given)


@pytest.fixture
def watched() -> Iterator[WatchedSandbox]:
    with closing(WatchedSandbox(create_sandbox())) as made:
        yield made


@pytest.fixture
def judging() -> Iterator[Sandbox]:
    """The metric's own sandbox, apart from the program's."""
    with closing(create_sandbox()) as made:
        yield made


def scripted() -> tuple[dspy.LM, ScriptedEngine]:
    def answer(request: Request) -> str:
        if request.config.response_format is None:
            return CODE
        asked = json.dumps(request.config.response_format, default=str)
        return json.dumps({"issues": [], "overall_quality": 9} if "issues" in asked else IR)

    engine = ScriptedEngine(answer)
    return dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0), engine


def reachable(start: Any) -> list[Any]:
    """Return every object that can be reached from one by data, not by code."""
    found: dict[int, Any] = {}
    left = [start]
    while left:
        item = left.pop()
        if id(item) in found or isinstance(item, ModuleType | FunctionType | type):
            continue
        found[id(item)] = item
        left += gc.get_referents(item)
    return list(found.values())


def leaks(start: Any) -> list[str]:
    """Return what of the hidden cases can be reached."""
    found = reachable(start)
    texts = [item for item in found if isinstance(item, str) and any(m in item for m in MARKS)]
    return [*texts, *(repr(item) for item in found if isinstance(item, Task))]


def test_the_search_for_leaks_finds_them() -> None:
    assert leaks({"given": [TASK]})
    assert leaks(dspy.Example(task=TASK))
    assert leaks([{"demo": f"label({MARKS[0]})"}])


def test_the_view_has_no_field_for_what_judges() -> None:
    fields = {"hidden", "weak_tests", "reference_code", "gold_ir"}
    assert not fields & set(TaskView.model_fields)
    assert leaks(TASK.view) == []
    for field in fields:
        with pytest.raises(ValidationError):
            TaskView.model_validate({**TASK.view.model_dump(), field: getattr(TASK, field)})


@pytest.mark.parametrize("preset", PRESETS)
def test_the_evaluator_gives_a_program_the_view_alone(
    watched: WatchedSandbox, judging: Sandbox, preset: str
) -> None:
    lm, engine = scripted()
    program = Spy(watched)
    program.load_state(make_program(preset, watched).dump_state())
    stored: dict[str, Row] = {}

    class Rows:
        get = staticmethod(stored.get)

        @staticmethod
        def put(row: Row) -> None:
            stored[row.key] = row

    def score(task: Task, answer: dspy.Prediction) -> Any:
        return score_code(task, answer.code, answer.failure, judging)

    (row,) = Evaluator(lambda: lm, "weights", score, Rows()).run(program, [TASK], preset)

    assert set(program.seen[0]) == {"spec", "entry_point", "visible", "rollout"}
    assert leaks(program.seen) == []
    assert leaks(engine.bodies) == []
    assert leaks(watched.submissions) == []
    assert leaks(row.trace) == []


def test_dspy_gives_a_program_the_inputs_of_an_example_alone(
    watched: WatchedSandbox, judging: Sandbox
) -> None:
    lm, engine = scripted()
    program = Spy(watched)
    with dspy.context(lm=lm):
        dspy.Evaluate(devset=[to_example(TASK)], metric=ExecutionMetric([TASK], judging))(program)

    assert set(program.seen[0]) == {"spec", "entry_point", "visible"}
    assert leaks(program.seen[0]) == []
    assert leaks(engine.bodies) == []
    assert leaks(watched.submissions) == []


@pytest.mark.parametrize(
    "make_teleprompter",
    [
        lambda: dspy.LabeledFewShot(k=2),
        lambda: dspy.BootstrapFewShot(
            metric=lambda *_: True, max_bootstrapped_demos=1, max_labeled_demos=1
        ),
    ],
)
def test_demos_of_teleprompters_hold_nothing_hidden(
    watched: WatchedSandbox, make_teleprompter: Callable[[], Any]
) -> None:
    lm, _ = scripted()
    examples = [to_example(TASK)] * 2
    with dspy.context(lm=lm):
        compiled = make_teleprompter().compile(make_program("single", watched), trainset=examples)

    assert any(predictor.demos for predictor in compiled.predictors())
    assert leaks([predictor.demos for predictor in compiled.predictors()]) == []
    assert leaks(compiled.dump_state()) == []


@pytest.mark.parametrize("answered", [False, True])
def test_pools_hold_nothing_hidden(answered: bool) -> None:
    assert TASK.gold_ir is not None
    row = Row.model_validate(
        {
            "key": "k",
            "label": "pool",
            "task_id": TASK.id,
            "category": TASK.category,
            "score": {
                "value": 1.0,
                "passed": True,
                "status": "passed",
                "feedback": f"label({MARKS[0]}) gave {MARKS[1]}",
            },
            "code": f"{TASK.reference_code}\n",
            "ir": SpecIR.model_validate(TASK.gold_ir),
            "failure": None,
            "attempts": 1,
            "calls": (),
            "seconds": 1.0,
            "trace": (),
        }
    )
    pool = build_pool(
        [TASK], {"bootstrapped": [row] if answered else []}, make_demos, size=1, seed=0
    )

    assert pool.names == ("none", "gold-1", "bootstrapped-1") if answered else ("none", "gold-1")
    assert leaks(pool) == []


@pytest.mark.parametrize("write", [render_artifact, lambda a: a.model_dump_json()])
def test_artifacts_hold_nothing_hidden(
    watched: WatchedSandbox, tmp_path: Path, write: Callable[[Artifact], str]
) -> None:
    assert TASK.gold_ir is not None
    assert TASK.reference_code is not None
    program = make_program("single", watched)
    demos = make_demos(TASK, TASK.gold_ir, TASK.reference_code)
    for path, predictor in program.named_predictors():
        predictor.demos = [demos[path]] if path in demos else []
    hypers, predictors = describe_program(program)
    model = ModelRef(id="some-model", sha256="0" * 64)
    artifact = Artifact(wire_version=1, model=model, hypers=hypers, predictors=predictors)
    saved = save_artifact(artifact, tmp_path / "best.json")

    assert not any(mark in saved.read_text(encoding="utf-8") for mark in MARKS)
    assert not any(mark in write(artifact) for mark in MARKS)
