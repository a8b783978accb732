"""A task that cannot be judged is refused, and programs see no hidden case."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from lift_sys.literals import parse_literal
from lift_sys.tasks import Case, Task, TaskView

GOOD: dict[str, Any] = {
    "id": "double",
    "spec": "Double a number.",
    "entry_point": "double",
    "category": "arithmetic",
    "split": "train",
    "source": "test",
    "visible": [{"args": "(1,)", "expected": "2"}],
    "hidden": [{"args": "(77,)", "expected": "154"}, {"args": "('x',)", "raises": "TypeError"}],
    "reference_code": "def double(x):\n    return x + x  # secret\n",
}


def _reachable(kind: Any, seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return every model that a type's fields lead to."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        for field in kind.model_fields.values():
            _reachable(field.annotation, seen)
    for part in typing.get_args(kind):
        _reachable(part, seen)
    return seen


def test_a_view_has_no_place_for_hidden_cases() -> None:
    assert _reachable(TaskView, set()) == {TaskView, Case}
    assert set(TaskView.model_fields) == {"spec", "entry_point", "visible"}
    task = Task.model_validate(GOOD)
    assert task.view.visible == task.visible
    for dump in (task.view.model_dump_json(), repr(task.view), repr(vars(task.view))):
        assert "77" not in dump
        assert "TypeError" not in dump
        assert "secret" not in dump
    with pytest.raises(ValidationError, match="Extra inputs"):
        TaskView.model_validate({"spec": "s", "hidden": GOOD["hidden"]})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"args": "(1,)"}, "exactly one"),
        ({"args": "(1,)", "expected": "1", "raises": "ValueError"}, "exactly one"),
        ({"args": "[1]", "expected": "1"}, "not the literal of a tuple"),
        ({"args": "1", "expected": "1"}, "one argument is written"),
        ({"args": "(x,)", "expected": "1"}, "not a Python literal"),
        ({"args": "()", "expected": "f()"}, "not a Python literal"),
        ({"args": "()", "expected": "1", "args_after": "[1]"}, "not the literal of a tuple"),
        ({"args": "()", "expected": "1", "why": ""}, "Extra inputs"),
        ({"expected": "1"}, "Field required"),
    ],
)
def test_a_case_that_cannot_be_checked_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Case.model_validate(fields)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (Case(args="()", expected="None"), "f() == None"),
        (Case(args="(1, 'a')", expected="[1]"), "f(1, 'a') == [1]"),
        (Case(args="('',)", raises="ValueError"), "f('') raises ValueError"),
        (Case(args="(float('nan'), -1)", expected="set()"), "f(float('nan'), -1) == set()"),
        (Case(args="(Decimal('1.5'),)", expected="1"), "f(Decimal('1.5')) == 1"),
        (Case(args="(date(2024, 2, 29),)", expected="1"), "f(date(2024, 2, 29)) == 1"),
    ],
)
def test_a_case_reads_as_python_whose_arguments_are_literals(case: Case, text: str) -> None:
    assert case.render("f") == text
    inside = text[len("f(") : text.rindex(")", 0, text.rindex(" ", 0, text.rindex(" ")))]
    assert repr(parse_literal(f"({inside},)" if inside else "()")) == repr(parse_literal(case.args))


def test_the_content_hash_follows_every_field() -> None:
    base = Task.model_validate(GOOD)
    changes = {
        "spec": "s",
        "entry_point": "e",
        "category": "c",
        "split": "dev",
        "visible": [],
        "hidden": GOOD["hidden"][:1],
        "reference_code": None,
        "tags": ["t"],
    }
    hashes = {Task.model_validate(GOOD | {k: v}).content_hash for k, v in changes.items()}
    assert len(hashes | {base.content_hash}) == len(changes) + 1
    assert Task.model_validate(GOOD).content_hash == base.content_hash


WEAK = "def lift_weak_check():\n    for i in (1, 2):\n        assert double(i) > i\n    assert 1"


def test_weak_tests_may_take_the_place_of_hidden_cases() -> None:
    task = Task.model_validate(GOOD | {"hidden": [], "weak_tests": WEAK})
    assert (task.strong, task.weak_count) == (False, 2)
    assert "lift_weak_check" not in task.view.model_dump_json()
    assert Task.model_validate(GOOD).strong
    with pytest.raises(ValidationError, match="give hidden cases"):
        Task.model_validate(GOOD | {"hidden": []})


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def lift_weak_check(:", "not Python"),
        ("def lift_weak_check():\n    from math import *\n    assert 1", "not Python"),
        ("def other():\n    assert 1", "must define lift_weak_check"),
        ("def lift_weak_check():\n    pass", "assert something"),
        ("", "must define lift_weak_check"),
    ],
)
def test_weak_tests_that_decide_nothing_are_refused(code: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Task.model_validate(GOOD | {"weak_tests": code})
