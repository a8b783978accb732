"""The presets: each technique is a point of one program, on scripted answers and real execution."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.errors import ConfigError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.select import RULES
from programs.spec_to_code import SpecToCode

SPEC = "Return the double of x."
GOOD = "```python\ndef double(x):\n    return 2 * x\n```"
ALSO_GOOD = "```python\ndef double(x):\n    return x + x\n```"
BAD = "```python\ndef double(x):\n    return x\n```"
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
VISIBLE = (Case(args="(1,)", expected="2"),)
ISSUE = {"category": "order", "description": "no steps", "fix": "say how"}
CRITIQUE = json.dumps({"issues": [ISSUE], "overall_quality": 0})
TASK = Task(
    id="double", spec=SPEC, entry_point="double", category="mathematical", split="train",
    source="test", hidden=(Case(args="(4,)", expected="8"),),
)  # fmt: skip


def scripted(answers: Callable[[Request], str] | list[str]) -> tuple[dspy.LM, ScriptedEngine]:
    engine = ScriptedEngine(answers)
    return dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0), engine


def run(program: SpecToCode, lm: dspy.LM, visible: Sequence[Case] = ()) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return program(spec=SPEC, entry_point="double", visible=visible)


def numbered(codes: list[str]) -> Callable[[Request], str]:
    """Answer each candidate's IR request with an IR of its own, and its code request in turn."""
    irs = iter(range(len(codes)))
    left = list(codes)

    def answer(request: Request) -> str:
        if request.config.response_format:
            return json.dumps({**IR, "summary": f"Doubles x, number {next(irs)}"})
        return left.pop(0)

    return answer


def test_self_consistency_takes_the_behaviour_of_most(sandbox: Sandbox) -> None:
    lm, engine = scripted(numbered([BAD, GOOD, BAD, ALSO_GOOD, GOOD]))
    answer = run(make_program("self_consistency", sandbox), lm)

    assert answer.code == "def double(x):\n    return 2 * x"
    assert answer.ir.intent.summary == "Doubles x, number 1"
    assert len(answer.attempts) == 5
    assert {r.config.temperature for r in engine.requests} == {0.7}
    assert len({r.config.seed for r in engine.requests}) == 10


def test_self_consistency_ends_when_the_rest_cannot_change_the_choice(sandbox: Sandbox) -> None:
    lm, engine = scripted(numbered([GOOD, ALSO_GOOD, GOOD, ALSO_GOOD]))
    answer = run(make_program("self_consistency", sandbox), lm)

    assert len(answer.attempts) == 4
    assert len(engine.requests) == 8


def test_hybrid_analyses_each_candidate_and_codes_once(sandbox: Sandbox) -> None:
    lm, engine = scripted(["it doubles", json.dumps(IR)] * 3 + [GOOD])
    run(make_program("hybrid", sandbox), lm)

    assert len(engine.requests) == 7


def test_refine_rewrites_at_most_twice(sandbox: Sandbox) -> None:
    lm, engine = scripted([json.dumps(IR), *[CRITIQUE, json.dumps(IR)] * 2, GOOD])
    answer = run(make_program("refine", sandbox), lm)

    assert answer.failure is None
    assert len(engine.requests) == 6


@pytest.mark.parametrize(("wrong", "requests"), [(0, 1), (3, 4), (4, 6)])
def test_adaptive_spends_more_only_while_what_is_stated_does_not_hold(
    sandbox: Sandbox, wrong: int, requests: int
) -> None:
    lm, engine = scripted(numbered([BAD] * wrong + [GOOD]))
    answer = run(make_program("adaptive", sandbox), lm, visible=VISIBLE)

    assert [a.agreement.holds for a in answer.attempts] == [False] * wrong + [True]
    assert [a.ir is not None for a in answer.attempts] == [i >= 4 for i in range(wrong + 1)]
    assert len(engine.requests) == requests
    assert [r.config.temperature for r in engine.requests] == [0.0] + [0.7] * (requests - 1)


@pytest.mark.parametrize("select", RULES)
def test_the_largest_point_of_the_space_is_valid(sandbox: Sandbox, select: str) -> None:
    def answer(request: Request) -> str:
        if request.config.response_format is None:
            return BAD
        critic = "overall_quality" in json.dumps(request.config.response_format, default=str)
        return CRITIQUE if critic else json.dumps(IR)

    lm, engine = scripted(answer)
    program = make_program("single", sandbox)
    set_hypers(program, {"n": 16, "refine_iterations": 4, "temperature": 1.0, "select": select})
    drawn = len(run(program, lm).attempts)

    expected = {"first": 1, "quality": 16, "assertions": 16, "agreement": 15}
    written = 1 if select == "quality" else drawn
    assert drawn == expected[select]
    assert len(engine.requests) == 9 * drawn + written
    assert len({r.config.seed for r in engine.requests}) == len(engine.requests)


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_only_the_winners_calls_become_demos(sandbox: Sandbox, winner: int) -> None:
    codes = [BAD if winner else GOOD, BAD if winner == 2 else GOOD, GOOD, GOOD, GOOD]
    lm, _ = scripted(numbered(codes))
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    with dspy.context(lm=lm):
        compiled = teleprompter.compile(
            make_program("self_consistency", sandbox), trainset=[to_example(TASK)]
        )

    (ir_demo,) = compiled.ir_generator.predict.demos
    (code_demo,) = compiled.code_generator.predict.demos
    assert ir_demo["summary"] == f"Doubles x, number {winner}"
    assert f"Doubles x, number {winner}" in code_demo["ir"]
    assert code_demo["code"] == "def double(x):\n    return 2 * x"


@pytest.mark.parametrize(("code", "demos"), [(GOOD, 1), (BAD, 0)])
def test_bootstrapping_self_consistency_takes_passing_answers_only(
    sandbox: Sandbox, code: str, demos: int
) -> None:
    lm, _ = scripted(lambda r: json.dumps(IR) if r.config.response_format else code)
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    program = make_program("self_consistency", sandbox)
    with dspy.context(lm=lm):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])

    assert len(compiled.ir_generator.predict.demos) == demos
    assert len(compiled.code_generator.predict.demos) == demos


def test_an_unknown_preset_is_refused_with_the_names_of_all(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match=r"'best'; choose one of: direct, .*, adaptive"):
        make_program("best", sandbox)
