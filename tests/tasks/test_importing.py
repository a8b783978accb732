"""Files of other formats become tasks that reference code passes, or nothing and a list of why."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lift_sys.app.references import ReferenceRunner
from lift_sys.errors import DatasetError
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Task
from lift_sys.tasks.formats import Format
from lift_sys.tasks.importing import Imported, ImportOptions, import_tasks
from metrics.execution import score_code


def _load_records() -> ModuleType:
    path = Path(__file__).with_name("import_records.py")
    spec = importlib.util.spec_from_file_location("import_records", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


R = _load_records()


def never(code: str, entry_point: str, arguments: Sequence[str]) -> list[str]:
    pytest.fail("nothing of this format is run")


def write(path: Path, *records: object) -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    return path


def imported(tmp_path: Path, sandbox: Sandbox | None, *records: object, **options: Any) -> Imported:
    path = write(tmp_path / "in.jsonl", *records)
    run = never if sandbox is None else ReferenceRunner(lambda: sandbox)
    return import_tasks(path, run, ImportOptions(**options))


def only(tmp_path: Path, sandbox: Sandbox | None, record: object, **options: Any) -> Task:
    (task,) = imported(tmp_path, sandbox, record, **options).tasks
    return task


def test_humaneval(tmp_path: Path) -> None:
    task = only(tmp_path, None, R.HUMANEVAL)
    assert (task.id, task.entry_point, task.source) == ("HumanEval/900", "halves", "humaneval")
    assert (task.category, task.split, task.difficulty) == ("imported", "test", 2)
    assert task.spec == R.HUMANEVAL["prompt"].strip()
    assert task.visible == ()
    assert [case.render("f") for case in task.hidden] == ["f([4, 7]) == [2, 3]", "f([10]) == [5]"]
    assert (task.strong, task.weak_count) == (False, 1)


def test_examples_become_visible_and_are_hidden_no_more(tmp_path: Path) -> None:
    task = only(tmp_path, None, R.HUMANEVAL, examples=True)
    assert [case.render("f") for case in task.visible] == ["f([4, 7]) == [2, 3]", "f([]) == []"]
    assert [case.render("f") for case in task.hidden] == ["f([10]) == [5]"]


def test_where_examples_are_all_there_is_nothing_is_shown(tmp_path: Path) -> None:
    test = "def check(candidate):\n    assert candidate([4, 7]) == [2, 3]\n"
    task = only(tmp_path, None, R.HUMANEVAL | {"test": test}, examples=True)
    assert (len(task.visible), len(task.hidden)) == (0, 1)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (R.HUMANEVAL, "def halves(xs):\n    return [x // 2 for x in xs]"),
        (R.MBPP, "def helper(x):\n    return x\ndef twice(x):\n    return x + x"),
        (R.SANITIZED, "def shared(a, b):\n    return [x for x in a if x in b]"),
        (
            R.MBPP_PLUS,
            "def swap(pairs, seen):\n    return [p[::-1] for p in pairs if p not in seen]",
        ),
        (R.HUMANEVAL_PLUS, "from statistics import mean"),
    ],
)
def test_reference_and_honest_code_pass_and_wrong_code_fails(
    tmp_path: Path, sandbox: Sandbox, record: dict[str, Any], code: str
) -> None:
    task = only(tmp_path, sandbox, record)
    assert task.reference_code is not None
    wrong = f"def {task.entry_point}(*args):\n    return args"
    scores = [score_code(task, c, None, sandbox) for c in (task.reference_code, wrong)]
    assert [score.passed for score in scores] == [True, False], scores[0].feedback
    if record is R.HUMANEVAL:  # the spec defines a helper that its tests use; they bring it along
        assert score_code(task, code, None, sandbox).passed
    elif record is not R.HUMANEVAL_PLUS:
        score = score_code(task, code, None, sandbox)
        assert score.passed, score.feedback


def test_expected_outputs_come_from_the_canonical_solution(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    task = only(tmp_path, sandbox, R.HUMANEVAL_PLUS, examples=True)
    assert task.source == "humanevalplus"
    assert [case.render("f") for case in task.visible] == ["f([1, 2]) == 1.5"]
    assert [case.render("f") for case in task.hidden] == [
        "f([1.0, 2.0]) == 1.5",
        "f([3]) == 3.0",
        "f([1000000000.0, 3000000000.0]) == 2000000000.0",
    ]
    assert [case.tolerance for case in task.hidden] == pytest.approx([1.15e-6, 1.3e-6, 200.000001])


def test_inputs_have_the_types_that_the_assertion_shows(tmp_path: Path, sandbox: Sandbox) -> None:
    task = only(tmp_path, sandbox, R.MBPP_PLUS)
    assert task.spec == "Write a function to swap the two items of each pair."
    assert (task.source, task.id) == ("mbppplus", "Mbpp/903")
    assert [(case.args, case.expected) for case in task.hidden] == [
        ("([(1, 2), (3, 4)], {(3, 4)})", "[(2, 1)]"),
        ("([('x', 'y')], set())", "[('y', 'x')]"),
    ]


def test_mbpp(tmp_path: Path) -> None:
    task = only(tmp_path, None, R.MBPP)
    assert (task.id, task.entry_point, task.source) == ("mbpp/904", "twice", "mbpp")
    assert task.spec == R.MBPP["text"]
    assert [case.render("f") for case in task.hidden] == ["f(1) == 2", "f(0) == 0"]
    assert task.weak_count == 2


def test_the_sanitized_array(tmp_path: Path) -> None:
    path = tmp_path / "sanitized.json"
    path.write_text(json.dumps([R.SANITIZED, R.SANITIZED | {"task_id": 906}], indent=1))
    found = import_tasks(path, never)
    assert [task.id for task in found.tasks] == ["mbpp/905", "mbpp/906"]
    assert (found.strong, found.mixed, found.weak, found.share) == (0, 0, 2, 0.0)
    path.write_text(json.dumps([R.SANITIZED, R.SANITIZED | {"code": "def f(:"}]))
    with pytest.raises(DatasetError, match=r"sanitized\.json, index 1, field code: it is not Pyt"):
        import_tasks(path, never)


def test_a_compressed_file_and_a_limit(tmp_path: Path) -> None:
    lines = [R.STRONG_HUMANEVAL, R.HUMANEVAL, {"broken": True}]
    path = tmp_path / "h.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    found = import_tasks(path, never, ImportOptions(limit=2))
    assert (found.format, len(found.tasks)) == (Format.HUMANEVAL, 2)
    assert (found.strong, found.mixed, found.weak) == (1, 1, 0)
    assert found.share == 4 / 5


def test_native_tasks_keep_their_split_unless_told(tmp_path: Path) -> None:
    assert only(tmp_path, None, R.NATIVE) == Task.model_validate(R.NATIVE)
    assert only(tmp_path, None, R.NATIVE, split="dev").split == "dev"


RECORDS = {
    "humaneval": R.STRONG_HUMANEVAL,
    "evalplus": R.HUMANEVAL_PLUS,
    "mbpp": R.MBPP,
    "native": R.NATIVE,
}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_format_is_recognised_by_its_fields(tmp_path: Path, sandbox: Sandbox, name: str) -> None:
    assert imported(tmp_path, sandbox, RECORDS[name]).format == name
    with pytest.raises(DatasetError, match=r"line 1, field "):
        imported(tmp_path, None, RECORDS[name], format="mbpp" if name != "mbpp" else "native")


@pytest.mark.parametrize(
    ("record", "changes", "says"),
    [
        (R.STRONG_HUMANEVAL, {"task_id": 3}, "field task_id: "),
        (R.STRONG_HUMANEVAL, {"test": "def check(candidate):\n    pass"}, "field test: it asserts"),
        (R.STRONG_HUMANEVAL, {"test": "assert ("}, "field test: the test code for 'shout' is not"),
        (R.STRONG_HUMANEVAL, {"canonical_solution": "return"}, "field canonical_solution: it does"),
        (R.STRONG_HUMANEVAL, {"entry_point": "whisper"}, "field canonical_solution: it does not"),
        (R.STRONG_HUMANEVAL, {"prompt": "\ud800"}, "field the object: half"),
        (R.MBPP, {"test_list": []}, "field test_list: "),
        (
            R.MBPP,
            {"test_list": ["assert other(1)"], "challenge_test_list": []},
            "field test_list: it calls no function",
        ),
        (R.MBPP, {"test_list": "assert twice(1) == 2"}, "field test_list: "),
        (R.HUMANEVAL_PLUS, {"base_input": [3]}, r"field base_input\.0: "),
        (
            R.HUMANEVAL_PLUS,
            {"base_input": [[[]]]},
            r"canonical_solution: mean\(\[\]\) gives except",
        ),
        (
            R.HUMANEVAL_PLUS,
            {"canonical_solution": "    return iter(numbers)\n"},
            r"canonical_solution: mean\(\[1, 2\]\) gives unserialisable",
        ),
        (R.MBPP_PLUS, {"base_input": [[[], [[[[1]]]]]]}, "field base_input: unlike the assertion"),
        (R.NATIVE, {"hidden": []}, "field hidden: "),
    ],
)
def test_a_broken_record_is_named(
    tmp_path: Path, sandbox: Sandbox, record: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(DatasetError, match=rf"in\.jsonl, line 2, .*{says}") as caught:
        imported(tmp_path, sandbox, record, record | changes)
    assert "\n" not in str(caught.value)


def test_all_broken_records_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", R.MBPP, R.MBPP, R.MBPP | {"task_id": 1, "code": "("}, 3)
    path.write_text(path.read_text() + "{\n")
    with pytest.raises(DatasetError) as caught:
        import_tasks(path, never)
    text = str(caught.value)
    assert text.startswith("4 things are wrong:\n")
    for words in (
        "line 2: id 'mbpp/904'",
        "line 3, field code",
        "line 4, field the",
        "line 5: not",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no records"),
        ("[]", "holds no records"),
        ("[{", "not a valid JSON array"),
        ("{", "line 1: not valid JSON"),
        ('{"question": 1}', "of no known format .fields of its first record: question.*--format"),
        ("3", "of no known format .fields of its first record: none"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetError, match=says):
        import_tasks(path, never)
