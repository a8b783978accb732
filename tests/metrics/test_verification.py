"""Verification: true tasks pass, and each way in which a task can be false is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lift_sys.ir.models import SpecIR
from lift_sys.sandbox import Sandbox, create_sandbox
from lift_sys.tasks import Case, Task
from metrics import verification
from metrics.mutants import Mutant
from metrics.verification import check_task, same_behaviour

GOLD: dict[str, Any] = {
    "intent": {"summary": "Say whether a number is small"},
    "signature": {
        "name": "is_small",
        "parameters": [{"name": "n", "type_hint": "int"}],
        "returns": "bool",
    },
    "effects": [{"description": "return True if n < 10, else False"}],
    "assertions": [
        {"predicate": "is_small(9) == True", "provenance": "stated"},
        {"predicate": "result in (True, False)", "provenance": "derived"},
    ],
}
CODE = "def is_small(n):\n    return n < 10\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    running = create_sandbox(workers=2)
    yield running
    running.close()


def task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": "is_small",
        "spec": "Tell whether a number is below 10.",
        "entry_point": "is_small",
        "category": "control_flow",
        "split": "train",
        "source": "test",
        "visible": (Case(args="(3,)", expected="True"),),
        "hidden": (Case(args="(9,)", expected="True"), Case(args="(10,)", expected="False")),
        "reference_code": CODE,
        "gold_ir": SpecIR.model_validate(GOLD),
    }
    return Task.model_validate({**fields, **changes})


def gold_with(predicate: str) -> SpecIR:
    assertions = [{"predicate": predicate, "provenance": "derived"}]
    return SpecIR.model_validate({**GOLD, "assertions": assertions})


def test_a_true_task_has_no_problems(sandbox: Sandbox) -> None:
    checked = check_task(task(), sandbox, {})

    assert checked.problems == ()
    assert checked.mutants == checked.killed == 5
    assert checked.decisive


def test_a_task_without_a_reference_has_nothing_to_run(sandbox: Sandbox) -> None:
    assert check_task(task(reference_code=None), sandbox, {}).problems == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"hidden": (Case(args="(9,)", expected="False"), Case(args="(10,)", expected="False"))},
            "the reference fails is_small(9) == False: expected False, got True",
        ),
        (
            {"visible": (Case(args="(3,)", raises="ValueError"),)},
            "the reference fails is_small(3) raises ValueError",
        ),
        ({"reference_code": "def is_small(n:\n"}, "the reference cannot run"),
        ({"reference_code": "def is_tiny(n):\n    return n < 10\n"}, "the reference cannot run"),
        ({"gold_ir": gold_with("is_small(10) == True")}, "is_small(10) == True is false"),
        ({"gold_ir": gold_with("result == True")}, "does not hold for is_small(10) == False"),
        ({"gold_ir": gold_with("n is small")}, "cannot be executed"),
        (
            {"visible": (Case(args="(3,)", expected="[" * 120 + "]" * 120),)},
            "no answer can carry",
        ),
        (
            {"weak_tests": "def lift_weak_check():\n    assert is_small(12)"},
            "the reference fails: 2 of 3 hidden cases passed",
        ),
    ],
)
def test_each_problem_is_found(sandbox: Sandbox, changes: dict[str, Any], problem: str) -> None:
    problems = check_task(task(**changes), sandbox, {}).problems

    assert len(problems) >= 1
    assert problem in problems[0]


def test_every_problem_of_a_task_is_listed(sandbox: Sandbox) -> None:
    wrong = (Case(args="(9,)", expected="False"), Case(args="(10,)", expected="True"))

    assert len(check_task(task(hidden=wrong), sandbox, {}).problems) == 2


def test_a_gold_ir_of_another_function_is_found(sandbox: Sandbox) -> None:
    changed = task(
        id="x", entry_point="is_tiny", reference_code=CODE.replace("is_small", "is_tiny")
    )

    assert "names the function 'is_small'" in check_task(changed, sandbox, {}).problems[0]


def test_mutants_that_no_hidden_case_notices_are_named(sandbox: Sandbox) -> None:
    far = (Case(args="(5,)", expected="True"), Case(args="(50,)", expected="False"))
    checked = check_task(task(hidden=far), sandbox, {})

    assert checked.survivors == ("2: n < 10 -> n <= 10", "2: 10 -> 11", "2: 10 -> 9")
    assert not checked.decisive


def test_equivalent_mutants_do_not_count(sandbox: Sandbox) -> None:
    code = "def is_small(n):\n    return min(n, 20) < 10\n"
    name = "2: 20 -> 21"
    without = check_task(task(reference_code=code), sandbox, {})
    listed = check_task(task(reference_code=code), sandbox, {name: "both are above 10"})

    assert name in without.survivors
    assert name not in listed.survivors
    assert listed.mutants == without.mutants - 1


def test_a_mutant_that_is_noticed_or_unknown_cannot_be_listed(sandbox: Sandbox) -> None:
    listed = {"2: 10 -> 11": "wrong", "2: 10 -> 12": "unknown"}

    problems = check_task(task(), sandbox, listed).problems

    assert len(problems) == 2
    assert "no mutant '2: 10 -> 12'" in problems[0]
    assert "notices '2: 10 -> 11'" in problems[1]


def test_a_mutant_that_hangs_is_noticed(sandbox: Sandbox) -> None:
    code = "def is_small(n):\n    while n < 5:\n        n += 1\n    return n < 10\n"
    hidden = (
        *task().hidden,
        Case(args="(4,)", expected="True"),
        Case(args="(5,)", expected="True"),
    )

    assert (
        "3: n + 1 -> n - 1"
        not in check_task(task(reference_code=code, hidden=hidden), sandbox, {}).survivors
    )


def test_tasks_that_behave_the_same_are_found(sandbox: Sandbox) -> None:
    twin = task(
        id="below_ten",
        entry_point="below_ten",
        spec="Is it under ten?",
        reference_code="def below_ten(n):\n    return not n >= 10\n",
    )
    other = task(
        id="is_odd",
        entry_point="is_odd",
        reference_code="def is_odd(n):\n    return n % 2 == 1\n",
        visible=(Case(args="(3,)", expected="True"),),
        hidden=(Case(args="(9,)", expected="True"), Case(args="(10,)", expected="False")),
    )

    assert same_behaviour([task(), twin], sandbox) == [("is_small", "below_ten")]
    # the cases of both agree, but not on every shared input
    far = other.model_copy(update={"visible": (Case(args="(11,)", expected="True"),)})
    assert same_behaviour([task(), far], sandbox) == []


@pytest.mark.parametrize(("missed", "enough"), [(0, True), (1, True), (2, False)])
def test_nine_of_ten_mutants_are_enough(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, missed: int, enough: bool
) -> None:
    codes = [CODE] * missed + ["def is_small(n):\n    return None"] * (10 - missed)
    mutants = [Mutant(description=str(i), code=code) for i, code in enumerate(codes)]
    monkeypatch.setattr(verification, "make_mutants", lambda _: mutants)

    checked = check_task(task(), sandbox, {})

    assert checked.killed == 10 - missed
    assert checked.decisive is enough
