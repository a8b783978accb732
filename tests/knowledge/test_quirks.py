"""Every quirk is shown by code that runs, and triggered where it matters, seldom elsewhere."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from pathlib import Path

import pytest

from lift_sys.knowledge.quirks import QUIRKS, Quirk, listed, triggered
from lift_sys.sandbox import judge
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, load_tasks

DATASETS = Path(__file__).parent.parent.parent / "datasets"
MAX_SHARE = 0.25
"""Of all specs; what is said more often than that is noise."""

SPECS = {
    "bool-is-int": (
        "Return the name of the type: 'int' for an integer.",
        "Return True if the number is even.",
    ),
    "strings-never-change": (
        "Put everything in lower case and replace each space by '-'.",
        "Replace each -1 in the list by 0.",
    ),
    "arguments-are-shared": (
        "Do not change the list that is passed in.",
        "Return the sum of a list, or 0 if nothing changes.",
    ),
    "empty-is-false": ("An empty string gives 0.", "An empty list gives 0."),
    "division-gives-float": (
        "Halve the even integer.",
        "Return 'boom' if the integer can be divided by 7.",
    ),
    "none-is-not-zero": (
        "Return 5 for None, and 0 stays 0.",
        "Count the zeros; if there are none, return 0.",
    ),
    "floor-goes-down": (
        "Divide the first integer by the second; either may be negative.",
        "Divide the first by the second.",
    ),
    "modulo-sign": (
        "Move a time of day by minutes, which may be negative.",
        "Return the remainder of two positive integers.",
    ),
    "round-half-even": (
        "Return the mean rounded to 2 decimals.",
        "Judge one round of a game, rounded down to points.",
    ),
    "floats-are-inexact": (
        "Tell whether two floats are equal to each other: compare them.",
        "Return the item as a float.",
    ),
    "split-at-space": (
        "How long are the words of a sentence?",
        "Join the words with ', ' between them.",
    ),
    "sort-returns-none": ("Return the scores sorted.", "The list holds all sorts of things."),
    "sort-by-two-keys": (
        "Sorted by score, ties in the order of the names.",
        "Return the names sorted, two at most.",
    ),
    "capitals-sort-first": ("Bring the words into alphabetical order.", "Return sorted numbers."),
    "range-excludes-end": (
        "Add up all whole numbers from 1 to n.",
        "Up to and including 5 kg it costs 7.",
    ),
    "negative-index": (
        "Return the item at a position; negative positions do not exist.",
        "At which position is the largest item?",
    ),
    "slices-never-fail": ("Return the first three of them.", "Return the first of them."),
    "int-of-text": (
        "Convert a string to an integer, or return 0 if that fails.",
        "Convert a list of integers to a tuple.",
    ),
    "isdigit": ("Return 'no number' if the password has no digit.", "Count the digits of n."),
    "capitalize-lowers": (
        "Capitalize each word.",
        "Capital letters make no difference.",
    ),
    "strip-takes-a-set": (
        "Remove the prefix 'Dr. ' from a name.",
        "Return the codes that start with the prefix.",
    ),
    "find-gives-minus-one": (
        "Return what comes after the colon.",
        "Return what comes after the second item.",
    ),
    "max-of-nothing": (
        "Return the largest number, or None for an empty list.",
        "Return the numbers, largest first; an empty list stays empty.",
    ),
    "first-of-equals": (
        "Return the longest word; in a tie the last one.",
        "Return the longest word.",
    ),
    "sets-lose-order": (
        "Drop the duplicates, keep the order.",
        "Return the word repeated n times.",
    ),
    "one-is-true": (
        "Two items are duplicates only when they have the same type.",
        "Return the type of the item.",
    ),
    "missing-key-raises": (
        "Look the name up in a dict; a missing one gives 0.",
        "Return the dict with the most entries.",
    ),
    "join-needs-strings": (
        "Turn a list of integers into one string.",
        "Join the names with commas.",
    ),
    "zip-stops-early": (
        "Merge two lists by taking items in turn.",
        "Return both lists as they are.",
    ),
}
"""By quirk: a spec that triggers it and one that nearly does."""


@pytest.fixture(scope="module")
def specs() -> list[str]:
    return [
        task.spec for name in ("train", "dev") for task in load_tasks(DATASETS / f"{name}.jsonl")
    ]


def test_quirks_have_names_of_their_own_and_short_lines() -> None:
    assert len({q.id for q in QUIRKS}) == len(QUIRKS) >= 22
    assert [q.id for q in QUIRKS if len(q.text) > 100 or "\n" in q.text] == []
    assert len({q.text for q in QUIRKS}) == len(QUIRKS)


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda q: q.id)
def test_a_demonstration_shows_its_quirk(quirk: Quirk, sandbox: Sandbox) -> None:
    body = ast.parse(quirk.demonstration).body
    assert any(isinstance(node, ast.Assert) for node in body)
    shown = f"def shown():\n    exec({quirk.demonstration!r}, {{}})\n    return 'yes'"
    verdict = judge(sandbox, shown, "shown", [Case(args="()", expected="'yes'")])
    assert verdict.passed, verdict


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda q: q.id)
def test_no_assert_of_a_demonstration_holds_by_accident(quirk: Quirk) -> None:
    """Each assert fails when it is turned into its opposite, so each was reached."""
    tree = ast.parse(quirk.demonstration)
    asserts = [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    for node in asserts:
        stated = node.test
        node.test = ast.UnaryOp(op=ast.Not(), operand=stated)
        with pytest.raises(AssertionError):
            exec(ast.unparse(ast.fix_missing_locations(tree)), {})  # noqa: S102 (shipped with us)
        node.test = stated


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda q: q.id)
def test_a_quirk_is_triggered_where_it_matters(quirk: Quirk) -> None:
    matters, nearly = SPECS[quirk.id]
    assert quirk in triggered(matters)
    assert quirk in triggered(matters.upper()) or "(?-i:" in "".join(quirk.trigger)
    assert quirk not in triggered(nearly)


def test_triggered_quirks_come_in_the_fixed_order() -> None:
    everything = " ".join(matters for matters, _ in SPECS.values())
    assert triggered(everything) == QUIRKS
    assert triggered("") == ()


def test_no_trigger_is_wide(specs: list[str]) -> None:
    counts = Counter(quirk.id for spec in specs for quirk in triggered(spec))
    assert {q: n for q, n in counts.items() if n > MAX_SHARE * len(specs)} == {}
    assert counts.keys() == {q.id for q in QUIRKS}, "a trigger that fires on no spec"


def test_a_spec_triggers_few(specs: list[str]) -> None:
    counts = [len(triggered(spec)) for spec in specs]
    assert statistics.median(counts) <= 1
    assert max(counts) <= 5
    assert sum(counts) > 0.5 * len(specs)


def test_the_list_has_a_line_for_each() -> None:
    assert listed(()) == ""
    assert listed(QUIRKS[:2]) == f"- {QUIRKS[0].text}\n- {QUIRKS[1].text}"
    assert len(re.findall(r"^- ", listed(QUIRKS), re.MULTILINE)) == len(QUIRKS)
