"""Probe inputs: which are chosen, in what order, and never too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.literals import parse_literal
from lift_sys.tasks import Case, TaskView
from programs.probes import MAX_KNOWN, MAX_PROBES, probe_inputs, values_for

VISIBLE = (Case(args="(7, 'x')", expected="1"), Case(args="(8, 'y')", raises="ValueError"))


def view(*visible: Case) -> TaskView:
    return TaskView(spec="s", entry_point="f", visible=visible)


def ir(*hints: str, assertions: tuple[str, ...] = ()) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="s"),
        signature=FunctionSignature(
            name="f",
            parameters=tuple(Parameter(name=f"p{i}", type_hint=h) for i, h in enumerate(hints)),
        ),
        assertions=tuple(Assertion(predicate=p) for p in assertions),
    )


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        ("int", [0, 1, -1, 2, 10]),
        ("str", ["", "a", "Ab c", "12", "abba"]),
        ("string", ["", "a", "Ab c", "12", "abba"]),
        ("bool", [True, False]),
        ("None", [None]),
        ("bool | None", [True, False, None]),
        ("list[int]", [[], [1], [-1, 0, 1], [1, 1, 2], [10, 2, -1, 1, 0]]),
        ("list", [[], [1], [-1, 0, 1], [1, 1, 2], [10, 2, -1, 1, 0]]),
        ("set[bool]", [set(), {False}, {True, False}]),
        ("frozenset[None]", [frozenset(), frozenset({None})]),
        ("tuple[int, bool]", [(0, True), (1, False), (-1, True), (2, False), (10, True)]),
        ("tuple[bool]", [(True,), (False,)]),
        ("tuple[bool, ...]", [(), (False,), (True, True, False), (False,) * 3]),
        ("dict[str, bool]", [{}, {"a": False}, {"Ab c": False, "": True, "a": True}]),
        ("object", []),
        ("Any", []),
        ("list[Any]", []),
        ("callable thing", []),
    ],
)
def test_the_values_of_a_type(hint: str, values: list[object]) -> None:
    made = [parse_literal(text) for text in values_for(hint)]

    assert made[: len(values)] == values
    assert bool(made) == bool(values)


def test_known_inputs_come_first_and_each_once() -> None:
    assertions = ("f(3, 'z') == 2", "f(7, 'x') == 1", "result > 0", "it works")
    probes = probe_inputs(view(*VISIBLE), ir("int", "str", assertions=assertions), "")

    assert probes[:3] == ("(7, 'x')", "(8, 'y')", "(3, 'z')")
    assert len(set(probes)) == len(probes) == MAX_PROBES


def test_many_known_inputs_leave_room_for_generated_ones() -> None:
    cases = [Case(args=f"({n},)", expected="0") for n in range(100, 130)]
    probes = probe_inputs(view(*cases), ir("int"), "")

    assert len(probes) == MAX_KNOWN + 5
    assert probes[MAX_KNOWN:] == ("(0,)", "(1,)", "(-1,)", "(2,)", "(10,)")


def test_pairs_of_values_meet_early() -> None:
    probes = [parse_literal(args) for args in probe_inputs(view(), ir("int", "int"), "")]

    assert probes[:6] == [(0, 0), (1, 1), (-1, -1), (2, 2), (10, 10), (0, 1)]
    assert len(probes) == MAX_PROBES


@pytest.mark.parametrize(
    ("hints", "cases", "expected"),
    [
        ((), (), ["()"]),
        (("object",), (), []),
        (
            ("bool", "object"),
            VISIBLE,
            ["(True, 'x')", "(False, 'y')", "(True, 'y')", "(False, 'x')"],
        ),
        (("bool", "bool", "object"), VISIBLE, []),
        (("set[list[int]]",), (), ["(set(),)"]),
    ],
)
def test_an_unknown_type_takes_the_values_that_were_seen(
    hints: tuple[str, ...], cases: tuple[Case, ...], expected: list[str]
) -> None:
    assert list(probe_inputs(view(*cases), ir(*hints), "")[len(cases) :]) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(x: bool):\n    return x", ("(True,)", "(False,)")),
        ("def f():\n    return 1", ("()",)),
        ("def f(x):\n    return x", ()),
        ("def g(x: bool):\n    return x", ()),
        ("def f(x: bool", ()),
    ],
)
def test_without_an_ir_the_codes_annotations_are_read(code: str, expected: tuple[str, ...]) -> None:
    assert probe_inputs(view(), None, code) == expected


HINTS = st.recursive(
    st.sampled_from(["int", "str", "float", "bool", "bytes", "None", "object", "whatever"]),
    lambda inner: st.one_of(
        st.builds("list[{}]".format, inner),
        st.builds("dict[{}, {}]".format, inner, inner),
        st.builds("tuple[{}, {}]".format, inner, inner),
        st.builds("set[{}] | None".format, inner),
    ),
)


@given(st.lists(HINTS, max_size=4))
def test_any_hints_give_few_short_argument_tuples(hints: list[str]) -> None:
    probes = probe_inputs(view(), ir(*hints), "")

    assert probes == probe_inputs(view(), ir(*hints), "")
    assert len(set(probes)) == len(probes) <= MAX_PROBES
    assert all(len(parse_literal(args)) == len(hints) for args in probes)
    assert all(len(args) < 100_000 for args in probes)
