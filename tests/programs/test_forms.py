"""What hypers add to a request leaves the predictor as it is, and demos fit whatever is asked."""

from __future__ import annotations

import itertools
import json
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from pydantic import ValidationError

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.schema import from_wire
from lift_sys.knowledge.quirks import QUIRKS, listed
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.forms import BASIC, NO_REMINDER, IRForm, ir_form, remind, summary_of
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.signatures import Analyse, CritiqueIR, RefineIR, WriteCode, WriteIR

STRUCTURED = ir_form("structured")
FORMS = {
    f"{detail} {wire} {most}": ir_form(detail, wire, most)
    for detail in ("basic", "structured", "checks")
    for wire in ("json", "compact")
    for most in (3, 5, 8)
}
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


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_demo_answer_is_what_the_parser_reads(form: IRForm) -> None:
    signature, shown = form.signature(WriteIR), form.demo(DEMO)
    text = form.adapter.format_assistant_message_content(signature, shown)
    read = form.adapter.parse(signature, text)
    assert read == {k: shown[k] for k in signature.output_fields}
    ir = from_wire(form.read(read, "Say 'big'. Or not."), "size")
    asked = set(signature.output_fields)
    assert ir.intent.summary == ("Sizes" if "summary" in asked else "Say 'big'.")
    effects = ["return 'big'", "stop"] if "effects" in asked else []
    assert [e.description for e in ir.effects] == effects
    assert (("big",) in [e.return_values for e in ir.effects]) == form.structured
    assert ir.signature.render() == "size(n: int) -> str"
    assert [a.predicate for a in ir.assertions] == ["size(10) == 'big'"]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("base", [WriteIR, RefineIR])
def test_every_form_is_asked_for_in_full(form: IRForm, base: Any) -> None:
    signature = form.signature(base)
    assert tuple(signature.output_fields) == form.asked
    assert list(signature.input_fields) == list(base.input_fields)
    system = form.adapter.format_system_message(signature)
    response_format: Any = form.adapter.response_format
    sent = response_format["json_schema"]["schema"]["properties"]
    assert all(f"- {key}: " in system for key in sent)
    assert system.count("\n- ") == len(sent)
    assert [v["maxItems"] for k, v in sent.items() if k in {"assertions", "checks"}] == [
        form.assertions
    ]
    words = {3: "three calls", 5: "three to five calls", 8: "five to eight calls"}
    assert f": {words[form.assertions]} of the function" in system


@pytest.mark.parametrize("base", [WriteIR, RefineIR])
def test_an_ir_that_only_verifies_is_asked_for_without_effects(base: Any) -> None:
    made = ir_form("checks").signature(base)
    assert "ffects" not in made.instructions
    assert len(made.instructions) < len(base.instructions)
    tuned = ir_form("checks").signature(base.with_instructions("Be terse."))
    assert tuned.instructions == "Be terse."
    assert tuple(tuned.output_fields) == ("parameters", "returns", "assertions")


def test_a_demo_shows_no_more_assertions_than_may_be_written() -> None:
    many = {**DEMO, "assertions": [f"size({i}) == 'big'" for i in range(5)]}
    assert ir_form("basic", "json", 3).demo(many)["assertions"] == many["assertions"][:3]
    assert BASIC.demo(many)["assertions"] == many["assertions"]


def test_an_answer_that_is_not_the_form_is_refused() -> None:
    for lacking in ({}, {"parameters": ["a"], "returns": "int", "effects": ["x"]}):
        with pytest.raises(ValidationError):
            ir_form("basic", "compact").read(lacking, "Say.")
    nine = {**FIELDS, "effects": [], "parameters": [f"p{i}" for i in range(9)]}
    with pytest.raises(ValidationError, match="at most 8 items"):
        ir_form("checks", "compact").read(nine, "Say.")


@pytest.mark.parametrize(
    ("spec", "summary"),
    [
        ("Add them. Then stop.", "Add them."),
        ("Add\nthem (e.g. 1 and 2), i.e. sum. Stop!", "Add them (e.g. 1 and 2), i.e. sum."),
        ("Is it 1.5? Say so.", "Is it 1.5?"),
        ("no end", "no end"),
        ("x" * 300, "x" * 200),
        ("", ""),
    ],
)
def test_a_summary_is_the_first_sentence(spec: str, summary: str) -> None:
    assert summary_of(spec) == summary


