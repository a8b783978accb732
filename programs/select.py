"""Choosing among candidates without ever seeing a hidden case.

Owns the selection rules. A rule says whether it needs the candidates' code, when drawing more
cannot help, and which candidate to take. To add one: a class here and its name in ``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lift_sys.ir.models import SpecIR
from lift_sys.record import Record
from programs.agreement import Agreement


class Attempt(Record):
    """One candidate, as far as it got.

    Attributes:
        index: 0 for the first drawn.
        ir: The IR, where one was made.
        code: The code, where it was written.
        agreement: How IR and code agree, where that was checked.
        failure: Why it ended early, e.g. a truncated answer.
    """

    index: int
    ir: SpecIR | None = None
    code: str | None = None
    agreement: Agreement | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Rule:
    """A way to choose.

    Attributes:
        needs_code: Whether every candidate's code is written before choosing.
        score: Of a usable attempt; the highest wins, the earliest among equals.
        enough: Whether no further candidate needs to be drawn.
    """

    needs_code: bool
    score: Callable[[Attempt], tuple[float, ...]]
    enough: Callable[[Sequence[Attempt]], bool]

    def choose(self, attempts: Sequence[Attempt]) -> Attempt:
        """Return the best usable attempt; the last failed one if there is none."""
        usable = [a for a in attempts if a.failure is None]
        if not usable:
            return attempts[-1]
        return max(usable, key=lambda a: (self.score(a), -a.index))


def ir_quality(ir: SpecIR) -> float:
    """Score an IR by its form alone: the plan's formula for best-of-N (Part 4, technique 4).

    Returns:
        Points, 0 or more: ten for each assertion (at most 50), a tenth of the mean length of an
        effect in characters (at most 20), fifteen for each effect that says "literal" or "exact",
        ten for complete parameter types, ten for a return type.
    """
    lengths = [len(e.description) for e in ir.effects]
    words = [e.description.lower() for e in ir.effects]
    score = min(len(ir.assertions) * 10.0, 50.0)
    score += min(sum(lengths) / max(len(lengths), 1) / 10, 20.0)
    score += 15.0 * sum("literal" in text or "exact" in text for text in words)
    score += 10.0 * all(p.type_hint for p in ir.signature.parameters)
    return score + 10.0 * bool(ir.signature.returns)


def _first_usable(attempts: Sequence[Attempt]) -> bool:
    return attempts[-1].failure is None


def _agrees(attempts: Sequence[Attempt]) -> bool:
    last = attempts[-1]
    return last.agreement is not None and last.agreement.holds


def _agreement_score(attempt: Attempt) -> tuple[float, ...]:
    return tuple(float(x) for x in (attempt.agreement or Agreement()).rank)


RULES: dict[str, Rule] = {
    "first": Rule(needs_code=True, score=lambda _: (), enough=_first_usable),
    "quality": Rule(
        needs_code=False,
        score=lambda a: (ir_quality(a.ir),) if a.ir else (0.0,),
        enough=lambda _: False,
    ),
    "assertions": Rule(needs_code=True, score=_agreement_score, enough=_agrees),
}
