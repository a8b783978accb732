"""What holds of extraction from any text: it is read, spans lie in it, the time is bounded."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.knowledge.constraints import Form, extract


def signature(*names: str) -> FunctionSignature:
    parameters = tuple(Parameter(name=name, type_hint="Any") for name in names)
    return FunctionSignature(name="f", parameters=parameters)


ONE, TWO = signature("x"), signature("items", "limit")

PIECES = st.sampled_from(
    "f(3) f( f( 3 9 -1 2.5 1,000 'a' \"b\" 'it's [ ] ( ) { } [1,2] (1,) == -> = >>> ... \n \n\n "
    "| : ; , . ... ``` ` returns gives is if when for the an empty list otherwise anything else "
    "between and or to at least more than result Input: Output: x items limit raises ValueError "
    "ValueError: Traceback exactly inclusive True None \\ \u2018 \u2019 “ ” e.g. set() not".split(
        " "
    )
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map(" ".join))


@settings(deadline=None)
@given(TEXTS, st.sampled_from([None, ONE, TWO, signature()]))
@example("[" * 3_000 + "]" * 3_000, ONE)
@example("f(" + "9" * 5_000 + ") == 1", ONE)
@example("f(3) == " + "(" * 300 + "1," + ")" * 300, ONE)
@example("\ud800 f(3) == '\ud800'", ONE)
@example("\x00 f(3) == '\x00'", ONE)
@example("f({[]: 1}) == {{}}", ONE)
@example("the list " * 1_000 + "3 gives 4", ONE)
@example("x " * 2_000 + "3 gives 4", ONE)
@example(">>> f(" + "1+" * 900 + "1)\n901\n", ONE)
@example(">>> " + "not " * 400 + "f(1)\nTrue\n", ONE)
def test_any_text_is_read_and_spans_lie_in_it(spec: str, known: FunctionSignature | None) -> None:
    found = extract(spec, "f", known)

    for constraint in found.constraints:
        assert 0 <= constraint.start < constraint.end <= len(spec)
        assert spec[constraint.start : constraint.end] == constraint.text
        assert (constraint.form is Form.HINT) == bool(constraint.reason)
        assert (constraint.case is not None) == (constraint.form is Form.EXAMPLE)
        executable = constraint.form in {Form.PROPERTY, Form.LITERAL_SET}
        assert not executable or constraint.predicate is not None
    assert found == extract(spec, "f", known)


@settings(deadline=None)
@example("a bug", "if it rains")
@given(st.text(max_size=60), st.text(max_size=60))
def test_an_example_on_a_line_of_its_own_is_found_in_any_surroundings(
    before: str, after: str
) -> None:
    spec = f"{before.replace('`', '')}\n\nf(3) == 9\n\n{after}"
    assert "f(3) == 9" in extract(spec, "f", ONE).predicates


@pytest.mark.parametrize(
    "piece",
    [
        "Return the sum of the list, so [1, 2] gives 3. An empty list gives 0; f([5]) == 5.\n",
        "1, ", "[", "(", "'", '"', "\\'", "f(", "\n", "| x | result |\n", "1,234", "“", "a",
        "if x is ", "the result is at least 3 and ", "[[1], [2]] ", "for x of 3 ", ">>> f(3)\n",
        "the list ", "x ", "word   ",
    ],
)  # fmt: skip
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    short, long = (seconds(piece, length) for length in (5_000, 20_000))

    assert long < 8 * short + 0.2  # four times the text; a square would take sixteen


def seconds(piece: str, length: int) -> float:
    """What a text of this length costs; the least of three."""

    def once(number: int) -> float:
        spec = f"{number}\n" + piece * (length // len(piece))  # another text: the last is kept
        started = time.process_time()
        extract(spec, "f", ONE)
        return time.process_time() - started

    return min(once(number) for number in range(3))


def test_time_grows_no_faster_in_long_prose() -> None:
    prose = "Return the sum of the list, so that [1, 2] gives 3. An empty list gives 0. "

    assert len(extract(prose * 1_333, "f", ONE).examples) == 2
    assert seconds(prose, 100_000) < 8 * seconds(prose, 25_000)
