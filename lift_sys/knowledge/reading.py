"""Reading a whole spec: which rule is tried where, and what all of them find.

Owns the order of the rules and the sentences in which an example may not be meant. What was found
is not checked here, so a reading depends on the function's parameters but not on their types.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lift_sys.knowledge import clauses, examples, layouts, results
from lift_sys.knowledge.examples import Draft
from lift_sys.knowledge.phrases import Text
from lift_sys.knowledge.tokens import Kind, Token, tokenize

Rule = Callable[[Text, int], list[Draft] | None]

_IN_CODE = (layouts.doctest, examples.call)
_STARTS = {
    layouts.input_and_output: layouts.INPUT_STARTS,
    examples.reversed_example: examples.REVERSED_STARTS,
    clauses.conditional: clauses.CONDITION_STARTS,
    clauses.result_bound: clauses.RESULT_STARTS,
    results.one_of: results.CHOICE_STARTS,
    clauses.ranged: clauses.RANGE_STARTS,
    examples.implied: examples.IMPLIED_STARTS,
}
"""The rules for prose, in the order in which they are tried, and the words that may begin them."""
_IN_PROSE = tuple(_STARTS)
_AT_WORD = {
    word: tuple(rule for rule, starts in _STARTS.items() if word in starts)
    for word in frozenset().union(*_STARTS.values())
}
_AT_LITERAL = (examples.call, examples.reversed_example, clauses.ranged, examples.implied)
_WARY = frozenset(
    "currently wrongly incorrectly wrong bug mistake mistakenly approximately about roughly "
    "unlike sometimes".split()
)
"""Words of a sentence whose examples may be what must not happen, or not exact."""


class _Outline(NamedTuple):
    """What a text is like for a function with any parameters.

    Attributes:
        tokens: Its tokens.
        rules: For each of them, the rules that it could begin.
        wary: Marks those in sentences in which an example may not be meant.
        clauses: What may be worth a hint.
    """

    tokens: tuple[Token, ...]
    rules: tuple[Sequence[Rule], ...]
    wary: bytearray
    clauses: tuple[results.Clause, ...]


class Reading(NamedTuple):
    """What the rules find in a text, before it is checked against a signature.

    Attributes:
        text: The text.
        drafts: In its order.
        closed: The only results that it allows, if it names them.
        hints: What cannot be executed.
    """

    text: Text
    drafts: tuple[Draft, ...]
    closed: Draft | None
    hints: tuple[Draft, ...]


# An IR and code may give a function the same parameters and other types.
@functools.lru_cache(maxsize=64)
def read(spec: str, name: str, parameters: tuple[str, ...] | None) -> Reading:
    """Return what the rules find in a spec.

    Args:
        spec: Any text.
        name: The function that the spec is about.
        parameters: Its parameters in order, or None where they are not known.
    """
    outline = _outline(spec, name)
    text = Text(spec, outline.tokens, name, parameters)
    drafts = tuple(_drafts(text, outline))
    hints = results.hints(outline.clauses, [(d.first, d.last) for d in drafts])
    return Reading(text, drafts, results.closed_set(text), tuple(hints))


# One answer reads a spec two to five times, for the parameters of each of its IRs and functions.
@functools.lru_cache(maxsize=64)
def _outline(spec: str, name: str) -> _Outline:
    text = Text(spec, tokenize(spec, name), name)
    rules = tuple(_rules(text, i) for i in range(len(text.tokens)))
    return _Outline(text.tokens, rules, _wary_tokens(text), tuple(results.clauses_of(text)))


def _drafts(text: Text, outline: _Outline) -> list[Draft]:
    """Try the rules at every token, each after the end of the last find."""
    drafts: list[Draft] = []
    last = 0
    for i, usual in enumerate(outline.rules):
        if i < last:
            continue
        rules = _rules(text, i) if text.tokens[i].text in text.lowered else usual
        found = next((f for rule in rules if (f := rule(text, i))), None)
        if found is None:
            continue
        if outline.wary[i]:
            found = [Draft(d.first, d.last, reason="may not be meant exactly") for d in found[:1]]
        drafts += found
        last = max(d.last for d in found)
    return drafts


def _rules(text: Text, i: int) -> Sequence[Rule]:
    """Return the rules that what stands there could begin; for most words there are none."""
    token = text.tokens[i]
    if token.kind is Kind.BREAK or token.kind is Kind.STOP:
        return ()
    if token.code or token.kind is Kind.PROMPT or token.kind is Kind.CALL:
        return _IN_CODE
    if token.kind is Kind.LITERAL:
        rules: tuple[Rule, ...] = _AT_LITERAL
    else:
        rules = _IN_PROSE if token.text in text.lowered else _AT_WORD.get(token.text, ())
    begins_line = i == 0 or text.is_kind(i - 1, Kind.BREAK)
    return (layouts.table, *rules) if begins_line and "|" in text.spec else rules


def _wary_tokens(text: Text) -> bytearray:
    """Mark the tokens of the sentences in which an example may not be meant."""
    marks = bytearray(len(text.tokens))
    first = 0
    wary = False
    for i, token in enumerate(text.tokens):
        wary |= token.kind is Kind.WORD and token.text in _WARY
        paragraph = token.kind is Kind.BREAK and text.is_kind(i + 1, Kind.BREAK)
        if token.kind is Kind.STOP or paragraph or i == len(text.tokens) - 1:
            if wary:
                marks[first : i + 1] = b"\1" * (i + 1 - first)
            first, wary = i + 1, False
    return marks
