"""What a spec's own text states, as constraints with spans.

Owns what becomes of the drafts that ``lift_sys.knowledge.reading`` finds: each is checked against
the function's signature and becomes an example, a property, a literal set, or a hint. Nothing is
guessed: what is ambiguous, or could be limited by its context, is a hint. Examples that contradict
each other are reported and become hints. Nothing is executed here; all time is linear in the text's
length.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import StrEnum

from lift_sys.ir.lint import Kind as AssertionKind
from lift_sys.ir.lint import lint
from lift_sys.ir.models import FunctionSignature
from lift_sys.knowledge.examples import Draft
from lift_sys.knowledge.phrases import Text
from lift_sys.knowledge.reading import read
from lift_sys.literals import literal_key, literal_type, parse_literal
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
    reading = read(spec, name, parameters)
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
    tolerance = 0.0
    if expected is not None and literal_type(expected) is float:
        tolerance = FLOAT_TOLERANCE * max(1.0, abs(parse_literal(expected)))
    return Case(args=args or "()", expected=expected, tolerance=tolerance)


def _parsed(source: str) -> object:
    try:
        return parse_literal(source)
    except ValueError:
        return None


def _outcome(case: Case) -> tuple[str | None, str]:
    return case.raises, literal_key(case.expected) if case.expected else ""


def _contradicting(
    made: Sequence[Constraint],
) -> tuple[list[Constraint], tuple[Contradiction, ...]]:
    """Turn examples with equal arguments and different outcomes into hints."""
    by_args: dict[str, list[Constraint]] = {}
    for constraint in made:
        if constraint.case:
            by_args.setdefault(literal_key(constraint.case.args), []).append(constraint)
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
