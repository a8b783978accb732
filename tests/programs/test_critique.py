"""The critic that looks at executed facts, and the rule of blame, on the real sandbox."""

from __future__ import annotations

import pytest

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.assertions import held_assertions
from lift_sys.tasks import Case
from programs.critique import (
    BLAME,
    MAX_ISSUES,
    Contradiction,
    Facts,
    Issue,
    blame,
    facts_of,
    issues_of,
    listed,
)

GOOD = "def double(x):\n    return 2 * x"
SAME = "def double(x):\n    return x"
BROKEN = "def double(x:"
STATED = (Case(args="(3,)", expected="6"),)


def ir(*derived: str) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="Doubles"),
        signature=FunctionSignature(name="double", parameters=(Parameter(name="x", type_hint=""),)),
        assertions=tuple(Assertion(predicate=p) for p in derived),
    )


def facts(
    sandbox: Sandbox,
    code: str,
    derived: list[str] | None,
    stated: tuple[Case, ...] = (),
    *,
    shown: bool = True,
) -> Facts:
    written = None if derived is None else ir(*derived)
    held = held_assertions(code, "double", written, stated, sandbox)
    return facts_of(written, stated, held, shown=shown)


@pytest.mark.parametrize(
    ("code", "derived", "stated", "shown", "expected"),
    [
        # Without an IR, or where nothing holds.
        (SAME, None, STATED, True, "code"),
        (BROKEN, ["double(3) == 3"], STATED, True, "code"),
        (BROKEN, ["double(1) == 2", "double(1) == 3"], (), True, "code"),
        (SAME, ["double(1) == 2"], (), True, "code"),
        # Something stated fails.
        (SAME, ["double(0) == 0"], STATED, True, "code"),
        (SAME, ["double(3) == 3"], STATED, True, "ir"),
        (SAME, ["double(3) == 3"], STATED, False, "code"),
        (SAME, ["double(3) == 9", "double(0) == 0"], STATED, True, "code"),
        (SAME, ["double(1) == 1", "double(1) == 2"], STATED, True, "code"),
        # A contradiction inside the IR, or with what is stated.
        (GOOD, ["double(1) == 2", "double(1) == 3"], (), True, "ir"),
        (SAME, ["double(1) == 2", "double(1) == 3", "double(0) == 0"], (), True, "ir"),
        (GOOD, ["double(3) == 7"], STATED, False, "ir"),
        # Only derived ones fail, and something stated held.
        (GOOD, ["double(1) == 3", "double(2) == 5", "double(4) == 9"], STATED, True, "ir"),
        # Only derived ones fail, and nothing is stated.
        (GOOD, ["double(1) == 2", "double(2) == 5"], (), True, "ir"),
        (SAME, ["double(0) == 0", "double(1) == 2", "double(2) == 4"], (), True, "code"),
        (SAME, ["double(0) == 0", "double(1) == 2", "result == 2 * x"], (), False, "code"),
        # Nothing can be executed.
        (GOOD, ["it doubles"], (), True, "ir"),
        (GOOD, [], (), True, "ir"),
    ],
)
def test_who_is_to_blame(
    sandbox: Sandbox,
    code: str,
    derived: list[str] | None,
    stated: tuple[Case, ...],
    shown: bool,
    expected: str,
) -> None:
    assert blame(facts(sandbox, code, derived, stated, shown=shown)) == expected
    assert BLAME["blamed"](facts(sandbox, code, derived, stated, shown=shown)) == expected


def test_blame_can_be_fixed(sandbox: Sandbox) -> None:
    known = facts(sandbox, SAME, ["double(3) == 3"], STATED)
    assert {name: BLAME[name](known) for name in ("ir", "code")} == {"ir": "ir", "code": "code"}


