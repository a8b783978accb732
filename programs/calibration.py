"""Counting and fitting the posterior that ``programs.belief`` computes.

Owns the step from judged codes to ``Reliability``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.optimize import minimize_scalar

from lift_sys.ir.lint import Kind
from lift_sys.sandbox.assertions import Held
from programs.belief import Codes, Reliability, Votes


class Judged(NamedTuple):
    """A code of train.

    Attributes:
        right: Whether it passed every hidden case.
        held: The assertions that were run on it.
    """

    right: bool
    held: tuple[Held, ...]

    @property
    def stands(self) -> bool:
        """Whether no stated assertion is broken."""
        return all(h.ok for h in self.held if h.provenance == "stated")


def fit(codes: Sequence[Judged]) -> Reliability:
    """Return the counts, and the temper that makes the codes' outcomes likeliest.

    A code's posterior is taken with the counts of all other codes: with its own among them the
    assertions would seem worth more than they are. Codes that break something stated do not take
    part, for no temper changes their posterior.
    """
    counts = _count(codes)
    points = []
    for i, code in enumerate(codes):
        if code.stands:
            others = _count([*codes[:i], *codes[i + 1 :]])
            stated = any(h.provenance == "stated" for h in code.held)
            prior = (others.standing if stated else others.codes).log_odds
            points.append((1 if code.right else -1, prior, others.evidence(code.held)))
    if not any(evidence for _, _, evidence in points):
        return counts

    def loss(temper: float) -> float:
        return math.fsum(math.log1p(math.exp(-s * (p + temper * e))) for s, p, e in points)

    temper = float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)
    return counts.model_copy(update={"temper": round(temper, 3)})


def _count(codes: Sequence[Judged]) -> Reliability:
    standing = [c for c in codes if c.stands and any(h.provenance == "stated" for h in c.held)]
    return Reliability(
        codes=_sorts(codes),
        standing=_sorts(standing),
        example=_votes(codes, Kind.EXAMPLE),
        property=_votes(codes, Kind.PROPERTY),
    )


def _sorts(codes: Sequence[Judged]) -> Codes:
    right = sum(code.right for code in codes)
    return Codes(right=right, wrong=len(codes) - right)


def _votes(codes: Sequence[Judged], kind: Kind) -> Votes:
    votes: dict[bool, list[bool]] = {True: [], False: []}
    for code in codes:
        votes[code.right] += [
            h.ok for h in code.held if h.provenance == "derived" and h.kind is kind
        ]
    return Votes(
        right_held=sum(votes[True]),
        right_total=len(votes[True]),
        wrong_held=sum(votes[False]),
        wrong_total=len(votes[False]),
    )
