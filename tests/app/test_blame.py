"""Attribution of a program's failures: which tasks run again, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.app import blame as module
from lift_sys.app.blame import blame, markdown, refuse_pointless
from lift_sys.app.jobs import Chosen
from lift_sys.app.measure import TaskSet
from lift_sys.errors import ConfigError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, Task
from metrics.attribution import Blame
from metrics.execution import score_code
from optimizers.evaluate import Evaluator
from optimizers.rows import Row, Rows
from programs.presets import make_program

IR = {"summary": "s", "parameters": ["x: int"], "returns": "int", "effects": ["vague"]}


def gold(name: str) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="golden"),
        signature=FunctionSignature(name=name, parameters=(Parameter(name="x", type_hint="int"),)),
        assertions=(Assertion(predicate=f"{name}(3) == 6"),),
    )


def task(name: str, *, with_gold: bool = True) -> Task:
    return Task(
        id=name,
        spec=f"Double x in {name}.",
        entry_point=name,
        category="mathematical",
        split="train",
        source="test",
        hidden=(Case(args="(5,)", expected="10"),),
        reference_code=f"def {name}(x):\n    return 2 * x",
        gold_ir=gold(name) if with_gold else None,
    )


def answer(request: Request) -> str:
    """Write a false assertion for ``lies``; double where the IR is golden or the task is easy."""
    text = str(request.messages)
    names = ("easy", "lies", "vague", "hopeless", "goldless")
    name = next(n for n in names if f"{n}(" in text or f"in {n}." in text)
    if request.config.response_format:
        false = [f"{name}(1) == 3"] if name == "lies" else []
        return json.dumps({**IR, "assertions": false})
    doubles = name == "easy" or ("golden" in text and name != "hopeless")
    return f"```python\ndef {name}(x):\n    return {'2 * ' if doubles else ''}x\n```"


def scripted(sandbox: Sandbox, engine: ScriptedEngine) -> Callable[..., Evaluator]:
    lm = dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)

    def make(model: str, _: Sandbox, rows: Rows, models: Any, on_row: Any) -> Evaluator:
        return Evaluator(
            lambda: lm, model, lambda t, a: score_code(t, a.code, a.failure, sandbox), rows, on_row
        )

    return make


def test_failures_run_again_from_the_gold_ir(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(answer)
    monkeypatch.setattr(module, "make_evaluator", scripted(sandbox, engine))
    tasks = (
        task("easy"), task("lies"), task("vague"), task("hopeless"),
        task("goldless", with_gold=False),
    )  # fmt: skip
    chosen = Chosen(make_program("single", sandbox), "single", "scripted")
    data = TaskSet("train", tasks, "0" * 64, is_test=False)
    ran: list[tuple[str, str]] = []

    def on_row(row: Row, _: bool) -> None:
        ran.append((row.label, row.task_id))

    report = blame(chosen, data, sandbox, tmp_path, on_row)

    again = [name for label, name in ran if label == "single from gold IR"]
    assert again == ["lies", "vague", "hopeless"]
    assert {a.task_id: a.blame for a in report.attributions} == {
        "lies": Blame.IR,
        "vague": Blame.IR,
        "hopeless": Blame.CODE,
        "goldless": Blame.UNKNOWN,
    }
    assert (report.passed.passed, report.passed.total) == (1, 5)
    asked = len(engine.requests)
    assert blame(chosen, data, sandbox, tmp_path) == report
    assert len(engine.requests) == asked
    text = markdown(report)
    assert "| IR wrong | 2/4 (50.0 %" in text
    assert "| code from the gold IR passes | 2/3 (66.7 %" in text
    assert "- code wrong: hopeless" in text


def test_without_a_failure_there_is_no_table(sandbox: Sandbox) -> None:
    report = module.attribute_rows(("single", "train"), [], [], sandbox)
    assert "Nothing failed." in markdown(report)


@pytest.mark.parametrize(
    ("preset", "is_test", "words"), [("direct", False, "no IR"), ("single", True, "test tasks")]
)
def test_what_cannot_be_attributed(
    sandbox: Sandbox, preset: str, is_test: bool, words: str
) -> None:
    chosen = Chosen(make_program(preset, sandbox), preset, "scripted")
    with pytest.raises(ConfigError, match=words):
        refuse_pointless(chosen, TaskSet("mine", (), "0" * 64, is_test))
