"""What is read of an answer: fields of the caller's own mean what the caller likes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

import lift_sys
from lift_sys.app.own_answer import as_kept, as_run
from lift_sys.errors import ConfigError
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from programs.attempts import Attempt
from tests.app.own_study import TASKS, scripted, study

IR = SpecIR(
    intent=Intent(summary="Multiplies"), signature=FunctionSignature(name="f", returns="int")
)


class Answering(dspy.Module):
    """Answers with given fields."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.fields = fields

    def forward(self, spec: str) -> dspy.Prediction:
        return dspy.Prediction(**self.fields)


def same_fields(_: dspy.Example, pred: dspy.Prediction, trace: Any = None) -> bool:
    """Tell whether the metric sees what the program returned."""
    return bool({"code", "mine"} <= pred.toDict().keys())


FIELDS = [
    ({"code": 5}, "5"),
    ({"code": ["a"]}, "['a']"),
    ({"code": None}, None),
    ({"code": dspy.Code(code="x = 1")}, "x = 1"),
    ({"code": "x", "attempts": 3}, "x"),
    ({"code": "x", "attempts": ()}, "x"),
    ({"code": "x", "failure": "none"}, "x"),
    ({"code": "x", "failure": True}, "x"),
    ({"code": "x", "ir": "my ir"}, "x"),
]


@pytest.mark.parametrize(("fields", "code"), FIELDS)
def test_any_fields_are_kept_and_scored(
    fields: dict[str, Any], code: str | None, tmp_path: Path
) -> None:
    assert as_kept(dspy.Prediction(**fields)).toDict() == {"code": code}
    found = study(tmp_path, Answering(mine=1, **fields), metric=same_fields, trials=1)

    assert [result.rate.passed for result in found.report.results] == [3, 3]


def test_what_a_program_of_ours_answers_is_read() -> None:
    answer = dspy.Prediction(code=None, ir=IR, failure="cut off", attempts=(Attempt(index=0),))

    assert as_kept(answer).toDict() == answer.toDict()


def test_code_of_dspys_type_is_run(tmp_path: Path) -> None:
    right = dspy.Code(code=f"def {TASKS[0].entry_point}(x):\n    return 2 * x")
    tasks = [TASKS[0].model_copy(update={"id": name, "spec": name}) for name in ("one", "two")]
    for optimizer in ("joint", "bootstrap_few_shot"):
        found = lift_sys.optimize(
            Answering(code=right), tasks[:1], dev=tasks[1:], optimizer=optimizer, trials=1,
            model=scripted()[0], runs=tmp_path,
        )  # fmt: skip
        assert [result.rate.passed for result in found.report.results] == [1, 1]


@pytest.mark.parametrize("optimizer", ["joint", "bootstrap_few_shot"])
def test_code_that_is_no_text_cannot_be_run(tmp_path: Path, optimizer: str) -> None:
    assert as_run(dspy.Prediction(), "t").code is None
    with pytest.raises(ConfigError, match="is a list, which cannot be run; return a str or") as e:
        study(tmp_path, Answering(code=["a"]), optimizer=optimizer)
    assert "\n" not in str(e.value)
