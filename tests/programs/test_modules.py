"""Each stage: what it sends, what it makes of the answer, and whose fault a bad one is."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import ProviderError
from lift_sys.inference.scripted import AsyncScriptedEngine, ScriptedEngine
from lift_sys.inference.usage import recording
from lift_sys.ir.render import render
from lift_sys.ir.schema import WireCritique, WireIR, from_wire, wire_schema
from programs.cleaning import without_examples
from programs.critique import Critique, Issue
from programs.forms import ir_form
from programs.modules import (
    CodeGenerator,
    Critic,
    IRGenerator,
    Reasoner,
    Refiner,
    Repairer,
)
from programs.stages import Sampling, StageFailed

WIRE: dict[str, Any] = {
    "summary": "Doubles",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(1) == 2"],
}
IR = from_wire(WireIR.model_validate(WIRE), "double")
SAMPLING = Sampling(temperature=0.5, seed=17)
ISSUE = Issue(category="edge_case", description="nothing of 0", fix="say what 0 gives")
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "reason": (Reasoner, {"name": "double", "spec": "Double x."}),
    "ir": (IRGenerator, {"name": "double", "spec": "Double x.", "analysis": None}),
    "critic": (Critic, {"spec": "Double x.", "ir": IR}),
    "refine": (Refiner, {"spec": "Double x.", "ir": IR, "issues": (ISSUE,)}),
    "code": (CodeGenerator, {"name": "double", "spec": "Double x.", "ir": IR}),
    "repair": (
        Repairer,
        {"name": "double", "spec": "Double x.", "code": "DRAFT", "problems": (ISSUE, ISSUE)},
    ),
}
ANSWERS = {
    "reason": "Multiply.",
    "ir": json.dumps(WIRE),
    "critic": json.dumps({"issues": [ISSUE.model_dump()], "overall_quality": 6}),
    "refine": json.dumps(WIRE | {"summary": "Better"}),
    "code": "```python\ndef double(x):\n    return 2 * x\n```",
    "repair": "```python\ndef double(x):\n    return x + x\n\nprint(double(1))\n```",
}


def ask(name: str, engine: ScriptedEngine, **changes: Any) -> Any:
    kind, inputs = CALLS[name]
    lm = dspy.LM(
        "local/script",
        engine=engine,
        async_engine=AsyncScriptedEngine(engine),
        cache=False,
        num_retries=0,
    )
    with dspy.context(lm=lm):
        return kind()(**{**inputs, **changes}, sampling=SAMPLING)


def user_text(engine: ScriptedEngine) -> str:
    return str(engine.bodies[-1]["messages"][-1]["content"])


@pytest.mark.parametrize("name", CALLS)
def test_every_request_carries_its_sampling_and_is_labelled(name: str) -> None:
    engine = ScriptedEngine([ANSWERS[name]])
    with recording() as calls:
        ask(name, engine)
    body = engine.bodies[0]
    assert (body["temperature"], body["seed"]) == (0.5, 17)
    assert body["max_tokens"] == CALLS[name][0].token_limits[0]
    assert [c.stage for c in calls] == [name]


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("ir", WireIR),
        ("refine", WireIR),
        ("critic", WireCritique),
        ("reason", None),
        ("code", None),
        ("repair", None),
    ],
)
def test_the_engine_receives_the_schema(name: str, wire: Any) -> None:
    engine = ScriptedEngine([ANSWERS[name]])
    ask(name, engine)
    sent: Any = engine.bodies[0].get("response_format")
    if wire is None:
        assert sent is None
    else:
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"] == wire_schema(wire)


def test_answers_become_values() -> None:
    results = {name: ask(name, ScriptedEngine([text])) for name, text in ANSWERS.items()}
    assert results["reason"] == "Multiply."
    assert results["ir"] == IR
    assert results["critic"] == Critique(issues=(ISSUE,), overall_quality=6)
    assert results["refine"].intent.summary == "Better"
    assert results["refine"].signature.name == "double"
    assert results["code"] == "def double(x):\n    return 2 * x"
    assert results["repair"] == "def double(x):\n    return x + x"


def test_stages_show_what_they_are_given() -> None:
    engine = ScriptedEngine([ANSWERS["ir"], ANSWERS["refine"]])
    ask("ir", engine, analysis="Mind zero.")
    assert user_text(engine) == "Name: double\n\nSpec: Double x.\n\nAnalysis: Mind zero."
    ask("refine", engine)
    assert render(IR) in user_text(engine)
    assert user_text(engine).endswith("\n\nIssues: - nothing of 0: say what 0 gives")


def test_a_repair_shows_what_is_constant_first_and_problems_last() -> None:
    engine = ScriptedEngine([ANSWERS["repair"]])
    ask("repair", engine)
    assert user_text(engine) == (
        "Name: double\n\nSpec: Double x.\n\nDraft: DRAFT\n\n"
        "Problems: - nothing of 0: say what 0 gives\n- nothing of 0: say what 0 gives"
    )


@pytest.mark.parametrize("name", CALLS)
def test_a_truncated_answer_is_a_failed_attempt_that_says_so(name: str) -> None:
    engine = ScriptedEngine([ANSWERS[name] + " more words"], cut_at=1)
    with pytest.raises(StageFailed, match=rf"^truncated: the {name} stage was cut off at \d+ "):
        ask(name, engine)


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("ir", "I cannot do that.", "^ir_not_parsed: .* ir stage does not have the form asked for"),
        (
            "ir",
            json.dumps(WIRE | {"parameters": ["x: int", "x: str"]}),
            "^ir_not_parsed: .*not an IR .*twice",
        ),
        (
            "refine",
            json.dumps(WIRE | {"parameters": ["1: int"]}),
            "^ir_not_parsed: .* refine stage is not an IR",
        ),
        ("critic", '{"issues": []}', "^ir_not_parsed: .* critic stage does not have the form"),
        ("code", "```python\n```", "^other: .* code stage is empty"),
        ("code", "", "^other: .* code stage "),
        ("repair", "```\n\n```", "^other: .* repair stage is empty"),
    ],
)
def test_an_unusable_answer_is_a_failed_attempt(name: str, answer: str, says: str) -> None:
    with pytest.raises(StageFailed, match=says):
        ask(name, ScriptedEngine([answer]))


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        ("double(" + ", ".join(f"p{i}" for i in range(9)) + ")", "parameters: .* at most 8 items"),
        ("double(the number: int)", "parameter without a name: 'the number: int'"),
    ],
)
def test_a_compact_signature_that_is_none_is_a_failed_attempt(signature: str, says: str) -> None:
    answer = json.dumps({"signature": signature, "steps": [], "checks": []})
    with pytest.raises(StageFailed, match=f"^ir_not_parsed: .* is not an IR .*{says}"):
        ask("ir", ScriptedEngine([answer]), form=ir_form("basic", "compact"))


@pytest.mark.parametrize("name", CALLS)
def test_a_failing_backend_is_no_attempt(name: str) -> None:
    with pytest.raises(ProviderError, match="asked for one more"):
        ask(name, ScriptedEngine([]))


def test_code_demos_show_only_what_the_call_sees() -> None:
    full = {"name": "f", "spec": "SPEC-DEMO", "ir": "IR-DEMO", "code": "def f(): pass"}
    bare = {"name": "g", "spec": "ONLY-SPEC", "code": "def g(): pass"}
    seen = {}
    for key, inputs in {"spec": {"ir": None}, "ir": {"spec": None}, "both": {}}.items():
        engine = ScriptedEngine([ANSWERS["code"]])
        stage = CodeGenerator()
        stage.predict.demos = [full, bare]
        with dspy.context(lm=dspy.LM("local/s", engine=engine, cache=False, num_retries=0)):
            stage(**{**CALLS["code"][1], **inputs}, sampling=SAMPLING)
        seen[key] = json.dumps(engine.bodies[0]["messages"])
        assert stage.predict.demos == [full, bare]
    shown = {k: [w for w in ("SPEC-DEMO", "IR-DEMO", "ONLY-SPEC") if w in seen[k]] for k in seen}
    assert shown == {
        "spec": ["SPEC-DEMO", "ONLY-SPEC"],
        "ir": ["IR-DEMO"],
        "both": ["SPEC-DEMO", "IR-DEMO"],
    }


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("def f(x):\n    return x\n\nprint(f(1))", "def f(x):\n    return x"),
        ("def f(x): return x\nif __name__ == '__main__':\n    f(1)", "def f(x): return x"),
        ("import re\ndef f(): pass\nf()", "import re\n\ndef f(): pass"),
        ("@cache\n@other\ndef f(): pass\nf()", "@cache\n@other\ndef f(): pass"),
        ("'''Doc.'''\nN = 1\nclass f:\n    pass", "N = 1\n\nclass f:\n    pass"),
        ("def g(): pass\nprint(1)", "def g(): pass\nprint(1)"),
        ("def f(:\nprint(1)", "def f(:\nprint(1)"),
        ("def f(): return 'a\u2028b\x0cc'\nf()", "def f(): return 'a\u2028b\x0cc'"),
        ("def f():\r\n    return 1\r\nf()\r\n", "def f():\n    return 1"),
    ],
)
def test_examples_after_a_function_are_dropped(code: str, kept: str) -> None:
    assert without_examples(code, "f") == kept


texts = st.text(alphabet="ab \"'\\\u2028\x85\x0c\x1c\n\réß", max_size=12)


@given(texts, texts)
def test_dropping_examples_keeps_what_a_function_returns(first: str, second: str) -> None:
    code = f"A = {first!r}\n\ndef f():\n    return A + {second!r}\n\nprint(f())\n"
    names: dict[str, Any] = {}
    exec(without_examples(code, "f"), names)  # noqa: S102 (written above)
    assert names["f"]() == first + second
