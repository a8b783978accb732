"""Which state of a refined candidate is its result, what is remembered, and what becomes a demo."""

from __future__ import annotations

import pytest

from lift_sys.sandbox import Sandbox
from tests.programs.staged_answers import (
    NOTHING,
    RIGHT,
    SAME,
    SQUARE,
    Script,
    critique,
    demos_of,
    fenced,
    ir,
    make,
    run,
)


def test_repaired_code_is_no_demo_of_how_to_write_it(sandbox: Sandbox) -> None:
    answers = {"ir": [ir("double(1) == 2")], "code": [fenced(SAME)], "repair": [fenced(RIGHT)]}
    demos = demos_of(make(sandbox, repair="blamed"), Script(**answers))

    assert demos.keys() == {"ir_generator.predict", "repairer.predict"}
    (demo,) = demos["repairer.predict"]
    assert (demo["draft"], demo["code"].strip()) == (SAME, RIGHT)


def test_a_chosen_irs_code_is_repaired_too(sandbox: Sandbox) -> None:
    answers = {
        "ir": [ir("double(3) == 3")],
        "code": [fenced(SAME), fenced(RIGHT)],
        "refine": [ir("double(2) == 4", summary="Twice x")],
    }
    program = make(sandbox, select="quality", n=2, temperature=0.5, repair="blamed")
    script = Script(**answers)
    answer = run(program, script)

    assert script.stages == ["ir", "ir", "code", "refine", "code"]
    assert (answer.code, answer.ir.intent.summary) == (RIGHT, "Twice x")
    assert demos_of(program, Script(**answers)).keys() == {
        "refiner.predict",
        "code_generator.predict",
    }


def test_the_best_version_is_taken_not_the_last(sandbox: Sandbox) -> None:
    answers = {
        "ir": [ir("double(0) == 0", "double(2) == 4", "double(1) == 7")],
        "code": [fenced(RIGHT)],
        "repair": [fenced(SAME), fenced(NOTHING), fenced(SQUARE)],
    }
    script = Script(**answers)
    answer = run(make(sandbox, repair="code", refine_iterations=3), script)

    assert script.stages == ["ir", "code", "repair", "repair", "repair"]
    assert answer.code == RIGHT
    attempt = answer.attempts[0]
    assert [i.code for i in attempt.iterations] == [RIGHT, SAME, NOTHING, SQUARE]
    assert (attempt.agreement.stated_held, attempt.agreement.derived_held) == (1, 2)
    demos = demos_of(make(sandbox, repair="code", refine_iterations=3), Script(**answers))
    assert demos.keys() == {"ir_generator.predict", "code_generator.predict"}


def test_of_equal_versions_the_earliest_is_taken(sandbox: Sandbox) -> None:
    script = Script(code=[fenced(SAME)], repair=[fenced(SQUARE), fenced(NOTHING)])
    answer = run(make(sandbox, "direct", repair="code", refine_iterations=2), script)

    assert len(answer.attempts[0].iterations) == 3
    assert answer.code == SAME


@pytest.mark.parametrize(
    ("critiques", "taken", "qualities"),
    [
        ([critique(6, "a"), critique(3, "b")], "first", [6, 3, None]),
        ([critique(3, "a"), critique(6, "b")], "third", [3, 6, None]),
        ([critique(5, "a"), critique(5, "b")], "third", [5, 5, None]),
        ([critique(3, "a"), critique(8, "b")], "second", [3, 8]),
        ([critique(3, "a"), critique(2)], "first", [3, 2]),
        ([critique(8, "a")], "first", [8]),
        ([critique(1)], "first", [1]),
        ([critique(6, "a"), "{not json"], "second", [6, None]),
    ],
)
def test_the_ir_that_the_critic_likes_best_is_taken(
    sandbox: Sandbox, critiques: list[str], taken: str, qualities: list[int | None]
) -> None:
    script = Script(
        ir=[ir(summary="first")],
        critic=critiques,
        refine=[ir(summary="second"), ir(summary="third")],
        code=[fenced(RIGHT)],
    )
    answer = run(make(sandbox, critique="model", refine_iterations=2), script)

    assert answer.ir.intent.summary == taken
    assert [i.quality for i in answer.attempts[0].iterations] == qualities
    assert script.shown(len(script.stages) - 1).count(taken) == 1


def test_critiques_after_the_best_ir_are_no_demos(sandbox: Sandbox) -> None:
    script = Script(
        ir=[ir(summary="first")],
        critic=[critique(6, "a"), critique(3, "b")],
        refine=[ir(summary="second"), ir(summary="third")],
        code=[fenced(RIGHT)],
    )
    demos = demos_of(make(sandbox, critique="model", refine_iterations=2), script)

    assert demos.keys() == {"ir_generator.predict", "code_generator.predict"}
