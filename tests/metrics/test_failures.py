"""Each category is told by its rule, and the rules agree with people on real failures."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lift_sys.literals import write_literal
from lift_sys.record import Record
from lift_sys.sandbox import Limits, Sandbox
from lift_sys.sandbox.codec import shorten
from lift_sys.sandbox.compare import equal
from lift_sys.tasks import Task
from lift_sys.verdict import (
    CaseResult,
    FailureCategory,
    Score,
    Status,
    Verdict,
    category_of,
    no_answer,
)
from metrics.execution import score_code
from metrics.failures import classify

LABELLED = Path(__file__).parent / "labelled_failures.jsonl"
AGREEMENT_FLOOR = 0.85
RECALL_FLOOR = 0.5


class Labelled(Record):
    """A real failure of a model, and the category given to it by reading spec and code.

    One line of the file each; a new line is all that another one takes. ``half`` says whether the
    rules were written with it in sight (``tuning``) or not (``held_out``).
    """

    model: str
    preset: str
    half: str
    label: FailureCategory
    reason: str
    code: str | None
    failure: str | None
    task: Task


def task(spec: str, *hidden: dict[str, Any]) -> Task:
    fields = {"id": "f", "entry_point": "f", "category": "x", "split": "dev", "source": "test"}
    return Task.model_validate(fields | {"spec": spec, "hidden": hidden})


def gives(args: str, expected: str, **more: Any) -> dict[str, Any]:
    return {"args": args, "expected": expected, **more}


AGE = task(
    "Return 'too young' below 18 and 'valid' otherwise. Text is a ValueError.",
    gives("(17,)", "'too young'"),
    gives("(18,)", "'valid'"),
    {"args": "('x',)", "raises": "ValueError"},
)
TEXT_IS_REFUSED = "    if isinstance(x, str):\n        raise ValueError('text')\n"
HALF = task("Half of an even number.", gives("(4,)", "2"), gives("(6,)", "3"), gives("(0,)", "0"))
COUNT = task(
    "How many of the values are integers?",
    gives("([1, 2],)", "2"),
    gives("(['a'],)", "0"),
    gives("([3, 'b'],)", "1"),
    gives("([True, 5],)", "1"),
)
TO_INT = task(
    "The integer in a text, 0 if there is none.", gives("('4',)", "4"), gives("('x',)", "0")
)
SORTED = task(
    "Sort a copy.", gives("([2, 1],)", "[1, 2]", args_after="([2, 1],)"), gives("([],)", "[]")
)


@pytest.mark.parametrize(
    ("asked", "code", "category"),
    [
        (HALF, "def f(x:", "syntax"),
        (HALF, "def f(x):\n    while True: pass", "timeout"),
        (HALF, "def f(x):\n    return [0] * 10**10", "other"),
        (HALF, "def half(x):\n    return x // 2", "entry_point_or_arity"),
        (HALF, "f = 3", "entry_point_or_arity"),
        (HALF, "def f():\n    return 2", "entry_point_or_arity"),
        (HALF, "def f(x, y):\n    return x // y", "entry_point_or_arity"),
        (HALF, "def f(x, *, by):\n    return x // by", "entry_point_or_arity"),
        (HALF, "def f(x, y=3, *rest, z=0):\n    return x // y", "boundary_or_logic"),
        (HALF, "f = lambda: 7", "entry_point_or_arity"),
        (HALF, "class f:\n    pass", "entry_point_or_arity"),
        (HALF, "def f(x):\n    return f()", "type_quirk"),
        (HALF, "def f(x):\n    return x / 2", "type_quirk"),
        (HALF, "def f(x):\n    return str(x // 2)", "type_quirk"),
        (HALF, "def f(x):\n    return [x // 2]", "boundary_or_logic"),
        (HALF, "def f(x):\n    return (i for i in [x])", "type_quirk"),
        (HALF, "def f(x):\n    return 'a' + x", "type_quirk"),
        (HALF, "def f(x):\n    return undefined", "boundary_or_logic"),
        (HALF, "import nothing_like_it\ndef f(x):\n    return x", "boundary_or_logic"),
        (HALF, "def f(x):\n    return x // 3", "boundary_or_logic"),
        (HALF, "def f(x):\n    return 'a' * 5000", "boundary_or_logic"),
        (COUNT, "def f(x):\n    return sum(isinstance(i, int) for i in x)", "type_quirk"),
        (COUNT, "def f(x):\n    return len(x)", "boundary_or_logic"),
        (TO_INT, "def f(x):\n    return int(x)", "exception_handling"),
        (TO_INT, "def f(x):\n    if not x.isdigit():\n        raise KeyError(x)\n    return int(x)",
         "exception_handling"),
        (TO_INT, "def f(x):\n    return {'4': 4}[x]", "boundary_or_logic"),
        (SORTED, "def f(x):\n    x.sort()\n    return x", "boundary_or_logic"),
        (SORTED, "def f(x):\n    return tuple(sorted(x))", "type_quirk"),
        (AGE, f"def f(x):\n{TEXT_IS_REFUSED}    return 'valid' if x > 17 else 'you are too young'",
         "wrong_literal"),
        (AGE, f"def f(x):\n{TEXT_IS_REFUSED}    return 'Valid' if x > 17 else 'too young'",
         "wrong_literal"),
        (AGE, f"def f(x):\n{TEXT_IS_REFUSED}    return 'valid' if x >= 17 else 'too young'",
         "boundary_or_logic"),
        (AGE, f"def f(x):\n{TEXT_IS_REFUSED}    return 'valid'", "boundary_or_logic"),
        (AGE, "def f(x):\n    return 'too young' if str(x) < '18' else 'valid'",
         "exception_handling"),
        (AGE, "def f(x):\n    return 'too young' if x < 18 else 'valid'", "exception_handling"),
    ],
)  # fmt: skip
def test_each_rule(sandbox: Sandbox, asked: Task, code: str, category: str) -> None:
    score = score_code(asked, code, None, sandbox, Limits(call_seconds=0.3))
    assert not score.passed
    assert score.category == category


def test_most_cases_decide_and_the_first_among_equals(sandbox: Sandbox) -> None:
    both = task("Half.", gives("(4,)", "2"), gives("(9,)", "4"), gives("('x',)", "0"))
    as_float = "def f(x):\n    return 1.0 * x / 2 if x == 4 else 77"
    assert score_code(both, as_float, None, sandbox).category == "boundary_or_logic"
    equal = task("Half.", *(c.model_dump(exclude_none=True) for c in both.hidden[:2]))
    assert score_code(equal, as_float, None, sandbox).category == "type_quirk"


def test_what_passes_has_no_category(sandbox: Sandbox) -> None:
    assert score_code(HALF, "def f(x):\n    return x // 2", None, sandbox).category is None


def test_weak_tests_alone_are_boundary_or_logic(sandbox: Sandbox) -> None:
    weak = "def lift_weak_check():\n    assert f(1) == 1"
    asked = HALF.model_copy(update={"hidden": (), "weak_tests": weak})
    score = score_code(asked, "def f(x):\n    return 2", None, sandbox)
    assert score.category is FailureCategory.BOUNDARY_OR_LOGIC


@pytest.mark.parametrize("category", FailureCategory)
def test_a_program_says_why_it_has_no_code(category: FailureCategory) -> None:
    failure = no_answer(category, "the ir stage: because")
    unused: Any = None
    assert category_of(failure) is category
    assert score_code(HALF, None, failure, unused).category is category


@pytest.mark.parametrize("failure", [None, "", "no idea", "truncating: x", "Syntax: x"])
def test_what_another_program_says_is_not_guessed_at(failure: str | None) -> None:
    assert category_of(failure) is FailureCategory.OTHER


def test_a_score_of_an_earlier_release_has_no_category() -> None:
    old = {"value": 0.0, "passed": False, "status": "timeout", "feedback": ""}
    assert Score.model_validate(old).category is None
    assert Score.model_validate(old).status is Status.TIMEOUT


@pytest.fixture(scope="module")
def judged(sandbox: Sandbox) -> list[tuple[Labelled, FailureCategory | None]]:
    lines = LABELLED.read_text(encoding="utf-8").splitlines()
    labelled = [Labelled.model_validate_json(line) for line in lines]
    return [(x, score_code(x.task, x.code, x.failure, sandbox).category) for x in labelled]


def test_the_labelled_failures_are_many_and_distinct(
    judged: list[tuple[Labelled, FailureCategory | None]],
) -> None:
    names = {(x.model, x.preset, x.task.id) for x, _ in judged}
    halves = Counter(x.half for x, _ in judged)
    assert len(names) == len(judged) >= 60
    assert min(halves["tuning"], halves["held_out"]) >= 0.4 * len(judged)
    assert all(x.reason for x, _ in judged)


@pytest.mark.parametrize("half", ["tuning", "held_out"])
def test_the_rules_agree_with_the_labels(
    judged: list[tuple[Labelled, FailureCategory | None]], half: str
) -> None:
    pairs = [(x, found) for x, found in judged if x.half == half]
    wrong = [f"{x.task.id}: {x.label}, not {found}" for x, found in pairs if found != x.label]
    assert 1 - len(wrong) / len(pairs) >= AGREEMENT_FLOOR, wrong


def test_no_category_is_lost(judged: list[tuple[Labelled, FailureCategory | None]]) -> None:
    total = Counter(x.label for x, _ in judged)
    right = Counter(x.label for x, found in judged if found is x.label)
    recalls = {str(label): right[label] / count for label, count in total.items()}
    assert {k: v for k, v in recalls.items() if v < RECALL_FLOOR} == {}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.just(Decimal("sNaN"))
    | st.text(max_size=5)
    | st.sampled_from(["1", "1.0", "nan", "True", "[1]", "[" * 500]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(want=VALUES, got=VALUES, spec=st.text(alphabet="'\"`a ", max_size=12))
def test_any_value_in_the_place_of_any_other_has_a_category(want: Any, got: Any, spec: str) -> None:
    assume(not equal(got, want))
    asked = task(spec, gives("([1],)", write_literal(want)))
    result = CaseResult(index=0, status=Status.WRONG_ANSWER, actual=shorten(got))
    verdict = Verdict(status=Status.WRONG_ANSWER, cases=(result,))
    found = classify(asked, "def f(x):\n    return 'a'", None, verdict)
    assert found in {
        FailureCategory.TYPE_QUIRK,
        FailureCategory.WRONG_LITERAL,
        FailureCategory.BOUNDARY_OR_LOGIC,
    }
