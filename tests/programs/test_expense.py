"""What a spec costs in answers, counted beforehand: what is really asked lies within it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.base import ClosedSandbox
from programs.expense import expenses
from programs.hypers import set_hypers
from programs.presets import PRESETS, make_program
from tests.programs.staged_answers import RIGHT, SAME, Script, critique, fenced, ir, run

WARM = {"temperature": 0.7, "n": 3}


def script(*, good: bool) -> Script:
    """Answer so that nothing is left to do, or so that everything is tried."""
    wrong = [fenced(SAME + f"  # {i}") for i in range(50)]
    return Script(
        reason=["Think."],
        ir=[ir("double(3) == 6", summary=f"Doubles x {i}") for i in range(1 if good else 50)],
        critic=[critique(9) if good else critique(0, "say how")],
        refine=[ir("double(3) == 6", summary=f"Better {i}") for i in range(50)],
        code=[fenced(RIGHT)] if good else wrong,
        repair=list(reversed(wrong)),
    )


def asked(sandbox: Sandbox, hypers: dict[str, Any], *, good: bool) -> Counter[str]:
    program = make_program("single", sandbox)
    set_hypers(program, hypers)
    answers = script(good=good)
    run(program, answers)
    return Counter(answers.stages)


def counted(hypers: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    program = make_program("single", ClosedSandbox())
    set_hypers(program, hypers)
    found = expenses(program)
    return (
        {e.stage: e.fewest for e in found if e.fewest},
        {e.stage: e.most for e in found},
    )


POINTS: dict[str, dict[str, Any]] = {
    **PRESETS,
    "cold": {"n": 5},
    "cold drafts": {"n": 5, "ir_from": 2},
    "shared IR": {"n": 3, "code_generator.temperature": 0.7, "select": "assertions"},
    "cold quality": {"n": 3, "select": "quality"},
    "critics": {"refine_iterations": 2, "critique": "both", "repair": "ir", "reason": True},
    "repaired": {"refine_iterations": 3, "critique": "execution", "repair": "code", **WARM},
    "unseen": {
        "refine_iterations": 2,
        "critique": "execution",
        "repair": "ir",
        "code_sees": "spec",
    },
}


@pytest.mark.parametrize("name", POINTS)
def test_what_is_asked_lies_within_the_count(name: str, sandbox: Sandbox) -> None:
    fewest, most = counted(POINTS[name])
    for good in (True, False):
        stages = asked(sandbox, POINTS[name], good=good)
        assert all(stages[stage] <= most.get(stage, 0) for stage in stages)
        assert all(stages[stage] >= count for stage, count in fewest.items())


@pytest.mark.parametrize("name", ["direct", "single", "chain_of_thought", "refine", "cold quality"])
def test_the_bounds_are_met_where_answers_decide_nothing_else(name: str, sandbox: Sandbox) -> None:
    fewest, most = counted(POINTS[name])

    assert asked(sandbox, POINTS[name], good=True) == fewest
    assert asked(sandbox, POINTS[name], good=False) == most


def test_everything_is_tried_where_nothing_is_right(sandbox: Sandbox) -> None:
    assert asked(sandbox, POINTS["adaptive"], good=False) == counted(POINTS["adaptive"])[1]
    assert asked(sandbox, POINTS["repaired"], good=False)["repair"] > 0


def test_a_stage_with_a_model_of_its_own_says_so() -> None:
    program = make_program("single", ClosedSandbox())
    set_hypers(program, {"ir_generator.model": "qwen2.5-coder-1.5b"})

    assert {e.stage: e.model for e in expenses(program)} == {
        "ir": "qwen2.5-coder-1.5b",
        "code": None,
    }
