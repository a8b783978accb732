"""Which model of a chain answered, and why others did not, counted from the calls."""

from __future__ import annotations

from lift_sys.app.chain_use import ChainUse, chain_lines, chain_uses
from lift_sys.inference.usage import CallRecord


def call(model: str, *passed_on: str, rejected: str = "", asked: str = "a>b") -> CallRecord:
    return CallRecord(
        model=model,
        prompt_tokens=1,
        completion_tokens=1,
        seconds=0,
        asked=asked,
        passed_on=passed_on,
        rejected=rejected,
    )


CALLS = (
    call("a"),
    call("a", rejected="not JSON"),
    call("a"),
    call("a", rejected="not JSON"),
    call("b", "a: not JSON"),
    call("b", "a: timeout"),
    call("a", rejected="empty"),
    call("b", "a: empty", "b: cut off", rejected="cut off"),
    call("x", asked=""),
)


def test_calls_are_counted_by_who_answered_and_why_others_did_not() -> None:
    (use,) = chain_uses(CALLS)
    assert use == ChainUse(
        chain="a>b",
        answered={"a": 2, "b": 2},
        unanswered=1,
        passed_on={"a": {"not JSON": 1, "timeout": 1, "empty": 1}, "b": {"cut off": 1}},
        drawn={"a": 5, "b": 3},
    )
    assert use.calls == 5


def test_it_is_said_in_a_table_and_in_a_sentence() -> None:
    uses = chain_uses(CALLS)
    assert chain_lines({"direct": uses, "single": ()})[2:] == [
        "| direct | a>b | a | 2 of 5 | 5 | 1 not JSON, 1 timeout, 1 empty |",
        "| direct | a>b | b | 2 of 5 | 3 | 1 cut off |",
        "",
    ]
    assert uses[0].in_words() == (
        "Calls of a>b by who answered: a 2 (passed on: 1 not JSON, 1 timeout, 1 empty), "
        "b 2 (passed on: 1 cut off), nobody 1."
    )


def test_a_member_that_never_was_reached_is_not_told_and_without_chains_nothing_is() -> None:
    (use,) = chain_uses([call("b", "a: unavailable")])
    assert use.models == ("a", "b")
    assert use.why("b") == ""
    assert chain_lines({"direct": chain_uses([call("x", asked="")])}) == []
