"""Running an IR's assertions on code: which of them hold?

Owns the execution of assertions. Expected values of examples are compared outside the sandbox,
like those of cases; properties are evaluated inside, on the arguments of the examples. What
follows from an assertion that does not hold is for others to say.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from lift_sys.ir.lint import Finding, Kind, lint_ir
from lift_sys.ir.models import Assertion, Provenance, SpecIR
from lift_sys.sandbox.base import Call, CallOutcome, Sandbox, Submission
from lift_sys.sandbox.codec import shorten
from lift_sys.sandbox.judge import judge
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
        kind: An example or a property.
        found: What the code did instead, e.g. ``expected 3, got 4``; empty where it held.
    """

    provenance: Provenance
    predicate: str
    ok: bool
    kind: Kind
    found: str = ""


def held_assertions(
    code: str,
    entry_point: str,
    ir: SpecIR | None,
    visible: Sequence[Case],
    sandbox: Sandbox,
) -> list[Held]:
    """Run the visible cases and the IR's executable assertions on the code, each once.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    linted = _distinct(ir, {case.render(entry_point) for case in visible}) if ir else []
    examples = [(a, f) for a, f in linted if f.kind is Kind.EXAMPLE]
    properties = [(a, f) for a, f in linted if f.kind is Kind.PROPERTY]
    cases = [*visible, *(example_case(f) for _, f in examples)]
    held: list[Held] = []
    if cases:
        verdict = judge(sandbox, code, entry_point, cases)
        outcomes = [(c.status is Status.PASSED, Kind.EXAMPLE, c.message) for c in verdict.cases]
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


@functools.lru_cache(maxsize=1024)  # an IR's examples are run on the code of every candidate
def example_case(example: Finding) -> Case:
    """Return an example as a case; it says ``==``, under which 500 is 500.0."""
    return Case(args=example.args or "()", expected=example.expected, tolerance=0.0)


def _distinct(ir: SpecIR, known: set[str]) -> list[tuple[Assertion, Finding]]:
    """Return the assertions that say what neither the known texts nor an earlier one says."""
    distinct: dict[str, tuple[Assertion, Finding]] = {}
    for assertion, finding in lint_ir(ir):
        if not {assertion.predicate, finding.predicate} & known:
            distinct.setdefault(finding.predicate, (assertion, finding))
    return list(distinct.values())


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
            what = (assertion.provenance, finding.predicate)
            held.append(Held(*what, not found, Kind.PROPERTY, found))
    return held


def _falsified(call: Call, outcome: CallOutcome) -> str:
    got = shorten(outcome.value) if outcome.status is Status.PASSED else outcome.message
    return f"false of the arguments {call.args}, got {got}"
