"""What is said to make no difference makes none: not in what is asked, not in what is answered."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.inference.replay import call_key
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.sandbox import Sandbox
from programs.conditions import IDLE, idle_with
from programs.hypers import hypers_of, set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from tests.programs.staged_answers import RIGHT, SAME, SPEC, SQUARE, STATED, critique, fenced, ir

ACTIVE: dict[str, Any] = {
    "reason": True,
    "n": 3,
    "temperature": 0.7,
    "refine_iterations": 1,
    "critique": "both",
    "repair": "blamed",
    "select": "assertions",
    "weights": "calibrated",
    "stop_at": 0.95,
}
"""With these every stage may be asked."""
CASES = [(what, path, value) for what in IDLE for path, vs in IDLE[what].items() for value in vs]


def answer(request: Request) -> str:
    """Answer by stage; what exactly depends on everything that is asked."""
    chance = int(call_key(request, "w")[:8], 16)
    stage = current_stage()
    if stage == "reason":
        return f"Thought {chance}."
    if stage == "critic":
        return critique(chance % 8, f"fix {chance % 5}")
    if stage in {"ir", "refine"}:
        return ir(f"double({chance % 7}) == {2 * (chance % 7) + chance % 2}", "double(0) == 0")
    return fenced((RIGHT, SAME, SQUARE)[chance % 3])


def outcome(program: SpecToCode) -> tuple[list[str], str | None]:
    """Return what a program asks and what it answers, for several specs."""
    engine = ScriptedEngine(answer)
    lm = dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)
    codes = []
    with dspy.context(lm=lm):
        for number in range(2):
            spec = f"{SPEC} Version {number}."
            made = program(spec=spec, entry_point="double", visible=STATED)
            codes.append(made.code)
    return sorted(call_key(request, "w") for request in engine.requests), json.dumps(codes)


def outcomes(sandbox: Sandbox, what: str, hypers: dict[str, Any]) -> list[Any]:
    """Return the outcomes of all variants of a stage or a hyper, with these other hypers."""
    found = []
    known = hypers_of(make_program("single", sandbox))
    varied = what if what in known else f"{what}.max_tokens"
    for value in known[varied].space.choices:
        program = make_program("single", sandbox)
        set_hypers(program, {**hypers, varied: value})
        found.append(outcome(program))
    return found


@pytest.mark.parametrize(("what", "path", "value"), CASES)
def test_what_is_idle_makes_no_difference(
    sandbox: Sandbox, what: str, path: str, value: Any
) -> None:
    found = outcomes(sandbox, what, {**ACTIVE, path: value})
    assert [each == found[0] for each in found] == [True] * len(found)


@pytest.mark.parametrize("what", sorted(set(IDLE) - {"n"}))
def test_elsewhere_it_makes_one(sandbox: Sandbox, what: str) -> None:
    found = outcomes(sandbox, what, ACTIVE)
    assert any(each != found[0] for each in found)


def test_the_number_of_candidates_matters_where_they_may_differ(sandbox: Sandbox) -> None:
    for other in ({"ir_from": 1}, {"code_generator.temperature": 0.7}):
        found = outcomes(sandbox, "n", {**ACTIVE, "temperature": 0.0, "stop_at": 0.95, **other})
        assert any(each != found[0] for each in found)
        assert idle_with("n", [*other]) == {}
    assert idle_with("n", ["temperature", "reason"]) == {"temperature": (0.0,)}


@pytest.mark.parametrize("own", ["seed", "top_p"])
def test_sampling_matters_where_a_stage_samples(sandbox: Sandbox, own: str) -> None:
    what = f"code_generator.{own}"
    cold: dict[str, Any]
    for searched, cold in (
        ([], {"temperature": 0.0}),
        (["code_generator.temperature"], {"code_generator.temperature": 0.0}),
    ):
        found = outcomes(sandbox, what, {**ACTIVE, "reason": False, **cold})
        assert all(each == found[0] for each in found)
        assert idle_with(what, searched) == dict.fromkeys(cold, (0.0,))
    found = outcomes(sandbox, what, ACTIVE)
    assert any(each != found[0] for each in found)


def test_a_setting_of_a_stage_needs_the_stage() -> None:
    assert idle_with("reasoner.model", []) == {"ir_detail": ("none",), "reason": (False,)}
    assert idle_with("reasoner", []) == idle_with("reasoner.model", [])
    assert idle_with("code_generator.model", []) == {}
    assert idle_with("reasoner.demo_choice", []) == {
        **idle_with("reasoner", []),
        "reasoner.demo_count": (0,),
    }
    assert idle_with("quirks", []) == {}


def test_all_names_are_the_programs(sandbox: Sandbox) -> None:
    hypers = hypers_of(make_program("single", sandbox))
    stages = {path.split(".")[0] for path in hypers if "." in path}
    assert set(IDLE) <= stages | set(hypers)
    for idle in IDLE.values():
        for path, values in idle.items():
            assert set(values) <= set(hypers[path].space.choices)
            assert len(values) < len(hypers[path].space.choices)
