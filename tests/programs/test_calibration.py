"""Fitting: counts are counted, and the temper finds how dependent assertions are."""

from __future__ import annotations

import random

import pytest

from lift_sys.ir.lint import Kind
from lift_sys.sandbox.assertions import Held
from programs.belief import Codes, Reliability, Votes
from programs.calibration import Judged, fit

STATED = Held("stated", "f(0) == 0", True, Kind.EXAMPLE)


def example(ok: bool) -> Held:
    return Held("derived", "f(1) == 2", ok, Kind.EXAMPLE)


def simulated(copies: int, q: float, r: float, n: int = 200) -> list[Judged]:
    """Return codes, half of them right, with one assertion repeated: ``copies`` that agree."""
    rng = random.Random(7)  # noqa: S311 (a simulation)
    return [
        Judged(right, (example(rng.random() < (q if right else r)),) * copies)
        for right in (i % 2 == 0 for i in range(n))
    ]


def test_what_is_counted() -> None:
    prop = Held("derived", "result > x", False, Kind.PROPERTY)
    found = fit(
        [
            Judged(True, (STATED, example(True), example(False))),
            Judged(False, (STATED, example(True), prop)),
            Judged(False, (STATED._replace(ok=False), example(False))),
            Judged(True, ()),
        ]
    )
    assert found.codes == Codes(right=2, wrong=2)
    assert found.standing == Codes(right=1, wrong=1)
    assert found.example == Votes(right_held=1, right_total=2, wrong_held=1, wrong_total=2)
    assert found.property == Votes(wrong_total=1)


def test_independent_assertions_keep_their_weight_and_copies_share_it() -> None:
    one = fit(simulated(1, 0.9, 0.3)).temper
    five = fit(simulated(5, 0.9, 0.3)).temper

    assert one > 0.9
    assert five == pytest.approx(one / 5, rel=0.1)


def test_worthless_assertions_lose_their_weight() -> None:
    assert fit(simulated(5, 0.6, 0.6)).temper < 0.1


def test_the_fit_is_calibrated_on_other_codes_of_the_same_kind() -> None:
    train, rest = simulated(4, 0.9, 0.3, 800)[:400], simulated(4, 0.9, 0.3, 800)[400:]
    known = fit(train)
    for ok in (True, False):
        group = [code.right for code in rest if code.held[0].ok is ok]
        assert known.posterior([example(ok)] * 4) == pytest.approx(
            sum(group) / len(group), abs=0.07
        )


@pytest.mark.parametrize("codes", [[], [Judged(True, ())], [Judged(False, (STATED,))] * 3])
def test_without_assertions_there_is_nothing_to_fit(codes: list[Judged]) -> None:
    found = fit(codes)
    assert (found.temper, found.example, found.property) == (1.0, Votes(), Votes())


def test_nothing_known_is_worth_nothing() -> None:
    assert Reliability().posterior([example(True)] * 9) == 0.5
