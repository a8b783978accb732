"""Which specs leave a boundary value or a type open, and that those of the task sets do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.knowledge.silence import silences, untyped
from lift_sys.literals import parse_literal
from lift_sys.tasks import Task, load_tasks

DATASETS = Path(__file__).parents[2] / "datasets"


def signature(*parameters: str, returns: str = "int") -> FunctionSignature:
    pairs = [p.split(": ") for p in parameters]
    return FunctionSignature(
        name="f",
        parameters=tuple(Parameter(name=name, type_hint=hint) for name, hint in pairs),
        returns=returns,
    )


LIST, TEXT, INT = signature("xs: list[int]"), signature("s: str"), signature("n: int")
TWO = signature("a: int", "b: float")
MIXED = signature("xs: list[int]", "k: int")


@pytest.mark.parametrize(
    ("spec", "known", "found"),
    [
        ("Return the largest number of a list.", LIST, "empty xs []"),
        ("Give back the average of the values.", LIST, "empty xs []"),
        ("What is the first character of a text?", TEXT, "empty s ''"),
        ("The longest run of equal items, at most k.", MIXED, "empty xs []"),
        ("Divide a by b.", TWO, "zero b 0.0"),
        ("The quotient of two numbers, the first by the second.", TWO, "zero b 0.0"),
        ("Return the factorial of n.", INT, "negative n -1"),
        ("Repeat the step n times and count.", INT, "negative n -1"),
        # Said or excluded.
        ("Return the largest number, or None for an empty list.", LIST, None),
        ("Return the largest of at least two numbers.", LIST, None),
        ("Return the average of the values, 0 without any.", LIST, None),
        ("Divide a by b; b is positive.", TWO, None),
        ("Return the factorial of a non-negative number.", INT, None),
        ("How many digits does a number have? Ignore the minus.", INT, None),
        # Nothing is undefined there.
        ("Return the sum of the list.", LIST, None),
        ("Sort from the smallest to the largest.", LIST, None),
        ("List the totals, the highest total first.", LIST, None),
        ("For each day give the highest value so far.", LIST, None),
        ("Say whether it fits the largest load allowed.", LIST, None),
        ("Divide the number by 2.", TWO, None),
        ("Double n.", INT, None),
        # In doubt which parameter is meant.
        ("Return the larger of two, the longest.", signature("a: str", "b: str"), None),
        ("The number of digits of both.", signature("a: int", "b: int"), None),
        ("Return the largest number.", signature("xs: tuple[int, int]"), None),
        ("Return the largest number.", signature("xs: Any"), None),
    ],
)
def test_what_is_silent(spec: str, known: FunctionSignature, found: str | None) -> None:
    said = [f"{s.what} {s.parameter} {s.value}" for s in silences(spec, known)]
    assert said == ([found] if found else [])


@pytest.mark.parametrize(
    ("spec", "known", "names"),
    [
        ("Add them.", signature("a: Any", "b: int"), ("a",)),
        ("Add them.", signature("a: int", returns="Any"), ("result",)),
        ("Return the type of anything.", signature("a: Any", returns="Any"), ()),
        ("Make a list of whatever is passed.", signature("a: Any"), ()),
        ("Add them.", signature("a: object"), ()),
    ],
)
def test_unknown_types_are_open_unless_any_is_meant(
    spec: str, known: FunctionSignature, names: tuple[str, ...]
) -> None:
    assert untyped(spec, known) == names


def known_calls(task: Task, place: int, value: object) -> int:
    rows = [parse_literal(c.args) for c in (*task.visible, *task.hidden)]
    return sum(len(row) > place and row[place] == value for row in rows)


def test_specs_that_leave_nothing_open_raise_no_question() -> None:
    train = [t for t in load_tasks(DATASETS / "train.jsonl") if t.gold_ir]
    found = [(t, s) for t in train if t.gold_ir for s in silences(t.spec, t.gold_ir.signature)]

    assert len(train) == 120
    assert found == []


BOUNDARIES = ("empty", "fewer than", "no ", "zero", "nothing")


def test_specs_without_their_boundary_sentence_raise_questions_that_cases_answer() -> None:
    """Most specs name no extreme; where a rule fires, a case of the task asks the same."""
    asked = answered = 0
    for task in load_tasks(DATASETS / "train.jsonl"):
        sentences = task.spec.replace("; ", ". ").split(". ")
        kept = ". ".join(s for s in sentences if not any(b in s.lower() for b in BOUNDARIES))
        if task.gold_ir is None or kept == ". ".join(sentences):
            continue
        for silence in silences(kept, task.gold_ir.signature):
            asked += 1
            answered += known_calls(task, silence.place, parse_literal(silence.value)) > 0
    assert asked >= 6
    assert answered / asked >= 0.8
