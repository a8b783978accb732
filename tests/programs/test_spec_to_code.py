"""The program's control flow, on scripted answers and the real sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.errors import ConfigError, ProviderError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import recording
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.belief import Codes, Measured, Reliability
from programs.hypers import hypers_of, set_hypers
from programs.presets import PRESETS, make_program
from programs.requests import MAX_SPEC_CHARS
from programs.spec_to_code import SpecToCode

SPEC = "Return the double of x."
GOOD = "```python\ndef double(x):\n    return 2 * x\n```"
BAD = "```python\ndef double(x):\n    return x\n```"
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
VISIBLE = (Case(args="(1,)", expected="2"),)


def scripted(answers: Callable[[Request], str] | list[str]) -> tuple[dspy.LM, ScriptedEngine]:
    engine = ScriptedEngine(answers)
    return dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0), engine


def by_stage(code: list[str], ir: dict[str, Any] | None = None) -> Callable[[Request], str]:
    """Answer IR requests with one IR and code requests in turn."""
    left = list(code)

    def answer(request: Request) -> str:
        return json.dumps(ir or IR) if request.config.response_format else left.pop(0)

    return answer


def issue(fix: str) -> dict[str, str]:
    return {"category": "order", "description": "unclear", "fix": fix}


def run(program: SpecToCode, lm: dspy.LM, **more: Any) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return program(spec=SPEC, entry_point="double", **more)


def test_direct_makes_no_ir(sandbox: Sandbox) -> None:
    lm, engine = scripted([GOOD])
    answer = run(make_program("direct", sandbox), lm)

    assert answer.ir is None
    assert answer.code == "def double(x):\n    return 2 * x"
    assert len(engine.requests) == 1
    assert SPEC in engine.bodies[0]["messages"][-1]["content"]


def test_single_writes_ir_then_code_from_the_ir_alone(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([GOOD]))
    answer = run(make_program("single", sandbox), lm)

    assert answer.ir.signature.render() == "double(x: int) -> int"
    assert SPEC not in engine.bodies[1]["messages"][-1]["content"]
    assert "return 2 * x" in engine.bodies[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("sees", "spec_shown", "ir_shown"),
    [("ir", False, True), ("spec", True, False), ("spec_and_ir", True, True)],
)
def test_code_sees_what_it_is_told(
    sandbox: Sandbox, sees: str, spec_shown: bool, ir_shown: bool
) -> None:
    lm, engine = scripted(by_stage([GOOD]))
    program = make_program("single", sandbox)
    set_hypers(program, {"code_sees": sees})
    run(program, lm)
    prompt = engine.bodies[1]["messages"][-1]["content"]

    assert (SPEC in prompt, "Doubles x" in prompt) == (spec_shown, ir_shown)


def test_chain_of_thought_analyses_first(sandbox: Sandbox) -> None:
    answers = ["it doubles", json.dumps(IR), GOOD]
    lm, engine = scripted(answers)
    run(make_program("chain_of_thought", sandbox), lm)

    assert "it doubles" in engine.bodies[1]["messages"][-1]["content"]


def test_the_schema_reaches_the_engine(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([GOOD]))
    run(make_program("single", sandbox), lm)
    sent = engine.bodies[0]["response_format"]

    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["schema"]["required"] == list(IR)
    assert "response_format" not in engine.bodies[1]


def test_best_of_n_takes_the_ir_with_the_best_form_and_codes_once(sandbox: Sandbox) -> None:
    rich = {**IR, "effects": ["return exactly 2 * x, a literal doubling"]}
    answers = [json.dumps(IR), json.dumps(rich), json.dumps(IR), GOOD]
    lm, engine = scripted(answers)
    answer = run(make_program("best_of_n", sandbox), lm)

    assert len(engine.requests) == 4
    assert answer.ir.effects[0].description.startswith("return exactly")
    assert len({r.config.seed for r in engine.requests}) == 4


def test_agreement_stops_the_sampling(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([BAD, GOOD, GOOD]))
    program = make_program("single", sandbox)
    set_hypers(program, {"n": 3, "temperature": 0.5, "select": "assertions"})
    answer = run(program, lm)

    assert [a.agreement.holds for a in answer.attempts] == [False, True]
    assert answer.code == "def double(x):\n    return 2 * x"
    assert len(engine.requests) == 4


def test_greedy_candidates_are_not_drawn_twice(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([BAD, GOOD]))
    program = make_program("single", sandbox)
    set_hypers(program, {"n": 3, "temperature": 0.0, "select": "assertions"})
    run(program, lm)

    assert len(engine.requests) == 2


def test_greedy_drafts_are_not_drawn_twice_before_an_ir_is_made(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([BAD, GOOD]))
    program = make_program("adaptive", sandbox)
    set_hypers(program, {"temperature": 0.0})
    answer = run(program, lm, visible=VISIBLE)

    assert [a.ir is not None for a in answer.attempts] == [False, True]
    assert len(engine.requests) == 3


def test_refinement_rewrites_until_the_critic_is_content(sandbox: Sandbox) -> None:
    critiques = [
        {"issues": [issue("say how")], "overall_quality": 3},
        {"issues": [issue("nit")], "overall_quality": 8},
    ]
    better = {**IR, "summary": "Doubles x exactly"}
    answers = [json.dumps(a) for a in (IR, critiques[0], better, critiques[1])]
    lm, engine = scripted([*answers, GOOD])
    program = make_program("single", sandbox)
    set_hypers(program, {"refine_iterations": 3})
    answer = run(program, lm)

    assert answer.ir.intent.summary == "Doubles x exactly"
    assert "say how" in engine.bodies[2]["messages"][-1]["content"]


def test_visible_cases_are_stated_assertions_and_examples(sandbox: Sandbox) -> None:
    lm, engine = scripted(by_stage([GOOD]))
    answer = run(make_program("single", sandbox), lm, visible=VISIBLE)

    assert (answer.ir.assertions[0].predicate, answer.ir.assertions[0].provenance) == (
        "double(1) == 2",
        "stated",
    )
    assert "double(1) == 2" in engine.bodies[0]["messages"][-1]["content"]
    assert answer.attempts[0].agreement.stated_held == 1


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["{not json"], "ir_not_parsed: the answer of the ir stage does not have"),
        (
            [json.dumps({**IR, "parameters": ["1x: int"]})],
            "ir_not_parsed: the answer of the ir stage is not an IR",
        ),
        ([json.dumps(IR), "```python\n\n```"], "other: the answer of the code stage is empty"),
    ],
)
def test_a_bad_answer_is_a_failed_attempt(
    sandbox: Sandbox, answers: list[str], reason: str
) -> None:
    lm, _ = scripted(answers)
    answer = run(make_program("single", sandbox), lm)

    assert answer.code is None
    assert reason in answer.failure


@pytest.mark.filterwarnings("ignore")
def test_a_truncated_answer_is_a_failed_attempt_with_that_reason(sandbox: Sandbox) -> None:
    engine = ScriptedEngine([json.dumps(IR)], cut_at=3)
    lm = dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)
    answer = run(make_program("single", sandbox), lm)

    assert answer.failure == "truncated: the ir stage was cut off at 512 tokens"


def test_a_failing_backend_is_nobodys_answer(sandbox: Sandbox) -> None:
    def broken(_: Request) -> str:
        raise RuntimeError("the server is gone")

    lm, _ = scripted(broken)
    with pytest.raises(ProviderError, match="the ir stage"):
        run(make_program("single", sandbox), lm)


@pytest.mark.parametrize("spec", ["", " \n", "x" * (MAX_SPEC_CHARS + 1)])
def test_an_unusable_spec_is_refused(sandbox: Sandbox, spec: str) -> None:
    lm, engine = scripted([GOOD])
    with dspy.context(lm=lm), pytest.raises(ConfigError):
        make_program("direct", sandbox)(spec=spec)

    assert engine.requests == []


def test_equal_calls_send_equal_requests_and_rollouts_differ(sandbox: Sandbox) -> None:
    seeds = []
    for rollout in (0, 0, 1):
        lm, engine = scripted([GOOD])
        run(make_program("direct", sandbox), lm, rollout=rollout)
        seeds.append(engine.requests[0].config.seed)

    assert seeds[0] == seeds[1] != seeds[2]


def test_calls_are_labelled_by_stage(sandbox: Sandbox) -> None:
    lm, _ = scripted(by_stage([GOOD]))
    with recording() as calls:
        run(make_program("single", sandbox), lm)

    assert [c.stage for c in calls] == ["ir", "code"]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_survive_saving_and_loading(sandbox: Sandbox, preset: str) -> None:
    program = make_program(preset, sandbox)
    state = json.loads(json.dumps(program.dump_state()))
    loaded = SpecToCode(sandbox)
    loaded.load_state(state)

    values = {path: hyper.value for path, hyper in hypers_of(loaded).items()}
    assert values.items() >= PRESETS[preset].items()


TASK = Task(
    id="double", spec=SPEC, entry_point="double", category="mathematical", split="train",
    source="test", hidden=(Case(args="(4,)", expected="8"),),
)  # fmt: skip


@pytest.mark.parametrize(("code", "demos"), [(GOOD, 1), (BAD, 0)])
def test_bootstrapping_finds_demos_of_passing_answers_only(
    sandbox: Sandbox, code: str, demos: int
) -> None:
    lm, _ = scripted(lambda r: json.dumps(IR) if r.config.response_format else code)
    program = make_program("best_of_n", sandbox)
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    with dspy.context(lm=lm):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])

    found = {name: len(p.demos) for name, p in compiled.named_predictors()}
    assert found["ir_generator.predict"] == demos
    assert found["code_generator.predict"] == demos
    assert {p: h.value for p, h in hypers_of(compiled).items()} == {
        p: h.value for p, h in hypers_of(program).items()
    }


STATING = "Return the double of x, so that 4 gives 8. f(-1) raises it all; in this order."


@pytest.mark.parametrize("extract", ["off", "on"])
def test_what_the_text_states_is_checked_and_hinted_only_when_on(
    sandbox: Sandbox, extract: str
) -> None:
    lm, engine = scripted(by_stage([BAD]))
    program = make_program("single", sandbox)
    set_hypers(program, {"extract_assertions": extract})
    with dspy.context(lm=lm):
        answer = program(spec=STATING, entry_point="double")
    agreement = answer.attempts[0].agreement
    prompt = engine.bodies[0]["messages"][-1]["content"]

    on = extract == "on"
    assert (agreement.stated_total, agreement.stated_held) == (int(on), 0)
    assert ("double(4) == 8" in [a.predicate for a in answer.ir.assertions]) is on
    assert ("double(4) == 8" in engine.bodies[1]["messages"][-1]["content"]) is on
    assert prompt.endswith(STATING) is not on
    assert ("Hints from the text, not checked:" in prompt) is on


def test_direct_code_is_checked_on_calls_that_the_text_states(sandbox: Sandbox) -> None:
    lm, _ = scripted([GOOD])
    program = make_program("direct", sandbox)
    set_hypers(program, {"extract_assertions": "on"})
    with dspy.context(lm=lm):
        answer = program(
            spec="Double it: double(4) == 8, double(0.1) == 0.2.", entry_point="double"
        )

    assert answer.attempts[0].agreement.holds
    assert answer.attempts[0].agreement.stated_total == 2


@pytest.mark.parametrize(("stop_at", "drawn"), [(0.5, 1), (0.9, 3)])
def test_calibrated_weights_end_the_drawing_at_a_posterior(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, stop_at: float, drawn: int
) -> None:
    counted = Measured(
        data_sha256="",
        tasks=0,
        models={"scripted": Reliability(standing=Codes(right=7, wrong=1))},
        pooled=Reliability(),
    )
    monkeypatch.setattr("programs.belief.measured", lambda: counted)
    lm, _ = scripted(by_stage([GOOD] * 3, {**IR, "assertions": ["double(3) == 7"]}))
    program = make_program("single", sandbox)
    weighed = {"select": "assertions", "weights": "calibrated", "stop_at": stop_at}
    set_hypers(program, {"n": 3, "temperature": 0.5, **weighed})

    answer = run(program, lm, visible=VISIBLE)

    assert [a.agreement.posterior for a in answer.attempts] == [pytest.approx(0.8)] * drawn
    assert answer.attempts[0].agreement.broken == ("double(3) == 7",)
