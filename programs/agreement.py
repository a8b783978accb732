"""Do an IR and a piece of code agree? Decided by running the IR's assertions on the code.

Owns the execution of assertions. Expected values of examples are compared outside the sandbox,
like those of cases; properties are evaluated inside, on the arguments of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lift_sys.ir.lint import Finding, Kind, lint_ir
from lift_sys.ir.models import Assertion, SpecIR
from lift_sys.record import Record
from lift_sys.sandbox import judge
from lift_sys.sandbox.base import Call, CallOutcome, Sandbox, Submission
from lift_sys.sandbox.codec import shorten
from lift_sys.tasks import Case
from lift_sys.verdict import Status

MAX_PROPERTY_INPUTS = 12
"""Argument tuples on which each property is tried."""


class Held(NamedTuple):
    """An assertion that could be executed.

    Attributes:
        provenance: Where it comes from.
        predicate: Its text.
        ok: Whether it held.
        found: What the code did instead, e.g. ``expected 3, got 4``; empty where it held.
    """

    provenance: str
    predicate: str
    ok: bool
    found: str = ""


class Agreement(Record):
    """How many executable assertions held on a candidate.

    Attributes:
        stated_total: Assertions that the spec itself states (visible cases included).
        stated_held: Those of them that held.
        derived_total: Assertions that a model wrote and that could be executed.
        derived_held: Those of them that held.
        broken: The predicates that did not hold.
    """

    stated_total: int = 0
    stated_held: int = 0
    derived_total: int = 0
    derived_held: int = 0
    broken: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether something could be checked and all of it held."""
        return not self.broken and self.stated_total + self.derived_total > 0

    @property
    def rank(self) -> tuple[bool, float]:
        """Sort key: stated assertions are hard constraints, derived ones are votes."""
        derived = self.derived_held / self.derived_total if self.derived_total else 0.0
        return self.stated_held == self.stated_total, derived


def check_agreement(
    code: str,
    entry_point: str,
    ir: SpecIR | None,
    visible: Sequence[Case],
    sandbox: Sandbox,
) -> Agreement:
    """Count which of the visible cases and the IR's executable assertions hold on the code.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    return tally(held_assertions(code, entry_point, ir, visible, sandbox))


def held_assertions(
    code: str,
    entry_point: str,
    ir: SpecIR | None,
    visible: Sequence[Case],
    sandbox: Sandbox,
) -> list[Held]:
    """Run the visible cases and the IR's executable assertions on the code.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    known = {case.render(entry_point) for case in visible}
    linted = [(a, f) for a, f in lint_ir(ir) if a.predicate not in known] if ir else []
    examples = [(a, f) for a, f in linted if f.kind is Kind.EXAMPLE]
    properties = [(a, f) for a, f in linted if f.kind is Kind.PROPERTY]
    # An assertion says ``==``, under which 500 is 500.0; a visible case is exact.
    written = [Case(args=f.args or "()", expected=f.expected, tolerance=0.0) for _, f in examples]
    cases = [*visible, *written]
    held: list[Held] = []
    if cases:
        verdict = judge(sandbox, code, entry_point, cases)
        outcomes = [(c.status is Status.PASSED, c.message) for c in verdict.cases]
        held += [
            Held("stated", case.render(entry_point), *outcome)
            for case, outcome in zip(visible, outcomes, strict=False)
        ]
        held += [
            Held(a.provenance, f.predicate, *outcome)
            for (a, f), outcome in zip(examples, outcomes[len(visible) :], strict=True)
        ]
    if properties and cases and ir:
        names = tuple(p.name for p in ir.signature.parameters)
        submission = _property_calls(code, entry_point, names, properties, cases)
        held += _held_properties(submission, properties, sandbox)
    return held


def _property_calls(
    code: str,
    entry_point: str,
    names: tuple[str, ...],
    properties: Sequence[tuple[Assertion, Finding]],
    cases: Sequence[Case],
) -> Submission:
    inputs = list(dict.fromkeys(c.args for c in cases))[:MAX_PROPERTY_INPUTS]
    predicates = tuple(f.predicate for _, f in properties)
    calls = tuple(Call(args=args, predicates=predicates) for args in inputs)
    return Submission(code=code, entry_point=entry_point, calls=calls, parameters=names)


def _held_properties(
    submission: Submission, properties: Sequence[tuple[Assertion, Finding]], sandbox: Sandbox
) -> list[Held]:
    """Return each property that could be evaluated at least once, and whether it always held."""
    calls = zip(submission.calls, sandbox.execute(submission).outcomes, strict=True)
    evaluated = [(call, outcome) for call, outcome in calls if outcome.predicates]
    held: list[Held] = []
    for i, (assertion, finding) in enumerate(properties):
        known = [(c, o) for c, o in evaluated if o.predicates[i] is not None]
        if known:
            found = next((_falsified(c, o) for c, o in known if not o.predicates[i]), "")
            held.append(Held(assertion.provenance, finding.predicate, not found, found))
    return held


def _falsified(call: Call, outcome: CallOutcome) -> str:
    got = shorten(outcome.value) if outcome.status is Status.PASSED else outcome.message
    return f"false of the arguments {call.args}, got {got}"


def tally(held: Sequence[Held]) -> Agreement:
    """Count what held."""
    stated = [h.ok for h in held if h.provenance == "stated"]
    derived = [h.ok for h in held if h.provenance != "stated"]
    return Agreement(
        stated_total=len(stated),
        stated_held=sum(stated),
        derived_total=len(derived),
        derived_held=sum(derived),
        broken=tuple(h.predicate for h in held if not h.ok),
    )
