"""Task files: what is wrong is named by file, line and field; what is written is read back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import DatasetError
from lift_sys.ir.models import SpecIR
from lift_sys.literals import write_literal
from lift_sys.tasks import Case, Task, dump_tasks, load_tasks, write_tasks

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

GOLD: dict[str, Any] = {"intent": {"summary": "Doubles"}, "signature": {"name": "double"}}


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
        (_line(gold_ir={**GOLD, "intent": {}}), r"line 2, field gold_ir\.intent\.summary: "),
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


def test_every_broken_line_is_listed(tmp_path: Path) -> None:
    lines = [_line(), _line(), _line(id="b", spec=3), "{", *[_line(id="c", split="x")] * 30]
    with pytest.raises(DatasetError) as caught:
        load_tasks(_write(tmp_path / "t.jsonl", *lines))
    said = str(caught.value).split("\n  ")
    assert said[0] == "33 things are wrong:"
    assert "line 2: id 'double' is already used on line 1" in said[1]
    assert "line 3, field spec: " in said[2]
    assert "line 4: not valid JSON" in said[3]
    assert "line 5, field split: " in said[4]
    assert said[-1] == "and 13 more"
    assert len(said) == 22


def test_a_compressed_file_is_read_and_a_cut_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(f"{_line()}\n".encode()))
    assert [t.id for t in load_tasks(path)] == ["double"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match="cannot read the task file"):
        load_tasks(path)


def test_written_lines_are_canonical(tmp_path: Path) -> None:
    task = Task.model_validate(GOOD | {"spec": "Übe\n\u2028.", "visible": []})
    path = write_tasks(tmp_path / "t.jsonl", [task])
    assert path.read_text(encoding="utf-8") == (
        '{"id": "double", "spec": "Übe\\n\u2028.", "entry_point": "double", '
        '"category": "arithmetic", "difficulty": 2, "split": "train", "source": "test", '
        '"hidden": [{"args": "(77,)", "expected": "154"}, {"args": "(\'x\',)", '
        '"raises": "TypeError"}], '
        '"reference_code": "def double(x):\\n    return x + x  # secret\\n"}\n'
    )


_values = st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
_literals = st.lists(_values, max_size=3).map(tuple).map(write_literal)
_cases = st.builds(
    Case,
    args=_literals,
    expected=_literals,
    tolerance=st.none() | st.floats(0, 1),
    args_after=st.none() | _literals,
) | st.builds(Case, args=_literals, raises=st.sampled_from(["ValueError", "KeyError"]))
_texts = st.text(max_size=9)
_tasks = st.builds(
    Task,
    id=_texts,
    spec=_texts,
    entry_point=st.sampled_from(["f", "größer"]),
    category=_texts,
    difficulty=st.integers(1, 3),
    source=_texts,
    tags=st.lists(_texts, max_size=2).map(tuple),
    visible=st.lists(_cases, max_size=2).map(tuple),
    hidden=st.lists(_cases, min_size=1, max_size=2).map(tuple),
    weak_tests=st.none() | st.just("def lift_weak_check():\n    assert f()"),
    reference_code=st.none() | _texts,
    gold_ir=st.none() | st.builds(SpecIR),
)


@given(tasks=st.lists(_tasks, min_size=1, max_size=3, unique_by=lambda task: task.id))
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[Task]
) -> None:
    path = write_tasks(tmp_path_factory.mktemp("written") / "t.jsonl", tasks)
    assert load_tasks(path) == tasks
    assert dump_tasks(load_tasks(path)) == path.read_bytes().decode()
