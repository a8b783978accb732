"""Rounds of refinement: what is asked, in which order, until when, and on whom the blame falls.

Answers are scripted; code and assertions run in the real sandbox.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from lift_sys.sandbox import Sandbox
from tests.programs.staged_answers import (
    RIGHT,
    SAME,
    SPEC,
    Script,
    critique,
    demos_of,
    fenced,
    ir,
    make,
    run,
)


def test_code_is_repaired_on_what_is_stated_without_an_ir(sandbox: Sandbox) -> None:
    script = Script(code=[fenced(SAME)], repair=[fenced(RIGHT)])
    answer = run(make(sandbox, "direct", repair="code"), script)

    assert script.stages == ["code", "repair"]
    assert answer.code == RIGHT
    assert script.shown(1) == (
        f"Name: double\n\nSpec: {SPEC}\nExamples:\ndouble(3) == 6\n\nDraft: {SAME}\n\n"
        "Problems: - double(3) == 6 does not hold (expected 6, got 3): correct the function"
    )
    first, second = answer.attempts[0].iterations
    assert (first.code, first.blamed, first.agreement.holds) == (SAME, "code", False)
    assert (second.code, second.blamed, second.agreement.holds) == (RIGHT, None, True)
    assert second.agreement == answer.attempts[0].agreement


def test_what_the_text_states_drives_repair(sandbox: Sandbox) -> None:
    script = Script(code=[fenced(SAME)], repair=[fenced(RIGHT)])
    program = make(sandbox, "direct", repair="blamed", extract_assertions="on")
    answer = run(program, script, visible=(), spec="Double it: double(4) == 8.")

    assert answer.code == RIGHT
    assert "double(4) == 8 does not hold (expected 8, got 4)" in script.shown(1)


def test_an_ir_that_misled_the_code_is_rewritten_and_the_code_with_it(sandbox: Sandbox) -> None:
    answers = {
        "ir": [ir("double(3) == 3")],
        "code": [fenced(SAME), fenced(RIGHT)],
        "refine": [ir("double(2) == 4", summary="Twice x")],
    }
    script = Script(**answers)
    answer = run(make(sandbox, repair="blamed"), script)

    assert script.stages == ["ir", "code", "refine", "code"]
    assert "double(3) == 3 contradicts double(3) == 6, which the spec" in script.shown(2)
    assert answer.code == RIGHT
    assert [a.predicate for a in answer.ir.assertions] == ["double(3) == 6", "double(2) == 4"]
    assert [i.blamed for i in answer.attempts[0].iterations] == ["ir", None]

    demos = demos_of(make(sandbox, repair="blamed"), Script(**answers))
    assert demos.keys() == {"refiner.predict", "code_generator.predict"}
    assert [d["code"] for d in demos["code_generator.predict"]] == [RIGHT]
    assert [d["summary"] for d in demos["refiner.predict"]] == ["Twice x"]


def test_code_that_never_saw_its_ir_is_kept_when_the_ir_is_rewritten(sandbox: Sandbox) -> None:
    script = Script(ir=[ir("double(1) == 5")], code=[fenced(RIGHT)], refine=[ir("double(1) == 2")])
    answer = run(make(sandbox, repair="blamed", code_sees="spec"), script)

    assert script.stages == ["ir", "code", "refine"]
    assert "double(1) == 5 does not hold (expected 5, got 2)" in script.shown(2)
    assert answer.attempts[0].agreement.holds
    assert answer.code == RIGHT


@pytest.mark.parametrize(("rounds", "asked"), [(0, 1), (1, 2), (4, 5)])
def test_rounds_are_bounded(sandbox: Sandbox, rounds: int, asked: int) -> None:
    wrong = [fenced(f"def double(x):\n    return {n}") for n in range(6)]
    script = Script(code=[fenced(SAME)], repair=wrong)
    run(make(sandbox, "direct", repair="code", refine_iterations=rounds), script)

    assert len(script.stages) == asked


def test_a_repair_that_changes_nothing_ends_the_rounds(sandbox: Sandbox) -> None:
    script = Script(code=[fenced(SAME)], repair=[fenced(SAME)])
    answer = run(make(sandbox, "direct", repair="code", refine_iterations=4), script)

    assert script.stages == ["code", "repair"]
    assert len(answer.attempts[0].iterations) == 1


@pytest.mark.parametrize("repair", ["ir", "code", "blamed"])
def test_agreement_asks_for_nothing_more(sandbox: Sandbox, repair: str) -> None:
    script = Script(ir=[ir("double(1) == 2", "it doubles")], code=[fenced(RIGHT)])
    answer = run(make(sandbox, repair=repair, refine_iterations=4), script)

    assert script.stages == ["ir", "code"]
    assert len(answer.attempts[0].iterations) == 1


@pytest.mark.parametrize(
    ("hypers", "answers", "stages"),
    [
        ({"repair": "code"}, {"repair": ["```python\n\n```"]}, ["ir", "code", "repair"]),
        ({"repair": "ir"}, {"refine": ["{not json"]}, ["ir", "code", "refine"]),
        (
            {"repair": "ir"},
            {"refine": [ir("double(1) == 2")], "code": [fenced(SAME), ""]},
            ["ir", "code", "refine", "code"],
        ),
        ({"critique": "model"}, {"critic": ["{not json"]}, ["ir", "critic", "code"]),
        ({"critique": "model"}, {"critic": [critique(11, "a")]}, ["ir", "critic", "code"]),
        (
            {"critique": "model"},
            {"critic": [critique(2, "a")], "refine": ['{"summary": ""}']},
            ["ir", "critic", "refine", "code"],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_unusable_answer_keeps_what_was_there(
    sandbox: Sandbox, hypers: dict[str, Any], answers: dict[str, list[str]], stages: list[str]
) -> None:
    script = Script(**{"ir": [ir("double(3) == 3")], "code": [fenced(SAME)], **answers})
    answer = run(make(sandbox, refine_iterations=4, **hypers), script)

    assert script.stages == stages
    assert answer.failure is None
    assert answer.code == SAME
    assert answer.ir.assertions[1].predicate == "double(3) == 3"


def test_both_critics_have_rounds_of_their_own(sandbox: Sandbox) -> None:
    script = Script(
        ir=[ir("double(1) == 2")],
        critic=[critique(3, "a")],
        refine=[ir("double(2) == 4")],
        code=[fenced(SAME)],
        repair=[fenced(RIGHT)],
    )
    answer = run(make(sandbox, critique="both", repair="blamed"), script)

    assert script.stages == ["ir", "critic", "refine", "code", "repair"]
    assert answer.code == RIGHT
    assert [i.blamed for i in answer.attempts[0].iterations] == ["ir", None, "code", None]


def test_a_model_is_not_asked_about_an_ir_that_may_not_be_rewritten(sandbox: Sandbox) -> None:
    script = Script(ir=[ir("double(1) == 2")], code=[fenced(SAME)], repair=[fenced(RIGHT)])
    run(make(sandbox, critique="model", repair="code"), script)
    assert script.stages == ["ir", "code"]
    run(make(sandbox, critique="both", repair="code"), script)
    assert script.stages[2:] == ["ir", "code", "repair"]


@pytest.mark.parametrize(
    ("critic", "repair", "detail", "sees"),
    list(
        product(
            ["model", "execution", "both"],
            ["ir", "code", "blamed"],
            ["none", "basic"],
            ["ir", "spec"],
        )
    ),
)
def test_every_point_is_valid(
    sandbox: Sandbox, critic: str, repair: str, detail: str, sees: str
) -> None:
    script = Script(
        ir=[ir("double(3) == 3", "double(1) == 2")],
        critic=[critique(0, "a")],
        refine=[ir(f"double(3) == {n}", f"double(1) == {n}") for n in range(9, 17)],
        code=[fenced(f"def double(x):\n    return x + {n}") for n in range(20, 28)],
        repair=[fenced(f"def double(x):\n    return x + {n}") for n in range(30, 38)],
    )
    program = make(
        sandbox, critique=critic, repair=repair, ir_detail=detail, code_sees=sees,
        refine_iterations=4, temperature=0.5,
    )  # fmt: skip
    answer = run(program, script)

    assert answer.code is not None
    seeds = [r.config.seed for r in script.engine.requests]
    assert len(set(seeds)) == len(seeds) <= 1 + 8 + 1 + 8
    assert len(answer.attempts[0].iterations) <= 10
