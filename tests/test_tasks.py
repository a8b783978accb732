"""Task files: what is wrong is named by file, line and field, and programs see no hidden case."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from lift_sys.errors import DatasetError
from lift_sys.literals import parse_literal
from lift_sys.tasks import Case, Task, TaskView, load_tasks

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


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(**changes: Any) -> str:
    return json.dumps(GOOD | changes, ensure_ascii=False)


def test_tasks_are_read_in_order_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    path = _write(tmp_path / "t.jsonl", _line(), "", _line(id="second", split="dev"))
    tasks = load_tasks(path)
    assert [(t.id, t.split) for t in tasks] == [("double", "train"), ("second", "dev")]
    assert tasks[0] == Task.model_validate(GOOD)


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0c", "\x1c", "\r"])
def test_only_a_newline_ends_a_line(tmp_path: Path, character: str) -> None:
    spec = f"Split at {character} please."
    line = json.dumps(GOOD | {"spec": spec}, ensure_ascii=character < " ")
    (task,) = load_tasks(_write(tmp_path / "t.jsonl", line))
    assert task.spec == spec


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(f"{_line()}\r\n{_line(id='b')}\r\n".encode())
    assert [t.id for t in load_tasks(path)] == ["double", "b"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (_line()[:-3], r"line 2: not valid JSON"),
        ("[" * 100_000, r"line 2: not valid JSON"),
        ("3", r"line 2, field the object: "),
        (_line(spec=None), r"line 2, field spec: "),
        (json.dumps({k: v for k, v in GOOD.items() if k != "hidden"}), r"line 2, field hidden: "),
        (_line(extra=1), r"line 2, field extra: Extra inputs"),
        (_line(split="validation"), r"line 2, field split: "),
        (_line(entry_point="two words"), r"line 2, field entry_point: .*not a Python identifier"),
        (_line(difficulty="hard"), r"line 2, field difficulty: "),
        (_line(hidden=[{"args": "(1,)"}]), r"line 2, field hidden\.0: .*exactly one"),
        (_line(hidden=[{"args": "1", "expected": "1"}]), r"field hidden\.0\.args: .*tuple"),
        (_line(visible=[{"args": "(f(1),)", "expected": "1"}]), r"field visible\.0\.args: "),
        (_line(hidden=[{"args": "()", "expected": "x"}]), r"field hidden\.0\.expected: .*literal"),
        (_line(gold_ir={"intent": {}}), r"line 2, field gold_ir\.intent\.summary: "),
        (_line(), r"line 2: id 'double' is already used on line 1"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = _write(tmp_path / "broken.jsonl", _line(), line)
    with pytest.raises(DatasetError, match=says) as caught:
        load_tasks(path)
    assert str(caught.value).startswith(f"{path}, line 2")
    assert "\n" not in str(caught.value)


def test_a_file_without_tasks_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "empty.jsonl", "", " ")
    with pytest.raises(DatasetError, match=r"empty\.jsonl holds no tasks"):
        load_tasks(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read the task file .*missing\.jsonl"):
        load_tasks(tmp_path / "missing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff")
    with pytest.raises(DatasetError, match=r"cannot read the task file .*latin\.jsonl"):
        load_tasks(tmp_path / "latin.jsonl")


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
