"""Where extracted constraints go: assertions, cases, hints; and what contradicts."""

from __future__ import annotations

import pytest

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.knowledge.constraints import Extraction, extract
from lift_sys.tasks import Case
from programs.stated import (
    MAX_HINT_CHARS,
    MAX_HINTS,
    contradictions,
    stated_cases,
    with_hints,
    with_stated,
)

SIGNATURE = FunctionSignature(name="f", parameters=(Parameter(name="x", type_hint="int"),))
IR = SpecIR(
    intent=Intent(summary="Squares"),
    signature=SIGNATURE,
    assertions=(Assertion(predicate="f(3) == 9"), Assertion(predicate="f(4) == 16")),
)
VISIBLE = (Case(args="(1,)", expected="1"),)


def stated_in(spec: str, visible: tuple[Case, ...] = ()) -> SpecIR:
    return with_stated(IR, visible, extract(spec, "f", SIGNATURE))


def test_nothing_extracted_changes_nothing() -> None:
    assert with_stated(IR, (), Extraction()) == IR
    assert with_hints("Squares x.", Extraction()) == "Squares x."
    assert stated_cases(VISIBLE, Extraction()) == VISIBLE


def test_examples_and_properties_come_first_as_stated_and_only_once() -> None:
    found = stated_in("so that 3 gives 9. The result is never negative; f(1) is 1.", VISIBLE)

    assert [(a.predicate, a.provenance) for a in found.assertions] == [
        ("f(1) == 1", "stated"),
        ("f(3) == 9", "stated"),
        ("result >= 0", "stated"),
        ("f(4) == 16", "derived"),
    ]


def test_a_contradiction_within_the_text_states_nothing_until_a_case_settles_it() -> None:
    spec = "f(2) == 4. But f(2) == 5."
    found = extract(spec, "f", SIGNATURE)

    (against,) = contradictions("f", (), found)
    assert (against.args, against.first, against.second) == ("(2,)", "f(2) == 4", "f(2) == 5")
    assert [a.provenance for a in stated_in(spec).assertions] == ["derived", "derived"]
    assert contradictions("f", (Case(args="(2,)", expected="4"),), found) == ()


@pytest.mark.parametrize(
    "case", [Case(args="(1,)", expected="1"), Case(args="( 1,)", raises="OSError")]
)
def test_a_case_stands_where_the_text_says_something_else(case: Case) -> None:
    spec = "f(1) == 2. f(2) == 4."
    extraction = extract(spec, "f", SIGNATURE)

    assert "f(1) == 2" not in [a.predicate for a in stated_in(spec, (case,)).assertions]
    assert [c.first for c in contradictions("f", (case,), extraction)] == ["f(1) == 2"]
    cases = stated_cases((case,), extraction)
    assert [c.args for c in cases] == [case.args, "(2,)"]


def test_examples_that_raise_are_cases_and_no_assertions() -> None:
    spec = "f(-1) raises ValueError."
    assert stated_in(spec).assertions == IR.assertions
    assert [c.raises for c in stated_cases((), extract(spec, "f"))] == ["ValueError"]


def test_hints_are_labelled_and_few() -> None:
    spec = "Check them in\nthis order. Anything else gives x." + " Between 1 and 2." * MAX_HINTS
    text = with_hints(spec, extract(spec, "f"))
    label, *hints = text.removeprefix(spec + "\n").splitlines()

    assert label == "Hints from the text, not checked:"
    assert hints[0] == "- an order: Check them in this order"
    assert 2 <= len(hints) <= MAX_HINTS


def test_long_hints_are_left_out() -> None:
    spec = "In this order, " + "a " * MAX_HINT_CHARS
    assert with_hints(spec, extract(spec, "f")) == spec
