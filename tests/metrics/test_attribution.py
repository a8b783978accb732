"""Attribution: the table decides, the facts come from the real sandbox."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, Task
from metrics import attribution
from metrics.attribution import Attribution, Blame, Facts, attribute, decide, observe, rates

WORDS = {"yes": True, "no": False, "unknown": None}


def documented() -> dict[tuple[bool | None, bool | None, bool | None], str]:
    """Read the table of the module's docstring."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (attribution.__doc__ or "").splitlines()
        if line.startswith("|")
    ]
    return {
        (WORDS[row[0]], WORDS[row[1]], heals): decision
        for row in rows[2:]
        for heals, decision in zip((True, False, None), row[2:], strict=True)
    }


def test_every_combination_is_documented_and_decided_so() -> None:
    table = documented()
    every = itertools.product((True, False, None), repeat=3)
    found = {c: decide(Facts(ir_true=c[0], code_obeys=c[1], gold_heals=c[2])) for c in every}

    assert found == table
    assert len(table) == 27


def test_another_reading_is_the_specs_fault_only_where_the_table_is_left() -> None:
    for true, obeys, heals in itertools.product((True, False, None), repeat=3):
        facts = Facts(ir_true=true, code_obeys=obeys, gold_heals=heals, other_reading=True)
        assert (decide(facts) is Blame.SPEC) == (true is False and heals is False)


def ir(*predicates: str, stated: tuple[str, ...] = ()) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="Clips x at 10"),
        signature=FunctionSignature(name="f", parameters=(Parameter(name="x", type_hint="int"),)),
        assertions=(
            *(Assertion(predicate=p, provenance="stated") for p in stated),
            *(Assertion(predicate=p) for p in predicates),
        ),
    )


def task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": "clip", "spec": "Return x, at most 10.", "entry_point": "f", "category": "math",
        "split": "train", "source": "test", "visible": (Case(args="(3,)", expected="3"),),
        "hidden": (Case(args="(12,)", expected="10"), Case(args="(-1,)", expected="-1")),
        "reference_code": "def f(x):\n    return min(x, 10)",
        "gold_ir": ir("f(11) == 10"),
    }  # fmt: skip
    return Task.model_validate({**fields, **changes})


NEVER = "def f(x):\n    return x"
ZERO = "def f(x):\n    return 0"
BARE: dict[str, Any] = {"reference_code": None, "gold_ir": None}


@pytest.mark.parametrize(
    ("changes", "made", "code", "expected"),
    [
        ({}, ir("f(20) == 10"), NEVER, (True, False)),
        ({}, ir("f(9) == 9"), NEVER, (True, True)),
        ({}, ir("f(20) == 20"), NEVER, (False, True)),
        ({}, ir("f(20) == 20"), ZERO, (False, False)),
        ({}, ir("result == x"), NEVER, (True, True)),
        ({}, ir(), NEVER, (None, True)),
        ({}, ir("it clips"), ZERO, (None, False)),
        ({}, None, None, (False, None)),
        ({}, None, NEVER, (None, None)),
        ({}, ir("f(20) == 10"), None, (True, False)),
        ({"reference_code": None}, ir("f(11) == 11"), NEVER, (False, True)),
        ({"reference_code": None}, ir("f(11) == 10"), NEVER, (None, True)),
        (BARE, ir("f(11) == 10"), NEVER, (None, True)),
        (BARE, ir("f(11) == 10", stated=("f(9) == 9",)), ZERO, (None, False)),
        ({**BARE, "visible": ()}, ir("f(11) == 10"), NEVER, (None, None)),
    ],
)
def test_the_facts(
    sandbox: Sandbox,
    changes: dict[str, Any],
    made: SpecIR | None,
    code: str | None,
    expected: tuple[bool | None, bool | None],
) -> None:
    found = observe(task(**changes), made, code, sandbox)

    assert (found.ir_true, found.code_obeys) == expected


@pytest.mark.parametrize(
    ("gold", "made", "other"),
    [
        (ir("f(4) == 4"), ir("f(20) == 20"), True),
        (ir("f(11) == 10"), ir("f(20) == 20"), False),
        (ir("f(4) == 4"), ir("f(20) == 10"), False),
        (None, ir("f(20) == 20"), False),
    ],
)
def test_another_reading_fits_all_that_is_explicit(
    sandbox: Sandbox, gold: SpecIR | None, made: SpecIR, other: bool
) -> None:
    assert observe(task(gold_ir=gold), made, NEVER, sandbox).other_reading is other


@pytest.mark.parametrize(
    ("made", "heals", "blame"),
    [
        (ir("f(20) == 10"), None, Blame.CODE),
        (ir("f(20) == 20"), None, Blame.IR),
        (ir("f(20) == 20"), True, Blame.IR),
        (ir("f(20) == 20"), False, Blame.BOTH),
        (ir(), True, Blame.IR),
        (ir(), False, Blame.CODE),
        (ir(), None, Blame.UNKNOWN),
    ],
)
def test_whose_fault_it_is(
    sandbox: Sandbox, made: SpecIR, heals: bool | None, blame: Blame
) -> None:
    found = attribute(task(), made, NEVER, sandbox, heals)

    assert (found.task_id, found.blame, found.facts.gold_heals) == ("clip", blame, heals)


def test_the_rates_are_of_all_failures() -> None:
    blames = [Blame.IR, Blame.IR, Blame.UNKNOWN]
    found = rates(Attribution(task_id="t", blame=b, facts=Facts()) for b in blames)

    assert {b: (r.passed, r.total) for b, r in found.items()} == {
        Blame.IR: (2, 3), Blame.CODE: (0, 3), Blame.BOTH: (0, 3), Blame.SPEC: (0, 3),
        Blame.UNKNOWN: (1, 3),
    }  # fmt: skip
