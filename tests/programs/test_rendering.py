"""What is rendered with placeholders is what is sent when they are filled in."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.ir.render import render
from lift_sys.ir.schema import WireIR, from_wire
from lift_sys.sandbox import Sandbox
from programs.hypers import set_hypers
from programs.presets import PRESETS, make_program
from programs.rendering import IR, NAME, SPEC, StageRequest, requests_of
from programs.spec_to_code import SpecToCode
from tests.programs.staged_answers import RIGHT, SAME, Script, critique, fenced, ir

SPEC_TEXT = "Return the double of x."
STAGES = {
    "ir": "ir_generator",
    "code": "code_generator",
    "critic": "critic",
    "refine": "refiner",
    "repair": "repairer",
    "reason": "reasoner",
}
FILLED = {
    NAME: "double",
    SPEC: SPEC_TEXT,
    "<<analysis>>": "easy",
    "<<code>>": SAME,
    "<<problem>>": "unclear",
    "<<fix>>": "be exact",
}


def sent(program: SpecToCode, ir_text: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return stage and messages of every request of one answer."""
    script = Script(
        reason=["easy"],
        ir=[ir_text],
        critic=[critique(3, "be exact")],
        refine=[ir_text],
        code=[fenced(SAME)],
        repair=[fenced(RIGHT)],
    )
    program = program.deepcopy()
    program.set_lm(script.lm)
    program(spec=SPEC_TEXT, entry_point="double")
    messages = [body["messages"] for body in script.engine.bodies]
    return list(zip(script.stages, messages, strict=True))


def filled(request: StageRequest, values: dict[str, str]) -> list[dict[str, Any]]:
    made = []
    for message in request.messages:
        content = message["content"]
        for mark, text in values.items():
            content = content.replace(mark, text)
        made.append({**message, "content": content})
    return made


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("sees", ["ir", "spec_and_ir", "spec"])
def test_placeholders_filled_in_give_the_requests(sandbox: Sandbox, preset: str, sees: str) -> None:
    program = make_program(preset, sandbox)
    set_hypers(program, {} if preset == "direct" else {"code_sees": sees, "quirks": "all"})
    # Nothing holds on this code, so every candidate is drawn.
    ir_text = ir("double(3) == 7")
    shown = render(from_wire(WireIR.model_validate_json(ir_text), "double"))
    known: dict[str, list[Any]] = {}
    for request in requests_of(program):
        known.setdefault(request.stage, []).append(filled(request, {**FILLED, IR: shown}))

    made = sent(program, ir_text)
    assert {STAGES[stage] for stage, _ in made} == set(known)
    for stage, messages in made:
        assert messages in known[STAGES[stage]]


def test_a_stage_is_rendered_only_where_it_may_be_asked(sandbox: Sandbox) -> None:
    def stages(preset: str, **hypers: Any) -> list[str]:
        program = make_program(preset, sandbox)
        set_hypers(program, hypers)
        return [r.stage for r in requests_of(program)]

    assert stages("direct") == ["code_generator"]
    assert stages("single") == ["ir_generator", "code_generator"]
    assert stages("chain_of_thought")[0] == "reasoner"
    assert stages("refine") == ["ir_generator", "critic", "refiner", "code_generator"]
    assert stages("refine", critique="execution", repair="code") == [
        "ir_generator",
        "code_generator",
        "repairer",
    ]
    assert stages("adaptive", n=4) == ["code_generator"]
    assert stages("adaptive", code_sees="ir") == [
        "ir_generator",
        "code_generator",
        "code_generator",
    ]


def test_nearest_demos_are_a_bank_and_fixed_ones_are_in_the_messages(sandbox: Sandbox) -> None:
    demos = [{"name": f"f{i}", "spec": f"Spec {i}", "code": f"def f{i}(): ..."} for i in range(12)]
    program = make_program("direct", sandbox)
    program.code_generator.predict.demos = demos
    set_hypers(program, {"code_generator.demo_count": 2})
    (fixed,) = requests_of(program)
    set_hypers(program, {"code_generator.demo_choice": "nearest"})
    (nearest,) = requests_of(program)

    assert fixed.bank == ()
    assert [m["role"] for m in fixed.messages] == ["system", *("user", "assistant") * 2, "user"]
    assert [m["role"] for m in nearest.messages] == ["system", "user"]
    assert [list(demo) for demo in nearest.bank[:2]] == [fixed.messages[1:3], fixed.messages[3:5]]
    assert len(nearest.bank) == 12
    assert program.code_generator.demo_choice.value == "nearest"
    assert len(program.code_generator.predict.demos) == 12
