"""What is found in a spec before it is checked, and that finding it is not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.knowledge import reading
from lift_sys.knowledge.constraints import extract
from lift_sys.knowledge.phrases import Text
from lift_sys.knowledge.results import _TELLING, _TELLING_LESS, _tells
from lift_sys.knowledge.tokens import Kind, tokenize
from lift_sys.tasks import load_tasks

TRAIN = load_tasks(Path(__file__).parents[2] / "datasets" / "train.jsonl")

SPEC = "Add 3 to x: f(1) == 4. If x is 2, return 5. Do not approximately return f(9) == 1."


def test_what_is_found_depends_on_the_parameters() -> None:
    with_parameter, without = (reading.read(SPEC, "f", names) for names in (("x",), None))
    assert [d.args for d in with_parameter.drafts if d.args] == [("2",)]
    assert [d.args for d in without.drafts if d.args] == []
    assert without.drafts[0].call == "f(1)"


def test_a_sentence_that_may_not_mean_it_gives_a_reason_alone() -> None:
    last = reading.read(SPEC, "f", None).drafts[-1]
    assert (last.call, last.reason) == (None, "may not be meant exactly")


def test_types_do_not_make_a_spec_be_read_again() -> None:
    signatures = [
        FunctionSignature(name="f", parameters=(Parameter(name="x", type_hint=hint),))
        for hint in ("int", "float", "Any")
    ]
    spec = f"{SPEC} Read once."
    before = reading.read.cache_info().misses
    found = {extract(spec, "f", signature).examples for signature in signatures}
    assert len(found) == 1
    assert reading.read.cache_info().misses == before + 1


@pytest.mark.parametrize("parameters", [("x",), ("items", "limit"), None])
def test_no_rule_is_passed_over_where_it_could_find_something(
    parameters: tuple[str, ...] | None,
) -> None:
    found = 0
    for task in TRAIN:
        name = task.entry_point
        text = Text(task.spec, tokenize(task.spec, name), name, parameters)
        for i, token in enumerate(text.tokens):
            prose = token.kind not in {Kind.BREAK, Kind.STOP, Kind.PROMPT, Kind.CALL}
            if prose and not token.code:
                tried = reading._rules(text, i)
                finding = [rule for rule in reading._IN_PROSE if rule(text, i)]
                assert set(finding) <= set(tried), (task.spec, token)
                found += len(finding)
    assert found > 50


def test_no_hint_is_passed_over() -> None:
    found = 0
    for task in TRAIN:
        text = Text(task.spec, tokenize(task.spec, task.entry_point), task.entry_point)
        for i in range(len(text.tokens)):
            rows = (*_TELLING, *_TELLING_LESS)
            told = next((reason for phrases, reason in rows if phrases.match(text, i)), None)
            if told:
                found += 1
                assert _tells(text, i) in {told, "a range"}
    assert found > 50