@pytest.mark.parametrize(
    ("derived", "stated", "expected"),
    [
        (["double(1) == 2", "double(2) == 4"], STATED, []),
        (["double(1) == 2", "2 == double(x=1)"], (), []),
        (["double(1) == 2", "double(1) == 2.0"], (), []),
        (["double(1) == 2", "double(True) == 3"], (), []),
        (
            ["double(1) == 2", "double(1) == 3"],
            (),
            [Contradiction("double(1) == 2", "double(1) == 3", stated=False)],
        ),
        (
            ["double(3) == 7", "double(3) == 8", "double(3) == 6"],
            STATED,
            [
                Contradiction("double(3) == 7", "double(3) == 6", stated=True),
                Contradiction("double(3) == 8", "double(3) == 6", stated=True),
            ],
        ),
        (
            ["double(None) == 0"],
            (Case(args="(None,)", raises="TypeError"),),
            [Contradiction("double(None) == 0", "double(None) raises TypeError", stated=True)],
        ),
        (["double(0.1) == 0.2"], (Case(args="(0.1,)", expected="0.2000001", tolerance=1e-3),), []),
        (["double(3) > 7", "double(3) < 6"], STATED, []),
    ],
)
def test_contradictions(
    derived: list[str], stated: tuple[Case, ...], expected: list[Contradiction]
) -> None:
    assert list(facts_of(ir(*derived), stated, (), shown=True).contradictions) == expected


def texts(issues: tuple[Issue, ...]) -> list[tuple[str, str]]:
    return [(issue.category, issue.description) for issue in issues]


def test_code_is_told_what_it_returned_instead(sandbox: Sandbox) -> None:
    known = facts(sandbox, SAME, ["double(1) == 2", "result == 2 * x"], STATED)
    assert texts(issues_of(known, "code")) == [
        ("failed_assertion", "double(3) == 6 does not hold (expected 6, got 3)")
    ]
    unstated = facts(sandbox, SAME, ["double(1) == 2", "result == 2 * x"])
    assert texts(issues_of(unstated, "code")) == [
        ("failed_assertion", "double(1) == 2 does not hold (expected 2, got 1)"),
        (
            "failed_assertion",
            "result == 2 * x does not hold (false of the arguments (1,), got 1)",
        ),
    ]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def double(x):\n    return x.y", "raised AttributeError: 'int' object has no attribute"),
        (BROKEN, "'(' was never closed"),
        ("def other(x):\n    return x", "the code defines no 'double' at module level"),
    ],
)
def test_one_cause_is_one_issue(sandbox: Sandbox, code: str, says: str) -> None:
    stated = tuple(Case(args=f"({n},)", expected=str(2 * n)) for n in range(MAX_ISSUES + 3))
    (issue,) = issues_of(facts(sandbox, code, None, stated), "code")
    assert says in issue.description
    assert issue.description.startswith("double(0) == 0, double(1) == 2, ")
    assert issue.description.count("==") == MAX_ISSUES


def test_the_ir_is_told_what_contradicts_what_fails_and_what_cannot_run(sandbox: Sandbox) -> None:
    derived = ["double(3) == 7", "double(1) == 3", "it doubles", "double(0) == 0"]
    known = facts(sandbox, GOOD, derived, STATED)
    assert texts(issues_of(known, "ir")) == [
        (
            "contradiction",
            "double(3) == 7 contradicts double(3) == 6, which the specification states",
        ),
        ("failed_assertion", "double(1) == 3 does not hold (expected 3, got 2)"),
        ("informal_assertion", "it doubles cannot be executed (not a Python expression)"),
    ]


def test_nothing_is_found_where_nothing_is_wrong(sandbox: Sandbox) -> None:
    right = facts(sandbox, GOOD, ["double(1) == 2"], STATED)
    assert issues_of(right, "ir") == issues_of(right, "code") == ()
    assert issues_of(facts(sandbox, SAME, None, STATED), "ir") == ()


def test_issues_are_bounded(sandbox: Sandbox) -> None:
    stated = tuple(Case(args=f"({n},)", expected=str(2 * n)) for n in range(1, 20))
    assert len(issues_of(facts(sandbox, SAME, None, stated), "code")) == MAX_ISSUES


def test_a_model_reads_each_issue_with_its_fix() -> None:
    issue = Issue(category="order", description="bool after int", fix="check bool first")
    assert listed([issue, issue]) == "\n".join(["- bool after int: check bool first"] * 2)
