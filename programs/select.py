"""Choosing among candidates without ever seeing a hidden case.

Owns the selection rules. A rule says whether it needs the candidates' code, when drawing more
cannot help, and which candidate to take. To add one: a ``Rule`` and its name in ``RULES``.

When a rule has enough:

- ``first``: at the first usable candidate. Exact: no later one would be taken.
- ``quality``: never. The points of an IR have no upper end, so any later one may have more.
- ``assertions``: at the first candidate on which something could be checked and all of it held.
  Exact: its rank is the highest there is, except where only stated assertions could be checked;
  then a later candidate could rank higher by derived ones that hold, and is not waited for.
- ``agreement``: when the rest cannot change the choice. Exact; ``consensus.is_settled`` has why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lift_sys.ir.models import SpecIR
from programs.agreement import Agreement
from programs.attempts import Attempt, Draw, usable
from programs.consensus import agreement_is_settled, agreement_scores

Scores = Sequence[tuple[float, ...]]


@dataclass(frozen=True)
class Rule:
    """A way to choose.

    Attributes:
        needs_code: Whether every candidate's code is written before choosing.
        scores: Of usable attempts, all together; the highest wins, the earliest among equals.
        enough: Whether no further candidate needs to be drawn.
    """

    needs_code: bool
    scores: Callable[[Sequence[Attempt], Draw], Scores]
    enough: Callable[[Sequence[Attempt], Draw], bool]

    def choose(self, attempts: Sequence[Attempt], draw: Draw) -> Attempt:
        """Return the best usable attempt; the last failed one if there is none.

        Raises:
            SandboxError: The rule executes code, and the sandbox failed.
        """
        candidates = usable(attempts)
        if not candidates:
            return attempts[-1]
        scored = zip(self.scores(candidates, draw), candidates, strict=True)
        return max(scored, key=lambda pair: (pair[0], -pair[1].index))[1]


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


def _each(
    score: Callable[[Attempt], tuple[float, ...]],
) -> Callable[[Sequence[Attempt], Draw], Scores]:
    """Return the scores of a rule that looks at one attempt at a time."""
    return lambda attempts, _: [score(a) for a in attempts]


def _quality(attempt: Attempt) -> tuple[float, ...]:
    return (ir_quality(attempt.ir),) if attempt.ir else (0.0,)


def _rank(attempt: Attempt) -> tuple[float, ...]:
    return tuple(float(x) for x in (attempt.agreement or Agreement()).rank)


def _convinces(attempts: Sequence[Attempt], draw: Draw) -> bool:
    latest = attempts[-1].agreement
    return latest is not None and latest.convinces(draw.stop_at)


RULES: dict[str, Rule] = {
    "first": Rule(
        needs_code=True,
        scores=_each(lambda _: ()),
        enough=lambda attempts, _: attempts[-1].failure is None,
    ),
    "quality": Rule(needs_code=False, scores=_each(_quality), enough=lambda *_: False),
    "assertions": Rule(
        needs_code=True,
        scores=_each(_rank),
        enough=_convinces,
    ),
    "agreement": Rule(needs_code=True, scores=agreement_scores, enough=agreement_is_settled),
}
