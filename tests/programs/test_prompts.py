"""Every prompt of the program, byte for byte, against a golden; and what hypers change in it.

A change of a golden is a change of what models read, and scores measured before no longer stand
for the program: look at the difference, then write the file anew with what the test shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.ir.schema import StructuredWireIR, wire_schema
from lift_sys.knowledge.quirks import QUIRKS, listed, triggered
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from programs.demos import make_demos
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.signatures import QUIRKS_HEADING

GOLDEN = Path(__file__).parent.parent / "golden" / "prompts.json"
SPEC = "Name the type of a value: return 'int', 'str' or 'other'. True and False are 'other'."
VISIBLE = (Case(args="(1,)", expected="'int'"), Case(args="(True,)", expected="'other'"))
CODE = "def kind(value):\n    return 'int'"
IR = {
    "summary": "Names a type",
    "parameters": ["value: Any"],
    "returns": "str",
    "effects": ["if value is a bool, return 'other'", "return 'int' for an int"],
    "assertions": ["kind('a') == 'str'"],
}
STRUCTURED = {
    **IR,
    "effects": [
        {
            "description": "if value is a bool, return 'other'",
            "implementation_hint": "use isinstance",
            "return_values": ["'other'"],
            "order_constraint": "bool before int",
        },
        {
            "description": "return 'int' for an int",
            "implementation_hint": "",
            "return_values": [],
            "order_constraint": "",
        },
    ],
}
ISSUE = {"category": "return_path", "description": "nothing of strings", "fix": "add a step"}
CRITIQUE = {"issues": [ISSUE], "overall_quality": 3}
STEPS = [
    {"step": "if bool, return 'other'", "how": "", "returns": ["'other'"], "order": "first"},
]
DEMO_TASK = Task(
    id="size", spec="Return 'big' above 9, else 'small'.", entry_point="size", split="train",
    category="control_flow", source="test", hidden=(Case(args="(1,)", expected="'small'"),),
)  # fmt: skip
DEMO_IR = SpecIR(
    intent=Intent(summary="Tell big from small"),
    signature=FunctionSignature(
        name="size", parameters=(Parameter(name="n", type_hint="int"),), returns="str"
    ),
    effects=(
        Effect(
            description="if n > 9, return 'big'",
            implementation_hint="compare with 9",
            return_values=("big",),
            order_constraint="first",
        ),
        Effect(description="return 'small'"),
    ),
    assertions=(Assertion(predicate="size(9) == 'small'"),),
)
DEMO_CODE = "def size(n):\n    return 'big' if n > 9 else 'small'"
PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "direct": ("direct", {}),
    "single": ("single", {}),
    "analysed": ("chain_of_thought", {"code_sees": "spec_and_ir"}),
    "refined": ("single", {"refine_iterations": 1, "code_sees": "spec"}),
}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    f"{detail} {wire}": (
        "single",
        {"ir_detail": detail, "ir_wire": wire, "refine_iterations": 1, "code_sees": "spec"},
    )
    for detail in ("basic", "structured", "checks")
    for wire in ("json", "compact")
    if (detail, wire) != ("basic", "json")  # these are the defaults
}


def answer(request: Request) -> str:
    """Give any stage an answer of its form."""
    form = request.config.response_format
    if form is None:
        return f"```python\n{CODE}\n```"
    if "overall_quality" in str(form):
        return json.dumps(CRITIQUE)
    keys = form["schema"]["properties"]
    compact = {
        "signature": "kind(value) -> str",
        "steps": STEPS if "order" in str(keys) else IR["effects"],
        "checks": IR["assertions"],
    }
    known = (STRUCTURED if "order" in str(keys) else IR) | compact
    return json.dumps({key: known[key] for key in keys})


def prompts_of(
    name: str, sandbox: Sandbox, *, demos: bool, spec: str = SPEC, **more: Any
) -> list[dict[str, Any]]:
    """Return every request of one run of a program, with more hypers than its own."""
    preset, hypers = (PROGRAMS | FORMS)[name]
    program = make_program(preset, sandbox)
    set_hypers(program, {**hypers, **more})
    if demos:
        shown = make_demos(DEMO_TASK, DEMO_IR, DEMO_CODE)
        for path, predictor in program.named_predictors():
            predictor.demos = [shown[path]] if path in shown else []
    engine = ScriptedEngine(answer)
    with dspy.context(lm=dspy.LM("local/script", engine=engine, cache=False, num_retries=0)):
        program(spec=spec, entry_point="kind", visible=VISIBLE)
    return list(engine.bodies)


def test_prompts_are_what_they_were(sandbox: Sandbox) -> None:
    sent = {
        f"{name}, {'with' if demos else 'without'} demos": prompts_of(name, sandbox, demos=demos)
        for name in (*PROGRAMS, *FORMS)
        for demos in (False, True)
    }

    text = json.dumps(sent, ensure_ascii=False, indent=1) + "\n"
    assert text == GOLDEN.read_text(encoding="utf-8")


TOLD = [(name, demos) for name in PROGRAMS for demos in (False, True)]
ALL = f"\n\n{QUIRKS_HEADING}\n{listed(QUIRKS)}"
SOME = f"Quirks: {QUIRKS_HEADING}\n{listed(triggered(SPEC))}\n\n"
UNTOLD = {"analysed": [0], "single": [1], "refined": [1, 2]}
"""Requests that are about no quirks: the analysis, code from the IR alone, critic and refiner."""


@pytest.mark.parametrize(("name", "demos"), TOLD)
def test_all_quirks_are_constant_text_of_the_system_message(
    sandbox: Sandbox, name: str, demos: bool
) -> None:
    off = prompts_of(name, sandbox, demos=demos)
    told = prompts_of(name, sandbox, demos=demos, quirks="all")
    for i, (before, after) in enumerate(zip(off, told, strict=True)):
        system = after["messages"][0]
        assert (ALL in system["content"]) == (i not in UNTOLD.get(name, []))
        system["content"] = system["content"].replace(ALL, "")
        assert after == before

    other = prompts_of(name, sandbox, demos=demos, quirks="all", spec="Say 'other'.")
    again = prompts_of(name, sandbox, demos=demos, quirks="all")
    assert [p["messages"][0] for p in other] == [p["messages"][0] for p in again]


@pytest.mark.parametrize(("name", "demos"), TOLD)
def test_triggered_quirks_stand_before_the_spec(sandbox: Sandbox, name: str, demos: bool) -> None:
    assert 0 < len(triggered(SPEC)) < 4
    off = prompts_of(name, sandbox, demos=demos)
    told = prompts_of(name, sandbox, demos=demos, quirks="triggered")
    for i, (before, after) in enumerate(zip(off, told, strict=True)):
        asked = after["messages"][-1]
        assert (f"{SOME}Spec: {SPEC}" in asked["content"]) == (i not in UNTOLD.get(name, []))
        asked["content"] = asked["content"].replace(SOME, "")
        assert after == before


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_spec_that_triggers_nothing_is_sent_as_it_was(sandbox: Sandbox, name: str) -> None:
    plain = "Say 'other'."
    assert prompts_of(name, sandbox, demos=True, spec=plain, quirks="triggered") == prompts_of(
        name, sandbox, demos=True, spec=plain
    )


def test_structured_effects_are_asked_for_shown_and_passed_on(sandbox: Sandbox) -> None:
    bodies = prompts_of("refined", sandbox, demos=True, ir_detail="structured")
    write, critic, refine, _ = bodies
    for body in (write, refine):
        assert body["response_format"]["json_schema"]["schema"] == wire_schema(StructuredWireIR)
        assert "implementation_hint" in body["messages"][0]["content"]
    shown = json.loads(write["messages"][2]["content"])["effects"]
    assert shown == [
        {
            "description": "if n > 9, return 'big'",
            "implementation_hint": "compare with 9",
            "return_values": ["'big'"],
            "order_constraint": "first",
        },
        {
            "description": "return 'small'",
            "implementation_hint": "",
            "return_values": [],
            "order_constraint": "",
        },
    ]
    rendered = (
        "1. if value is a bool, return 'other' How: use isinstance. Returns exactly: 'other'. "
        "Order: bool before int.\n2. return 'int' for an int\n"
    )
    for body in (critic, refine):
        assert rendered in body["messages"][-1]["content"]
    code = prompts_of("single", sandbox, demos=False, ir_detail="structured")[-1]
    assert rendered in code["messages"][-1]["content"]


def test_structure_and_quirks_go_together(sandbox: Sandbox) -> None:
    write = prompts_of("single", sandbox, demos=True, ir_detail="structured", quirks="all")[0]
    plain = prompts_of("single", sandbox, demos=True, ir_detail="structured")[0]

    write["messages"][0]["content"] = write["messages"][0]["content"].replace(ALL, "")
    assert write == plain


@pytest.mark.parametrize("name", FORMS)
def test_a_demo_in_the_form_in_force_is_what_the_schema_asks_for(
    sandbox: Sandbox, name: str
) -> None:
    write = prompts_of(name, sandbox, demos=True)[0]
    schema = write["response_format"]["json_schema"]["schema"]
    shown = json.loads(write["messages"][2]["content"])
    assert list(shown) == list(schema["properties"])
    compact = "compact" in name
    assert ("\n" in write["messages"][2]["content"]) is False
    assert (shown.get("signature") == "size(n: int) -> str") == compact
    assert shown["checks" if compact else "assertions"] == ["size(9) == 'small'"]


def test_the_number_of_assertions_changes_the_words_and_the_limit_alone(sandbox: Sandbox) -> None:
    for name in ("refined", *FORMS):
        usual = json.dumps(prompts_of(name, sandbox, demos=True))
        fewer = json.dumps(prompts_of(name, sandbox, demos=True, assertions=3))
        assert fewer != usual
        words = usual.replace("three to five calls", "three calls")
        for key in ("assertions", "checks"):
            limit = f'"{key}": {{"items": {{"type": "string"}}, "maxItems": %d'
            words = words.replace(limit % 5, limit % 3)
        assert fewer == words
