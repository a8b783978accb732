"""The evaluator pays for a task once, and a row's address follows all that decides its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from lift_sys.errors import ProviderError, SandboxError
from lift_sys.inference.lm import asks_in_turn
from lift_sys.inference.scripted import AsyncScriptedEngine, ScriptedEngine
from lift_sys.tasks import Task
from lift_sys.verdict import Score, Status
from optimizers.evaluate import Evaluator
from optimizers.rows import Row, Rows
from programs.hypers import Hyper

ANSWER = "[[ ## code ## ]]\ndef f(): pass\n\n[[ ## completed ## ]]"


def task(name: str = "a", **changes: Any) -> Task:
    return Task.model_validate(
        {
            "id": name,
            "spec": f"Spec of {name}.",
            "entry_point": "f",
            "category": "one",
            "split": "dev",
            "source": "test",
            "visible": [{"args": "(1,)", "expected": "1"}],
            "hidden": [{"args": "(2,)", "expected": "2"}],
            **changes,
        }
    )


class Writer(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict("spec -> code")
        self.n = Hyper("n", 1, 2)
        self.given: list[dict[str, Any]] = []

    def forward(self, **given: Any) -> dspy.Prediction:
        self.given.append(given)
        code = self.write(spec=given["spec"]).code
        return dspy.Prediction(code=code, ir=None, failure=None, attempts=("one", "two"))


class MemoryRows(dict[str, Row]):
    """Rows by key."""

    def put(self, row: Row) -> None:
        self[row.key] = row


class Lm:
    """Gives a scripted model, and counts how often it is asked for."""

    def __init__(self, answers: Callable[[Any], str] | list[str]) -> None:
        self.asked = 0
        self.engine = ScriptedEngine(answers)

    def __call__(self) -> dspy.LM:
        self.asked += 1
        return dspy.LM(
            "local/script",
            engine=self.engine,
            async_engine=AsyncScriptedEngine(self.engine),
            cache=False,
            num_retries=0,
        )


def passing(task: Task, answer: dspy.Prediction) -> Score:
    return Score(value=1.0, passed=True, status=Status.PASSED, feedback=f"{task.id}: {answer.code}")


def evaluator(lm: Lm, rows: Rows, **more: Any) -> Evaluator:
    return Evaluator(lm, more.pop("model_key", "model"), more.pop("score", passing), rows, **more)


def test_a_row_holds_what_happened() -> None:
    lm, rows, program = Lm(lambda _: ANSWER), MemoryRows(), Writer()
    (row,) = evaluator(lm, rows).run(program, [task()], "trial 7", rollout=3)
    assert (row.label, row.task_id, row.category) == ("trial 7", "a", "one")
    assert (row.code, row.ir, row.failure, row.attempts) == ("def f(): pass", None, None, 2)
    assert row.score.feedback == "a: def f(): pass"
    assert [c.model for c in row.calls] == ["local/script"]
    assert row.usage.completion_tokens == row.calls[0].completion_tokens > 0
    assert row.seconds > 0
    (step,) = row.trace
    assert step.predictor == "write"
    assert (step.inputs, step.outputs) == ({"spec": "Spec of a."}, {"code": "def f(): pass"})
    assert rows == {row.key: row}
    assert Row.model_validate_json(row.model_dump_json()) == row
    view = task().view
    assert program.given == [
        {
            "spec": view.spec,
            "entry_point": view.entry_point,
            "visible": view.visible,
            "rollout": 3,
        }
    ]


def test_a_task_is_paid_for_once() -> None:
    lm, rows, seen = Lm(lambda _: ANSWER), MemoryRows(), list[tuple[str, bool]]()
    runner = evaluator(lm, rows, on_row=lambda row, reused: seen.append((row.task_id, reused)))
    first = list(runner.run(Writer(), [task("a"), task("b")], "first"))
    asked = lm.asked
    again = list(runner.run(Writer(), [task("a"), task("b")], "second"))
    assert again == first
    assert lm.asked == asked
    assert len(lm.engine.requests) == 2
    mixed = list(runner.run(Writer(), [task("c"), task("a")], "third"))
    assert [r.task_id for r in mixed] == ["c", "a"]
    assert len(lm.engine.requests) == 3
    assert seen == [("a", False), ("b", False), ("a", True), ("b", True), ("c", False), ("a", True)]


def test_no_model_is_asked_for_when_every_row_exists() -> None:
    rows = MemoryRows()
    list(evaluator(Lm(lambda _: ANSWER), rows).run(Writer(), [task()], "first"))

    def no_model() -> dspy.LM:
        pytest.fail("the model was asked for")

    def no_score(task: Task, answer: dspy.Prediction) -> Score:
        pytest.fail("the task was scored again")

    (row,) = Evaluator(no_model, "model", no_score, rows).run(Writer(), [task()], "second")
    assert row.label == "first"


def _with(change: Callable[[Writer], None]) -> Writer:
    program = Writer()
    change(program)
    return program


def _demo(program: Writer) -> None:
    program.write.demos = [{"spec": "s", "code": "c"}]


def _instructions(program: Writer) -> None:
    program.write.signature = program.write.signature.with_instructions("Be terse.")


def _hyper(program: Writer) -> None:
    program.n.set(2)


def key(program: Writer, task: Task, rollout: int = 0, model_key: str = "model") -> str:
    runner = evaluator(Lm(lambda _: ANSWER), MemoryRows(), model_key=model_key)
    (row,) = runner.run(program, [task], "x", rollout=rollout)
    return row.key


def test_the_address_follows_all_that_decides_the_outcome() -> None:
    keys = [
        key(Writer(), task()),
        key(_with(_demo), task()),
        key(_with(_instructions), task()),
        key(_with(_hyper), task()),
        key(Writer(), task("b")),
        key(Writer(), task(spec="Other.")),
        key(Writer(), task(hidden=[{"args": "(3,)", "expected": "3"}])),
        key(Writer(), task(), rollout=1),
        key(Writer(), task(), model_key="other"),
    ]
    assert len(set(keys)) == len(keys)
    assert key(Writer(), task()) == keys[0]
    assert key(_with(_hyper).deepcopy(), task()) == keys[3]


@pytest.mark.parametrize("where", ["model", "metric", "store"])
def test_what_fails_leaves_no_row_and_those_before_it_stay(where: str) -> None:
    class Full(MemoryRows):
        def put(self, row: Row) -> None:
            if where == "store" and row.task_id == "b":
                raise OSError
            super().put(row)

    def score(task: Task, answer: dspy.Prediction) -> Score:
        if where == "metric" and task.id == "b":
            raise SandboxError
        return passing(task, answer)

    rows = Full()
    lm = Lm([ANSWER] if where == "model" else [ANSWER] * 3)
    with pytest.raises((SandboxError, ProviderError, OSError)):
        list(evaluator(lm, rows, score=score).run(Writer(), [task("a"), task("b")], "x"))
    assert [r.task_id for r in rows.values()] == ["a"]


def test_rows_come_as_they_are_made() -> None:
    rows = MemoryRows()
    running = evaluator(Lm([ANSWER]), rows).run(Writer(), [task("a"), task("b")], "x")
    assert next(running).task_id == "a"
    assert len(rows) == 1


def test_programs_ask_in_turn_because_tasks_fill_the_backend() -> None:
    asked: list[bool] = []

    class Noting(Writer):
        def forward(self, **given: Any) -> dspy.Prediction:
            asked.append(asks_in_turn())
            return dspy.Prediction(code="", ir=None, failure=None, attempts=())

    list(evaluator(Lm([]), MemoryRows()).run(Noting(), [task()], "p"))

    assert asked == [True]
    assert not asks_in_turn()
