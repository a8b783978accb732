"""What hypers add to a request leaves the predictor as it is, and demos fit whatever is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.schema import from_wire
from lift_sys.knowledge.quirks import QUIRKS, listed
from lift_sys.sandbox import create_sandbox
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.forms import BASIC, IR_FORMS, NO_REMINDER, IRForm, remind
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.signatures import Analyse, CritiqueIR, RefineIR, WriteCode, WriteIR

STRUCTURED = IR_FORMS["structured"]
BOOL_SPEC = "Count the integers of a list. True and False are no integers."
EMPTY: dict[str, Any] = {"implementation_hint": "", "return_values": [], "order_constraint": ""}
FULL = {
    "description": "return 'big'",
    "implementation_hint": "compare",
    "return_values": ["'big'"],
    "order_constraint": "first",
}
FIELDS: dict[str, Any] = {
    "summary": "Sizes",
    "parameters": ["n: int"],
    "returns": "str",
    "assertions": ["size(10) == 'big'"],
}
DEMO = {"name": "size", "spec": "Say 'big'.", **FIELDS, "effects": [FULL, "stop"]}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(create_sandbox()) as made:
        yield made


@pytest.mark.parametrize("base", [WriteIR, RefineIR])
def test_the_basic_form_and_no_reminder_change_nothing(base: Any) -> None:
    assert BASIC.signature(base) is base
    assert NO_REMINDER.signature(base) is base
    assert NO_REMINDER.inputs == {}


@pytest.mark.parametrize("base", [WriteIR, RefineIR])
def test_the_structured_form_keeps_what_an_optimizer_wrote(base: Any) -> None:
    tuned = base.with_instructions("Be terse.")
    made = STRUCTURED.signature(tuned)
    assert made.instructions == "Be terse."
    assert list(made.fields) == list(base.fields)
    assert made.output_fields["effects"] != base.output_fields["effects"]
    assert tuned.output_fields["effects"].annotation == list[str]


@pytest.mark.parametrize(
    ("form", "effects"),
    [
        (BASIC, ["return 'big'", "stop"]),
        (STRUCTURED, [FULL, {"description": "stop", **EMPTY}]),
    ],
    ids=["basic", "structured"],
)
def test_a_demo_of_any_form_is_shown_in_the_one_asked_for(form: IRForm, effects: Any) -> None:
    before = json.dumps(DEMO)
    shown = form.demo({**DEMO, "quirks": "of its own spec"})
    assert shown == {**DEMO, "effects": effects}
    assert json.dumps(DEMO) == before
    assert form.demo(shown) == shown
    lacking = {k: v for k, v in DEMO.items() if k != "effects"}
    assert form.demo(lacking) == lacking


@pytest.mark.parametrize("form", IR_FORMS.values(), ids=IR_FORMS)
def test_a_demo_answer_is_what_the_parser_reads(form: IRForm) -> None:
    shown = form.demo(DEMO)
    text = form.adapter.format_assistant_message_content(form.signature(WriteIR), shown)
    read = form.adapter.parse(form.signature(WriteIR), text)
    assert read == {k: shown[k] for k in WriteIR.output_fields}
    ir = from_wire(form.wire.model_validate(read), "size")
    assert [e.description for e in ir.effects] == ["return 'big'", "stop"]
    assert (ir.effects[0].return_values == ("big",)) == form.structured


def test_off_reminds_of_nothing() -> None:
    assert remind("off", BOOL_SPEC) is NO_REMINDER
    assert remind("triggered", "Say hello.") is NO_REMINDER


def test_all_are_told_whatever_the_spec() -> None:
    reminder = remind("all", BOOL_SPEC)
    assert reminder == remind("all", "Say hello.")
    assert reminder.inputs == {}
    instructions = reminder.signature(WriteCode).instructions
    assert instructions.startswith(WriteCode.instructions)
    assert instructions.endswith(listed(QUIRKS))
    assert list(reminder.signature(WriteCode).fields) == list(WriteCode.fields)


@pytest.mark.parametrize("base", [Analyse, WriteIR, CritiqueIR, RefineIR, WriteCode])
def test_triggered_ones_are_an_input_before_the_spec(base: Any) -> None:
    reminder = remind("triggered", BOOL_SPEC)
    made = reminder.signature(base)
    inputs = list(made.input_fields)
    assert inputs[inputs.index("quirks") + 1] == "spec"
    assert made.instructions == base.instructions
    assert "bool" in reminder.inputs["quirks"]
    assert "quirks" not in base.fields


TASK = Task(
    id="ints", spec=BOOL_SPEC, entry_point="count_ints", category="type_operations", split="train",
    source="test", hidden=(Case(args="([1, True],)", expected="1"),),
)  # fmt: skip
CODE = "def count_ints(items):\n    return sum(type(i) is int for i in items)"
ANSWERS: dict[str, Any] = {
    "basic": {**FIELDS, "effects": ["compare types"]},
    "structured": {**FIELDS, "effects": [{**FULL, "description": "compare types"}]},
}


def answer(request: Request) -> str:
    form = request.config.response_format
    if form is None:
        return CODE
    return json.dumps(ANSWERS["structured" if "order_constraint" in str(form) else "basic"])


@pytest.mark.parametrize("written", ANSWERS)
@pytest.mark.parametrize("shown", ANSWERS)
def test_bootstrapped_demos_serve_every_form(sandbox: Sandbox, written: str, shown: str) -> None:
    program = make_program("single", sandbox)
    set_hypers(program, {"ir_detail": written, "quirks": "triggered", "code_sees": "spec"})
    engine = ScriptedEngine(answer)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    with dspy.context(lm=lm):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])
        set_hypers(compiled, {"ir_detail": shown, "quirks": "off"})
        compiled(spec="Count them.", entry_point="count")
    write, code = (json.dumps(body["messages"]) for body in engine.bodies[-2:])

    demo = json.loads(engine.bodies[-2]["messages"][2]["content"])
    expected = {**ANSWERS[written], "effects": ANSWERS[shown]["effects"]}
    if (written, shown) == ("basic", "structured"):
        expected["effects"] = [{"description": "compare types", **EMPTY}]
    assert demo == expected
    assert "type(i) is int" in code
    assert "Quirks" not in write + code
