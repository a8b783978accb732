"""An ensemble answers with what most members do, or what the spec states."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.record import canonical_json
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case
from programs.ensemble import Ensemble, members_of
from programs.hypers import hypers_of, set_hypers
from programs.presets import make_program
from tests.programs.staged_answers import SPEC, fenced

# The types are what other inputs to compare members on are made from.
RIGHT = "def double(x: int):\n    return 2 * x"
ALSO_RIGHT = "def double(x: int):\n    y = x + x\n    return y"
SAME = "def double(x: int):\n    return x"
NOTHING = "def double(x: int):\n    return None"


def ensemble(sandbox: Sandbox, members: int = 3) -> Ensemble:
    return Ensemble([make_program("direct", sandbox) for _ in range(members)])


def ask(program: Ensemble, codes: list[str], **inputs: Any) -> tuple[Any, list[Any], int]:
    engine = ScriptedEngine([fenced(code) if code else "no code" for code in codes])
    lm = dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)
    trace: list[Any] = []
    with dspy.context(lm=lm, trace=trace):
        answer = program(spec=SPEC, entry_point="double", **inputs)
    return answer, trace, len(engine.requests)


def test_members_agree_by_behaviour_and_not_by_text(sandbox: Sandbox) -> None:
    program = ensemble(sandbox)
    answer, trace, asked = ask(program, [SAME, RIGHT, ALSO_RIGHT])
    assert answer.code == RIGHT
    assert answer.chosen == 1
    assert [attempt.index for attempt in answer.attempts] == [0, 1, 2]
    ((predictor, _, _),) = trace
    assert predictor is program.programs[1].code_generator.predict
    assert asked == 3


def test_nobody_is_asked_once_the_vote_is_settled(sandbox: Sandbox) -> None:
    answer, _, asked = ask(ensemble(sandbox), [RIGHT, ALSO_RIGHT])
    assert (answer.code, asked) == (RIGHT, 2)


def test_what_is_stated_goes_before_the_majority(sandbox: Sandbox) -> None:
    visible = (Case(args="(3,)", expected="6"),)
    answer, _, _ = ask(ensemble(sandbox), [SAME, SAME, RIGHT], visible=visible)
    assert answer.code == RIGHT


def test_assertions_end_at_the_first_member_that_satisfies_them(sandbox: Sandbox) -> None:
    program = ensemble(sandbox)
    set_hypers(program, {"select": "assertions"})
    visible = (Case(args="(3,)", expected="6"),)
    answer, _, asked = ask(program, [SAME, RIGHT], visible=visible)
    assert (answer.code, asked) == (RIGHT, 2)


def test_members_that_fail_do_not_count(sandbox: Sandbox) -> None:
    answer, _, _ = ask(ensemble(sandbox), ["", NOTHING, ""])
    assert answer.code == NOTHING
    answer, _, _ = ask(ensemble(sandbox, 2), ["", ""])
    assert answer.code is None
    assert answer.failure


def test_it_can_be_awaited(sandbox: Sandbox) -> None:
    engine = ScriptedEngine([fenced(RIGHT), fenced(RIGHT)])
    program = ensemble(sandbox, 2)
    program.set_lm(dspy.LM("local/s", engine=engine, cache=False, num_retries=0))
    assert asyncio.run(program.acall(spec=SPEC, entry_point="double")).code == RIGHT


@pytest.mark.parametrize("rule", ["agreement", "assertions"])
def test_a_copy_and_a_loaded_state_have_its_hypers_and_its_members_own(
    rule: str, sandbox: Sandbox
) -> None:
    program = ensemble(sandbox)
    set_hypers(program, {"select": rule, "programs[1].n": 4})
    loaded = ensemble(sandbox)
    loaded.load_state(program.dump_state())
    for copy in (program.with_models(lambda _: dspy.LM("local/s")), program.deepcopy(), loaded):
        assert canonical_json(copy.dump_state()) == canonical_json(program.dump_state())
        assert hypers_of(copy)["programs[1].n"].value == 4
        assert [member.n.value for member in members_of(copy)] == [1, 4, 1]
    assert members_of(program.programs[0]) == (program.programs[0],)
