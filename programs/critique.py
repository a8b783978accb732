"""What is wrong with an IR or its code, and which of the two is to blame.

Owns the issues that critics name, the critic that needs no model because it looks at what was
executed, and the rule of blame. Nothing is executed here, and hidden cases are unknown here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

from lift_sys.ir.lint import Finding, Kind, lint_ir
from lift_sys.ir.models import SpecIR
from lift_sys.literals import literal_key, parse_literal
from lift_sys.record import Record
from lift_sys.sandbox.assertions import Held, example_case
from lift_sys.sandbox.compare import equal
from lift_sys.tasks import Case

MAX_ISSUES = 5
"""Most issues that execution names at a time; more only cost tokens."""

Part = Literal["ir", "code"]


class Issue(Record):
    """One thing that is wrong, whoever found it.

    Attributes:
        category: A model's are those of ``lift_sys.ir.schema.IssueCategory``; execution finds
            ``failed_assertion``, ``contradiction`` and ``informal_assertion``.
        description: What is wrong.
        fix: What to do about it.
    """

    category: str
    description: str
    fix: str


@dataclass(frozen=True)
class Critique:
    """What a model finds in an IR.

    Attributes:
        issues: The worst ones.
        overall_quality: 0 (useless) to 10 (perfect).
    """

    issues: tuple[Issue, ...]
    overall_quality: int


def listed(issues: Sequence[Issue]) -> str:
    """Return issues as a model reads them: a line for each, with its fix."""
    return "\n".join(f"- {issue.description}: {issue.fix}" for issue in issues)


class Contradiction(NamedTuple):
    """A derived assertion, and what gives the same call another result.

    Attributes:
        derived: The assertion's text.
        other: The text of another derived assertion, or of a stated case.
        stated: Whether the other one is stated.
    """

    derived: str
    other: str
    stated: bool


@dataclass(frozen=True)
class Facts:
    """What execution and reading show of an IR and the code for it.

    Attributes:
        has_ir: Whether there is an IR.
        shown: Whether the code was written from it, or from the spec alone.
        held: Every assertion that was executed.
        contradictions: Of the IR with itself and with what is stated.
        informal: The IR's assertions that cannot be executed: text and reason.
    """

    has_ir: bool
    shown: bool
    held: tuple[Held, ...]
    contradictions: tuple[Contradiction, ...] = ()
    informal: tuple[tuple[str, str], ...] = ()

    def failed(self, *, stated: bool) -> list[Held]:
        """Return the assertions of one provenance that did not hold."""
        return [h for h in self.held if not h.ok and (h.provenance == "stated") == stated]


def facts_of(
    ir: SpecIR | None, stated: Sequence[Case], held: Sequence[Held], *, shown: bool
) -> Facts:
    """Gather what is known without hidden cases.

    Args:
        ir: The IR, where there is one.
        stated: The visible cases and the examples that the spec's text states.
        held: What came of executing these and the IR's assertions on the code.
        shown: Whether the code was written from the IR.
    """
    if ir is None:
        return Facts(has_ir=False, shown=False, held=tuple(held))
    derived = [f for a, f in lint_ir(ir) if a.provenance != "stated"]
    return Facts(
        has_ir=True,
        shown=shown,
        held=tuple(held),
        contradictions=tuple(_contradictions(derived, stated, ir.signature.name)),
        informal=tuple((f.predicate, f.reason) for f in derived if f.kind is Kind.INFORMAL),
    )


def _contradictions(
    derived: Sequence[Finding], stated: Sequence[Case], name: str
) -> list[Contradiction]:
    examples = [(f.predicate, example_case(f)) for f in derived if f.kind is Kind.EXAMPLE]
    found = [
        Contradiction(text, case.render(name), stated=True)
        for text, example in examples
        for case in stated
        if _contradict(example, case)
    ]
    refuted = {c.derived for c in found}
    return found + [
        Contradiction(text, other, stated=False)
        for (text, example), (other, another) in combinations(examples, 2)
        if not {text, other} & refuted and _contradict(example, another)
    ]


def _contradict(example: Case, other: Case) -> bool:
    """Tell whether two cases give the same arguments different outcomes."""
    if literal_key(example.args) != literal_key(other.args):
        return False
    if other.raises is not None:
        return True
    values = [parse_literal(case.expected or "None") for case in (example, other)]
    return not equal(values[0], values[1], other.tolerance or 0.0)


def blame(facts: Facts) -> Part:
    """Say what to repair, the IR or the code.

    What is stated is always right; of the assertions that a model derives, about three in four
    are; and where all that is stated holds on a piece of code, the code nearly always is right.
    Hence, in this order:

    1. Without an IR, or where nothing at all holds (code that does not run, say): the code.
    2. Something stated fails: the code; but the IR, if the code was written from it and returns
       what the IR wrongly asserts of that same call: then the code did as it was told.
    3. The IR contradicts itself or what is stated: the IR.
    4. Only derived assertions fail, and something stated held: the IR, whose assertions are now
       less sure than the code.
    5. Only derived assertions fail, and nothing is stated: the code if more than half of them
       fail, else the IR. That one of several is false is likelier than that the code is wrong and
       passes the others; that most are false is not.
    6. Nothing fails, some assertions cannot be executed: the IR.
    """
    holding = {h.predicate for h in facts.held if h.ok}
    if not facts.has_ir or (facts.held and not holding):
        return "code"
    refused = {h.predicate for h in facts.failed(stated=True)}
    if refused:
        told = {c.other for c in facts.contradictions if c.derived in holding}
        return "ir" if facts.shown and refused & told else "code"
    if facts.contradictions or any(h.provenance == "stated" for h in facts.held):
        return "ir"
    return "code" if 2 * len(facts.failed(stated=False)) > len(facts.held) else "ir"


BLAME: Mapping[str, Callable[[Facts], Part]] = {
    "ir": lambda _: "ir",
    "code": lambda _: "code",
    "blamed": blame,
}
"""What is repaired, by the value of the hyper ``repair``."""


def issues_of(facts: Facts, part: Part) -> tuple[Issue, ...]:
    """Return what is to be repaired in one part; nothing if there is none, or nothing is wrong.

    Code is told what is stated and fails; of derived assertions only where nothing stated fails,
    because a false one would lead it astray.
    """
    if part == "code":
        failed = facts.failed(stated=True) or facts.failed(stated=False)
        found = _failures(failed, "correct the function")
    elif facts.has_ir:
        found = [*_ir_contradictions(facts), *_ir_failures(facts), *_informal(facts)]
    else:
        found = []
    return tuple(found[:MAX_ISSUES])


def _failures(failed: Sequence[Held], fix: str) -> list[Issue]:
    """Return an issue for each way to fail: code that does not run fails everything alike."""
    by_reason: dict[str, list[str]] = {}
    for held in failed:
        by_reason.setdefault(held.found, []).append(held.predicate)
    return [
        Issue(
            category="failed_assertion",
            description=f"{', '.join(texts[:MAX_ISSUES])} does not hold ({reason})",
            fix=fix,
        )
        for reason, texts in by_reason.items()
    ]


def _ir_contradictions(facts: Facts) -> list[Issue]:
    return [
        Issue(
            category="contradiction",
            description=f"{c.derived} contradicts {c.other}"
            + (", which the specification states" if c.stated else ""),
            fix="keep what is stated, and steps that lead to it"
            if c.stated
            else "work both out from the specification and keep the true one",
        )
        for c in facts.contradictions
    ]


def _ir_failures(facts: Facts) -> list[Issue]:
    known = {text for c in facts.contradictions for text in (c.derived, c.other)}
    stated, derived = (
        [h for h in facts.failed(stated=of) if h.predicate not in known] for of in (True, False)
    )
    return [
        *_failures(stated, "it is stated, so say in the effects which step leads to it"),
        *_failures(derived, "work it out again; correct it if false, else say which step decides"),
    ]


def _informal(facts: Facts) -> list[Issue]:
    return [
        Issue(
            category="informal_assertion",
            description=f"{text} cannot be executed ({reason})",
            fix="write a call with literal arguments compared with its result",
        )
        for text, reason in facts.informal
    ]
