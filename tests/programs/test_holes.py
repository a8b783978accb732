"""Which questions are asked, what they are called, and what answers state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import ConfigError
from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR, TypedHole
from lift_sys.literals import write_literal
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.base import ClosedSandbox
from lift_sys.tasks import Case, TaskView, load_tasks
from programs.agreement import Agreement, check_agreement
from programs.attempts import Attempt, Draw, Remembering
from programs.holes import (
    MAX_SPLITS,
    _slug,
    answer,
    open_questions,
    with_holes,
)

DATASETS = Path(__file__).parents[2] / "datasets"
ZERO = "def f(xs):\n    return max(xs) if xs else 0"
NONE = "def f(xs):\n    return max(xs) if xs else None"
FAILS = "def f(xs):\n    return max(xs)"


def ir(hint: str = "list[int]", returns: str = "int", *asserted: str) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="s"),
        signature=FunctionSignature(
            name="f", parameters=(Parameter(name="xs", type_hint=hint),), returns=returns
        ),
        assertions=tuple(Assertion(predicate=a) for a in asserted),
    )


def asked(
    sandbox: Sandbox, spec: str, codes: list[str], written: SpecIR | None, *visible: Case
) -> dict[str, TypedHole]:
    view = TaskView(spec=spec, entry_point="f", visible=visible)
    draw = Draw(view, len(codes), Remembering(sandbox))
    attempts = [
        Attempt(
            index=i,
            code=code,
            ir=written,
            agreement=check_agreement(code, "f", written, visible, sandbox),
        )
        for i, code in enumerate(codes)
    ]
    return {h.identifier: h for h in open_questions(attempts, attempts[0], draw)}


def test_candidates_that_differ_on_one_call_ask_one_question(sandbox: Sandbox) -> None:
    found = asked(sandbox, "Give the top.", [ZERO, NONE, ZERO, FAILS], ir())

    assert list(found) == ["result_of_empty"]
    hole = found["result_of_empty"]
    assert (hole.kind, hole.type_hint, hole.args) == ("behaviour", "int", "([],)")
    said = "candidates said 0 and None and raises ValueError"
    assert hole.description == f"what does f([]) give?; {said}"


def test_silence_and_difference_about_one_call_are_one_question(sandbox: Sandbox) -> None:
    found = asked(sandbox, "Return the largest number.", [ZERO, NONE], ir())

    assert list(found) == ["empty_xs"]
    assert found["empty_xs"].kind == "edge_case"
    assert found["empty_xs"].description.endswith("candidates said 0 and None")


def test_silence_needs_one_candidate_and_no_ir(sandbox: Sandbox) -> None:
    typed = "def f(xs: list[int]) -> int:\n    return max(xs)"
    assert list(asked(sandbox, "Return the largest number.", [typed], None)) == ["empty_xs"]
    assert asked(sandbox, "Return the largest number.", [FAILS], None) == {}


@pytest.mark.parametrize(
    ("spec", "visible"),
    [
        ("Give the top; f([]) == 0.", ()),
        ("Give the top.", (Case(args="([],)", expected="0"),)),
        ("Return the largest number.", (Case(args="([],)", raises="ValueError"),)),
    ],
)
def test_what_is_said_is_not_asked(sandbox: Sandbox, spec: str, visible: tuple[Case, ...]) -> None:
    assert asked(sandbox, spec, [ZERO, NONE], ir(), *visible) == {}


def test_only_candidates_that_satisfy_what_is_stated_are_heard(sandbox: Sandbox) -> None:
    wrong = "def f(xs):\n    return 7"
    case = Case(args="([3],)", expected="3")
    assert asked(sandbox, "Give the top.", [ZERO, wrong, "def f(xs:"], ir(), case) == {}


def test_candidates_that_what_is_stated_refutes_are_not_executed() -> None:
    view = TaskView(spec="Give the top.", entry_point="f")
    held, refuted = Agreement(stated_total=1, stated_held=1), Agreement(stated_total=1)
    attempts = [
        Attempt(index=i, code=code, ir=ir(), agreement=agreement)
        for i, (code, agreement) in enumerate([(ZERO, held), (NONE, refuted), (FAILS, refuted)])
    ]
    assert open_questions(attempts, attempts[0], Draw(view, 3, ClosedSandbox())) == ()


def test_the_most_even_splits_are_asked_and_few(sandbox: Sandbox) -> None:
    codes = [f"def f(xs):\n    return (xs * {i}) % 5 if xs < {i} else xs" for i in range(1, 7)]
    holes = asked(sandbox, "Do it.", codes, ir("int"))

    assert 1 < len(holes) <= MAX_SPLITS
    assert holes == asked(sandbox, "Do it.", codes, ir("int"))
    lone = ["def f(xs):\n    return (xs == 1) * 3 + (xs == 2)"] * 2
    lone += ["def f(xs):\n    return (xs == 2) * 3"] * 1
    lone += ["def f(xs):\n    return (xs == 1) * 3"] * 1
    first = next(iter(asked(sandbox, "Do it.", lone, ir("int"))))
    assert first == "result_of_2"  # 2 say True, 1 says 3, 1 says False; of 1 it is 3 against 1


def test_candidates_that_hang_are_told_of(sandbox: Sandbox) -> None:
    hangs = "def f(xs):\n    while len(xs) > 4:\n        pass\n    return max(xs) if xs else 0"
    (found,) = asked(sandbox, "Give the top.", [ZERO, hangs], ir()).values()
    assert found.description.endswith("said 10 and no result in time")


def test_contradictory_examples_are_a_question_whatever_the_hypers(sandbox: Sandbox) -> None:
    spec = "Double it: f(2) == 4. But f(2) == 5."
    found = asked(sandbox, spec, ["def f(xs):\n    return 2 * xs"], ir("int"))

    assert list(found) == ["contradiction_of_2"]
    hole = found["contradiction_of_2"]
    assert "'f(2) == 4' and 'f(2) == 5'" in hole.description
    filled = answer(hole, "4")
    assert filled == Case(args="(2,)", expected="4")
    assert asked(sandbox, spec, ["def f(xs):\n    return 2 * xs"], ir("int"), filled) == {}


def test_an_unknown_type_is_a_question_that_a_sentence_answers(sandbox: Sandbox) -> None:
    code = "def f(xs):\n    return 1"
    found = asked(sandbox, "Count them.", [code], ir("Any"))

    assert list(found) == ["type_of_xs"]
    sentence = answer(found["type_of_xs"], "list[int]")
    assert sentence == "The type of xs is list[int]"
    assert asked(sandbox, f"Count them.\n{sentence}", [code], ir("Any")) == {}


def test_a_failed_answer_still_asks_about_the_spec(sandbox: Sandbox) -> None:
    draw = Draw(TaskView(spec="f(1) == 2. f(1) == 3.", entry_point="f"), 1, sandbox)
    failed = Attempt(index=0, failure="cut off")
    assert [h.kind for h in open_questions([failed], failed, draw)] == ["contradiction"]


def hole(args: str | None) -> TypedHole:
    return TypedHole(identifier="h", type_hint="int", description="?", kind="k", args=args)


@pytest.mark.parametrize(
    ("text", "case"),
    [
        ("None", Case(args="(1,)", expected="None")),
        (" 'a b' ", Case(args="(1,)", expected="'a b'")),
        ("0.5", Case(args="(1,)", expected="0.5", tolerance=1e-9)),
        ("ValueError", Case(args="(1,)", raises="ValueError")),
        ("raises KeyError", Case(args="(1,)", raises="KeyError")),
    ],
)
def test_answers_are_cases(text: str, case: Case) -> None:
    assert answer(hole("(1,)"), text) == case


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ("(1,)", "none"),
        ("(1,)", "1 + x"),
        ("(1,)", "print"),
        (None, "3"),
        (None, "Any"),
        (None, ""),
    ],
)
def test_other_answers_are_refused(args: str | None, text: str) -> None:
    with pytest.raises(ConfigError, match="cannot fill h"):
        answer(hole(args), text)


ARGS: st.SearchStrategy[tuple[object, ...]] = st.lists(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=9) | st.just([])
    | st.just({}),
    max_size=3,
).map(tuple)  # fmt: skip


@given(ARGS, ARGS)
def test_names_are_identifiers_and_tell_calls_apart(
    first: tuple[object, ...], second: tuple[object, ...]
) -> None:
    slugs = [_slug(write_literal(args)) for args in (first, second)]
    assert all(re.fullmatch(r"[a-z0-9_]+", s) for s in slugs)
    empties = [[type(a) for a in args if a in ([], {}, "")] for args in (first, second)]
    if slugs[0] == slugs[1] and empties[0] == empties[1]:
        assert repr(first) == repr(second)


def test_an_ir_carries_its_holes() -> None:
    carried = with_holes(ir(), [hole(None)])
    assert carried is not None
    assert [h.identifier for h in carried.holes] == ["h"]
    assert with_holes(None, [hole(None)]) is None


def test_no_shipped_spec_contradicts_itself(sandbox: Sandbox) -> None:
    for task in load_tasks(DATASETS / "train.jsonl"):
        view = TaskView(spec=task.spec, entry_point=task.entry_point, visible=task.visible)
        attempt = Attempt(index=0, code=task.reference_code, ir=task.gold_ir)
        kinds = [h.kind for h in open_questions([attempt], attempt, Draw(view, 1, sandbox))]
        assert set(kinds) <= {"edge_case"}, task.id
