"""What is found in a spec before it is checked, and that finding it is not repeated."""

from __future__ import annotations

from lift_sys.ir.models import FunctionSignature, Parameter
from lift_sys.knowledge import reading
from lift_sys.knowledge.constraints import extract

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
