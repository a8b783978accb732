"""What the spec's own text states, put where the program uses it.

Owns how extracted constraints enter an IR, the agreement and the IR stage's prompt, and what they
contradict. What states nothing (``Extraction()``) changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from lift_sys.ir.lint import Kind, lint
from lift_sys.ir.models import Assertion, SpecIR
from lift_sys.knowledge.constraints import Contradiction, Extraction
from lift_sys.literals import literal_key, parse_literal
from lift_sys.tasks import Case

MAX_HINTS = 8
"""Most hints that a prompt carries."""
MAX_HINT_CHARS = 200
"""Longest hint that a prompt carries, in characters; longer ones only repeat the spec."""


def with_hints(spec: str, extraction: Extraction) -> str:
    """Return the spec, followed by the hints found in it, which are labelled as such."""
    hints = [h for h in extraction.hints if len(h.text) <= MAX_HINT_CHARS][:MAX_HINTS]
    if not hints:
        return spec
    lines = [f"- {h.reason}: {' '.join(h.text.split())}" for h in hints]
    return f"{spec}\nHints from the text, not checked:\n" + "\n".join(lines)


def with_stated(ir: SpecIR, visible: Sequence[Case], extraction: Extraction) -> SpecIR:
    """Put what is stated first among the assertions; what it repeats is left out.

    Args:
        ir: As a model wrote it.
        visible: Cases that come with the task; those that raise have no form as assertion.
        extraction: What the text states.
    """
    name = ir.signature.name
    cases = [case.render(name) for case in visible if case.raises is None]
    taken = {literal_key(case.args) for case in visible}
    found = {
        _meaning(c.predicate, ir): c.predicate
        for c in extraction.constraints
        if c.predicate is not None and not (c.case and literal_key(c.case.args) in taken)
    }
    derived = [
        a
        for a in ir.assertions
        if a.predicate not in cases and not (found and _meaning(a.predicate, ir) in found)
    ]
    stated = [Assertion(predicate=p, provenance="stated") for p in (*cases, *found.values())]
    return ir.model_copy(update={"assertions": (*stated, *derived)})


def contradictions(
    name: str, visible: Sequence[Case], extraction: Extraction
) -> tuple[Contradiction, ...]:
    """Return where what the text states contradicts itself or a visible case.

    A contradiction within the text is settled by a visible case of the same arguments.
    """
    by_args = {literal_key(case.args): case for case in visible}
    found = [c for c in extraction.contradictions if literal_key(c.args) not in by_args]
    for constraint in extraction.constraints:
        said = constraint.case
        case = by_args.get(literal_key(said.args)) if said else None
        if said and case and not _agree(case, said):
            against = case.render(name)
            found.append(Contradiction(args=case.args, first=constraint.text, second=against))
    return tuple(found)


def stated_cases(visible: Sequence[Case], extraction: Extraction) -> tuple[Case, ...]:
    """Return the visible cases and the extracted examples of other arguments.

    A visible case is exact and comes with the task: where the text says something else of the same
    arguments, the case stands.
    """
    taken = {literal_key(case.args) for case in visible}
    return (*visible, *(c for c in extraction.examples if literal_key(c.args) not in taken))


def _agree(first: Case, second: Case) -> bool:
    if first.raises or second.raises:
        return first.raises == second.raises
    values = [parse_literal(case.expected or "None") for case in (first, second)]
    return bool(values[0] == values[1])


def _meaning(predicate: str, ir: SpecIR) -> str:
    """Return what is equal for assertions that say the same."""
    finding = lint(predicate, ir.signature)
    if finding.kind is not Kind.EXAMPLE:
        return finding.predicate
    return f"{literal_key(finding.args or '()')} {literal_key(finding.expected or 'None')}"
