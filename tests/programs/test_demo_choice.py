"""A request shows the demos that its hypers choose, and never one of its own task."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from programs.demo_choice import CHOICES, MOST, NO_LIMIT, DemoChoice, estimated_tokens
from programs.hypers import set_hypers
from programs.modules import CodeGenerator, IRGenerator, Reasoner
from programs.stages import Sampling, Stage

SPECS = {
    "total": "Add up all the prices in a basket.",
    "vowels": "Count the vowels of a word.",
    "longest": "Find the longest word of a sentence.",
    "median": "Return the median of some readings.",
}
FENCED = "```python\ndef f(x): pass\n```"
BANK = [{"name": n, "spec": s, "ir": f"IR-{n}", "code": f"CODE-{n}"} for n, s in SPECS.items()]
ASKED = "How many vowels has the longest word of a sentence?"
NEAREST = ["longest", "vowels"]
"""The two specs of the bank that are most similar to ``ASKED``, the most similar first."""


def chosen(spec: str = ASKED, **changes: Any) -> list[str]:
    rule = DemoChoice(**{"how": "fixed", "count": MOST, "tokens": NO_LIMIT, **changes})
    return [demo["name"] for demo in rule.of(BANK, spec, dict)]


def test_by_default_all_are_shown_in_their_order() -> None:
    assert chosen() == list(SPECS)


def test_fixed_takes_the_first() -> None:
    assert [chosen(count=k) for k in range(3)] == [[], ["total"], ["total", "vowels"]]


def test_nearest_come_last_next_to_the_spec() -> None:
    assert chosen(how="nearest", count=1) == NEAREST[:1]
    assert chosen(how="nearest", count=2) == NEAREST[::-1]
    assert chosen("The median!", how="nearest", count=1) == ["median"]
    assert sorted(chosen(how="nearest")) == sorted(SPECS)


def test_what_is_alike_in_nothing_keeps_the_order_of_the_bank() -> None:
    assert chosen("xyzzy", how="nearest", count=2) == ["vowels", "total"]


@pytest.mark.parametrize("how", CHOICES)
def test_the_least_wanted_give_way_to_the_budget(how: str) -> None:
    wanted = chosen(how=how)
    cost = {demo["name"]: estimated_tokens(demo) for demo in BANK}
    best_first = wanted[::-1] if how == "nearest" else wanted
    for k in range(len(BANK) + 1):
        exact = sum(cost[name] for name in best_first[:k])
        assert set(chosen(how=how, tokens=exact)) == set(best_first[:k])
        if k:
            assert set(chosen(how=how, tokens=exact - 1)) == set(best_first[: k - 1])


def test_the_largest_limit_is_none() -> None:
    long = [{"name": name, "code": "x" * 4 * NO_LIMIT} for name in "ab"]
    assert DemoChoice("fixed", MOST, NO_LIMIT).of(long, "", dict) == long
    assert DemoChoice("fixed", MOST, NO_LIMIT - 1).of(long, "", dict) == []


@pytest.mark.parametrize("how", CHOICES)
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    "more", ["", "\n", "\nExamples:\nf(1) == 2", "\nHints from the text, not checked:\n- x: y"]
)
def test_a_demo_of_the_same_task_is_never_shown(how: str, name: str, more: str) -> None:
    assert set(chosen(SPECS[name] + more, how=how)) == SPECS.keys() - {name}
    assert len(chosen(SPECS[name] + more, how=how, count=3)) == 3


def test_a_demo_with_examples_is_of_the_same_task_as_a_spec_without() -> None:
    bank = [{"name": "f", "spec": "Add up.\nExamples:\nf(1) == 2"}]
    rule = DemoChoice("fixed", MOST, NO_LIMIT)
    assert rule.of(bank, "Add up.", dict) == []
    assert rule.of(bank, "Add up", dict) == bank  # another spec that begins alike
    assert rule.of([{"spec": "", "code": "c"}], "Add up.", dict) == [{"spec": "", "code": "c"}]


@given(
    st.lists(st.fixed_dictionaries({"spec": st.text("ab \n"), "code": st.text("xy")})),
    st.text("ab \n"),
    st.sampled_from(CHOICES),
    st.integers(0, MOST),
    st.integers(0, 100),
)
def test_every_choice_keeps_its_limits(
    bank: list[dict[str, str]], spec: str, how: str, count: int, tokens: int
) -> None:
    shown = DemoChoice(how, count, tokens).of(bank, spec, dict)
    assert len(shown) <= count
    assert sum(map(estimated_tokens, shown)) <= tokens
    assert all(demo in bank for demo in shown)
    assert shown == DemoChoice(how, count, tokens).of(bank, spec, dict)


IR = SpecIR(intent=Intent(summary="s"), signature=FunctionSignature(name="f"))
SAMPLING = Sampling(temperature=0.0, seed=1)
WIRE: dict[str, Any] = {
    "summary": "s", "parameters": [], "returns": "int", "effects": [], "assertions": [],
}  # fmt: skip


def shown_by(stage: Stage, answer: str, hypers: dict[str, Any], **inputs: Any) -> list[str]:
    """Return the user messages of the one request that a stage sends."""
    set_hypers(stage, hypers)
    engine = ScriptedEngine([answer])
    with dspy.context(lm=dspy.LM("local/s", engine=engine, cache=False, num_retries=0)):
        stage(name="f", sampling=SAMPLING, **inputs)
    return [m["content"] for m in engine.bodies[0]["messages"] if m["role"] == "user"]


TWO_NEAREST = {"demo_choice": "nearest", "demo_count": 2}


@pytest.mark.parametrize("sees", ["spec", "ir", "spec_and_ir"])
def test_the_code_stage_chooses_by_a_spec_that_it_may_not_see(sees: str) -> None:
    stage = CodeGenerator()
    stage.predict.demos = list(BANK)
    asked = shown_by(stage, FENCED, TWO_NEAREST, spec=ASKED, ir=IR, sees=sees)
    names = [message.splitlines()[0] for message in asked]
    assert names == [f"Name: {name}" for name in (*NEAREST[::-1], "f")]
    assert (SPECS["vowels"] in asked[0]) == (ASKED in asked[2]) == ("spec" in sees)
    assert stage.predict.demos == BANK


def test_the_ir_stage_and_the_analysis_choose_too() -> None:
    ir_stage, reasoner = IRGenerator(), Reasoner()
    ir_stage.predict.demos = [{"name": n, "spec": s, **WIRE} for n, s in SPECS.items()]
    reasoner.predict.demos = [{"name": n, "spec": s, "analysis": "a"} for n, s in SPECS.items()]
    irs = shown_by(ir_stage, json.dumps(WIRE), TWO_NEAREST, spec=ASKED, analysis=None)
    analyses = shown_by(reasoner, "text", TWO_NEAREST, spec=ASKED)
    for asked in (irs, analyses):
        specs = [message.partition("Spec: ")[2] for message in asked]
        assert specs == [*(SPECS[name] for name in NEAREST[::-1]), ASKED]


def test_a_bank_is_never_shown_in_full_by_accident() -> None:
    stage = CodeGenerator()
    stage.predict.demos = [{"name": f"n{i}", "spec": f"S{i}", "code": "c"} for i in range(120)]
    assert len(shown_by(stage, FENCED, {}, spec=ASKED, ir=None)) == MOST + 1


def test_demos_without_an_answer_take_no_place() -> None:
    stage = CodeGenerator()
    stage.predict.demos = [{"name": "a", "spec": "A"}, {"name": "b", "spec": "B", "code": "c"}]
    (demo, _) = shown_by(stage, FENCED, {"demo_count": 1}, spec=ASKED, ir=None)
    assert "Spec: B" in demo
