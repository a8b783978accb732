"""Near-duplicates are found, and the quick check finds what the slow one would."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.tasks import Case, Task
from lift_sys.tasks.similarity import (
    MAX_SEQUENCE_RATIO,
    MAX_SHARED_TRIGRAMS,
    near_duplicates,
    normalised,
    similarity,
)

SPEC = (
    "Create a function that checks a password: at least 8 chars, one digit and one capital letter. "
    "Return True if it is good enough, and otherwise a list of what is missing."
)


def task(name: str, spec: str, entry_point: str) -> Task:
    return Task(
        id=name,
        spec=spec,
        entry_point=entry_point,
        category="c",
        split="dev",
        source="test",
        hidden=(Case(args="()", expected="1"),),
    )


def test_a_reworded_spec_and_a_reused_name_are_found() -> None:
    reworded = SPEC.replace("Create", "Write").replace("chars", "characters").upper()
    tasks = [
        task("a", SPEC, "check_password"),
        task("b", reworded, "is_good"),
        task("c", "Sum the even numbers of a list, or 0.", "checkPassword"),
        task("d", "Turn a word round.", "Check_Password"),
    ]
    assert near_duplicates(tasks) == [("a", "b"), ("a", "d")]


def test_words_and_numbers_of_any_script_count() -> None:
    assert normalised("Größe_2 of the 10-list, naïve?") == [
        "größe", "2", "of", "the", "10", "list", "naïve",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "figures"),
    [
        ("one two three four", "one two three four", (1.0, 1.0)),
        ("one two three four", "one two three five", (15 * 2 / 36, 1 / 3)),
        ("", "", (1.0, 0.0)),
        ("a b", "x y", (1 / 3, 0.0)),
    ],
)
def test_figures_worked_out_by_hand(first: str, second: str, figures: tuple[float, float]) -> None:
    assert similarity(first, second) == pytest.approx(figures)


_words = st.lists(st.sampled_from("the a list of all numbers sum return word".split()), max_size=30)


@given(_words, st.lists(st.tuples(st.integers(0, 29), st.sampled_from(["x", "number", ""]))))
def test_the_quick_check_gives_the_slow_answer(
    words: list[str], edits: list[tuple[int, str]]
) -> None:
    changed = list(words)
    for place, word in edits:
        changed[place : place + 1] = [word]
    first, second = " ".join(words), " ".join(changed)
    plain = " ".join(normalised(first)), " ".join(normalised(second))
    ratio = difflib.SequenceMatcher(None, *plain, autojunk=False).ratio()
    grams = [set(zip(w, w[1:], w[2:], strict=False)) for w in map(str.split, plain)]
    union = grams[0] | grams[1]
    shared = len(grams[0] & grams[1]) / len(union) if union else 0.0
    near = ratio > MAX_SEQUENCE_RATIO or shared > MAX_SHARED_TRIGRAMS
    found = near_duplicates([task("1", first, "f"), task("2", second, "g")])
    assert found == ([("1", "2")] if near else [])
