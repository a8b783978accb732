"""What a spec's own text states, as constraints with spans.

Owns the reading of a whole spec: rules are tried at every token, what they find is checked and
becomes an example, a property, a literal set, or a hint. Nothing is guessed: what is ambiguous, or
could be limited by its context, is a hint. Examples that contradict each other are reported and
become hints. Nothing is executed here; all time is linear in the text's length.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from lift_sys.ir.lint import Kind as AssertionKind
from lift_sys.ir.lint import lint
from lift_sys.ir.models import FunctionSignature
from lift_sys.knowledge import clauses, examples, layouts, results
from lift_sys.knowledge.examples import Draft
from lift_sys.knowledge.phrases import Text
from lift_sys.knowledge.tokens import Kind, tokenize
from lift_sys.literals import parse_literal
from lift_sys.record import Record
from lift_sys.tasks import Case

FLOAT_TOLERANCE = 1e-9
"""Allowed difference from a float that a spec states, relative to it (absolute below 1)."""


class Form(StrEnum):
    """What can be done with a constraint."""

    EXAMPLE = "example"
    PROPERTY = "property"
    LITERAL_SET = "literal_set"
    HINT = "hint"


class Constraint(Record):
    """Something that the text states.

    Attributes:
        form: Its form.
        text: The piece of the spec that states it.
        start: Where that piece begins, in characters.
        end: Where it ends, exclusive.
        case: For an example: the call and what it must give.
        predicate: For a property or a literal set: an expression over the parameters and
            ``result``; for an example that returns: the call compared with the result.
        reason: For a hint: what it is about, or why it cannot be executed.
    """

    form: Form
    text: str
    start: int
    end: int
    case: Case | None = None
    predicate: str | None = None
    reason: str = ""


class Contradiction(Record):
    """Examples with equal arguments and different outcomes.

    Attributes:
        args: Literal text of the argument tuple.
        first: One of them, as written.
        second: Another one, as written.
    """

    args: str
    first: str
    second: str


class Extraction(Record):
    """All that one text states.

    Attributes:
        constraints: In the order of the text, without repetitions.
        contradictions: None of their examples is among the examples.
    """

    constraints: tuple[Constraint, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def examples(self) -> tuple[Case, ...]:
        """The examples as cases."""
        return tuple(c.case for c in self.constraints if c.case is not None)

    @property
    def predicates(self) -> tuple[str, ...]:
        """Everything that can be written as an assertion."""
        return tuple(c.predicate for c in self.constraints if c.predicate is not None)

    @property
    def hints(self) -> tuple[Constraint, ...]:
        """What cannot be executed."""
        return tuple(c for c in self.constraints if c.form is Form.HINT)


_IN_CODE = (layouts.doctest, examples.call)
_IN_PROSE = (
    layouts.input_and_output,
    examples.reversed_example,
    clauses.conditional,
    clauses.result_bound,
    results.one_of,
    clauses.ranged,
    examples.implied,
)
_STARTS = examples.STARTS | clauses.STARTS | results.STARTS
_WARY = frozenset(
    "currently wrongly incorrectly wrong bug mistake mistakenly approximately about roughly "
    "unlike sometimes".split()
)
"""Words of a sentence whose examples may be what must not happen, or not exact."""


# One answer asks several times: for the prompt, for every candidate's IR, for open questions.
@functools.lru_cache(maxsize=64)
def extract(spec: str, name: str, signature: FunctionSignature | None = None) -> Extraction:
    """Return what a spec states about a function.

    Args:
        spec: Any text.
        name: The function that the spec is about.
        signature: Its signature. Without one, only calls by name can be examples: which arguments a
            bare literal stands for is not known.
    """
    parameters = tuple(p.name for p in signature.parameters) if signature else None
    reading = _read(spec, name, parameters)
    text, drafts = reading.text, reading.drafts
    known = signature or FunctionSignature(name=name)
    made = [_constraint(text, draft, known) for draft in drafts]
    made, contradictions = _contradicting(made)
    closed = reading.closed
    if closed and all(_is_within(c, closed.values or ()) for c in made):
        made.append(_constraint(text, closed, known))
    made += [_constraint(text, hint, known) for hint in reading.hints]
    made.sort(key=lambda c: (c.start, c.end))
    unique: dict[object, Constraint] = {}
    for constraint in made:
        key = (constraint.form, constraint.predicate, constraint.case or constraint.text)
        unique.setdefault(key, constraint)
    return Extraction(constraints=tuple(unique.values()), contradictions=contradictions)


class _Reading(NamedTuple):
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
def _read(spec: str, name: str, parameters: tuple[str, ...] | None) -> _Reading:
    text = Text(spec, _tokens(spec, name), name, parameters)
    drafts = tuple(_drafts(text))
    hints = results.hints(text, [(d.first, d.last) for d in drafts])
    return _Reading(text, drafts, results.closed_set(text), tuple(hints))


_tokens = functools.lru_cache(maxsize=64)(tokenize)


def _drafts(text: Text) -> list[Draft]:
    """Try the rules at every token, each after the end of the last find."""
    drafts: list[Draft] = []
    wary = _wary_tokens(text)
    i = 0
    while i < len(text.tokens):
        found = next((f for rule in _rules(text, i) if (f := rule(text, i))), None)
        if found is None:
            i += 1
            continue
        if wary[i]:
            found = [Draft(d.first, d.last, reason="may not be meant exactly") for d in found[:1]]
        drafts += found
        i = max(i + 1, *(d.last for d in found))
    return drafts


def _rules(text: Text, i: int) -> Sequence[Callable[[Text, int], list[Draft] | None]]:
    """Return the rules that what stands there could begin; for most words there are none."""
    token = text.tokens[i]
    if token.kind in {Kind.BREAK, Kind.STOP}:
        return ()
    if token.code or token.kind in {Kind.PROMPT, Kind.CALL}:
        return _IN_CODE
    if i == 0 or text.is_kind(i - 1, Kind.BREAK):
        return (layouts.table, *_IN_CODE, *_IN_PROSE)
    if token.kind is Kind.LITERAL:
        return (*_IN_CODE, *_IN_PROSE)
    return _IN_PROSE if token.text in _STARTS or token.text in text.lowered else ()


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


def _constraint(text: Text, draft: Draft, signature: FunctionSignature) -> Constraint:
    """Check a draft and give it its form; one that does not hold together is a hint."""
    last = max(draft.last, draft.first + 1)
    start, end = text.tokens[draft.first].start, text.tokens[last - 1].end
    hint = Constraint(
        form=Form.HINT,
        text=text.spec[start:end],
        start=start,
        end=end,
        reason=draft.reason or "an example that is no call with literals",
    )
    if draft.reason is not None:
        return hint
    if draft.call or draft.args:
        case = _case(draft, signature)
        return _as_example(hint, case, signature.name) if case else hint
    predicate = f"result in ({', '.join(draft.values)})" if draft.values else draft.predicate
    finding = lint(predicate or "", signature)
    if finding.kind is AssertionKind.EXAMPLE:
        return _as_example(hint, _as_case(finding.args, finding.expected), signature.name)
    if finding.kind is AssertionKind.INFORMAL:
        return hint.model_copy(update={"reason": finding.reason})
    form = Form.LITERAL_SET if draft.values else Form.PROPERTY
    return hint.model_copy(update={"form": form, "predicate": finding.predicate, "reason": ""})


def _as_example(hint: Constraint, case: Case, name: str) -> Constraint:
    predicate = None if case.raises else case.render(name)
    update = {"form": Form.EXAMPLE, "case": case, "predicate": predicate, "reason": ""}
    return hint.model_copy(update=update)


def _case(draft: Draft, signature: FunctionSignature) -> Case | None:
    call = draft.call
    if draft.args is not None:
        count = len(signature.parameters)
        packed = len(draft.args) == 1 < count
        call = f"{signature.name}({f'*{draft.args[0]}' if packed else ', '.join(draft.args)})"
        if packed:
            values = _parsed(draft.args[0])
            if not isinstance(values, tuple) or len(values) != count:
                return None
            call = f"{signature.name}{draft.args[0]}"
    finding = lint(f"{call} == {draft.expected or 'None'}", signature)
    if finding.kind is not AssertionKind.EXAMPLE:
        return None
    if draft.raises:
        return Case(args=finding.args or "()", raises=draft.raises)
    return _as_case(finding.args, finding.expected)


def _as_case(args: str | None, expected: str | None) -> Case:
    number = _parsed(expected or "None")
    tolerance = FLOAT_TOLERANCE * max(1.0, abs(number)) if isinstance(number, float) else 0.0
    return Case(args=args or "()", expected=expected, tolerance=tolerance)


def _parsed(source: str) -> object:
    try:
        return parse_literal(source)
    except ValueError:
        return None


def _outcome(case: Case) -> tuple[str | None, str]:
    return case.raises, repr(_parsed(case.expected)) if case.expected else ""


def _contradicting(
    made: Sequence[Constraint],
) -> tuple[list[Constraint], tuple[Contradiction, ...]]:
    """Turn examples with equal arguments and different outcomes into hints."""
    by_args: dict[str, list[Constraint]] = {}
    for constraint in made:
        if constraint.case:
            by_args.setdefault(repr(_parsed(constraint.case.args)), []).append(constraint)
    found: list[Contradiction] = []
    against: set[int] = set()
    for group in by_args.values():
        outcomes = {_outcome(c.case): c for c in group if c.case}
        if len(outcomes) > 1:
            first, second = list(outcomes.values())[:2]
            args = first.case.args if first.case else "()"
            found.append(Contradiction(args=args, first=first.text, second=second.text))
            against |= {id(c) for c in group}
    kept = [_disputed(c) if id(c) in against else c for c in made]
    return kept, tuple(found)


def _disputed(constraint: Constraint) -> Constraint:
    reason = "contradicts another example"
    update = {"form": Form.HINT, "case": None, "predicate": None, "reason": reason}
    return constraint.model_copy(update=update)


def _is_within(constraint: Constraint, values: Sequence[str]) -> bool:
    """Tell whether an example's result is among the values."""
    case = constraint.case
    if case is None or case.raises:
        return True
    return repr(_parsed(case.expected or "")) in {repr(_parsed(v)) for v in values}