def test_signatures_are_made_once_and_anew_for_what_an_optimizer_wrote() -> None:
    reminder = remind("all", BOOL_SPEC)
    for make in (STRUCTURED.signature, reminder.signature):
        tuned = WriteIR.with_instructions("Be terse.")
        assert make(WriteIR) is make(WriteIR)
        assert make(tuned) is make(tuned)
        assert make(tuned).instructions.startswith("Be terse.")
    triggered = [remind("triggered", BOOL_SPEC + more) for more in ("", " Round to 2 digits.")]
    assert triggered[0] != triggered[1]
    assert triggered[0].signature(WriteIR) is triggered[1].signature(WriteIR)


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
    "checks": {k: v for k, v in FIELDS.items() if k != "summary"},
}
COMPACT: dict[str, Any] = {
    "basic": {"steps": ["compare types"]},
    "structured": {
        "steps": [
            {"step": "compare types", "how": "compare", "returns": ["'big'"], "order": "first"}
        ]
    },
    "checks": {},
}


def wired(detail: str, wire: str) -> dict[str, Any]:
    """Return an answer in one of the forms."""
    if wire == "json":
        return dict(ANSWERS[detail])
    checks = {"checks": FIELDS["assertions"]}
    return {"signature": "count_ints(n: int) -> str", **COMPACT[detail], **checks}


def script(detail: str, wire: str, code: str = CODE) -> ScriptedEngine:
    def answer(request: Request) -> str:
        structured = request.config.response_format is not None
        return json.dumps(wired(detail, wire)) if structured else code

    return ScriptedEngine(answer)


PAIRS = list(itertools.product(ANSWERS, ("json", "compact")))


@pytest.mark.parametrize("written", PAIRS, ids=" ".join)
@pytest.mark.parametrize("shown", PAIRS, ids=" ".join)
def test_bootstrapped_demos_serve_every_form(
    sandbox: Sandbox, written: tuple[str, str], shown: tuple[str, str]
) -> None:
    program = make_program("single", sandbox)
    hypers = {"ir_detail": written[0], "ir_wire": written[1]}
    set_hypers(program, {**hypers, "quirks": "triggered", "code_sees": "spec"})
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    with dspy.context(lm=dspy.LM("local/s", engine=script(*written), cache=False, num_retries=0)):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])
    engine = script(*shown)
    with dspy.context(lm=dspy.LM("local/s", engine=engine, cache=False, num_retries=0)):
        set_hypers(compiled, {"ir_detail": shown[0], "ir_wire": shown[1], "quirks": "off"})
        compiled(spec="Count them.", entry_point="count")
    write, code = engine.bodies
    assert "type(i) is int" in json.dumps(code["messages"])
    assert "Quirks" not in json.dumps(engine.bodies)

    if written[0] == "checks" != shown[0]:  # without effects it shows nothing of theirs
        assert len(write["messages"]) == 2
        return
    expected = dict(wired(*shown))
    if (written[0], shown[0]) == ("basic", "structured"):
        key, empty = {
            "json": ("effects", {"description": "compare types", **EMPTY}),
            "compact": ("steps", {"step": "compare types", "how": "", "returns": [], "order": ""}),
        }[shown[1]]
        expected[key] = [empty]
    if "summary" in expected and "summary" not in wired(*written):
        expected["summary"] = "Count the integers of a list."
    assert json.loads(write["messages"][2]["content"]) == expected


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
@pytest.mark.parametrize("sees", ["ir", "spec_and_ir", "spec"])
def test_every_form_serves_whatever_the_code_stage_sees(
    sandbox: Sandbox, pair: tuple[str, str], sees: str
) -> None:
    program = make_program("single", sandbox)
    hypers = {"ir_detail": pair[0], "ir_wire": pair[1], "code_sees": sees, "assertions": 3}
    set_hypers(program, hypers)
    engine = script(*pair, CODE.replace("count_ints", "size"))
    with dspy.context(lm=dspy.LM("local/s", engine=engine, cache=False, num_retries=0)):
        answer = program(spec=BOOL_SPEC, entry_point="size")
    assert answer.failure is None
    assert [a.predicate for a in answer.ir.assertions] == ["size(10) == 'big'"]
    assert answer.attempts[0].agreement.derived_total == 1
    asked = engine.bodies[1]["messages"][-1]["content"]
    assert ("size(10) == 'big'" in asked) == (sees != "spec")
    assert ("True and False are no integers." in asked) == (sees != "ir")
