"""The posterior: what evidence does to it, and what the shipped counts are."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.ir.lint import Kind
from lift_sys.sandbox.assertions import Held
from programs.belief import Codes, Measured, Reliability, Votes, measured, reliability_of

counts = st.integers(0, 200)
codes = st.builds(Codes, right=counts, wrong=counts)


@st.composite
def votes(draw: st.DrawFn) -> Votes:
    right, wrong = draw(counts), draw(counts)
    return Votes(
        right_held=draw(st.integers(0, right)),
        right_total=right,
        wrong_held=draw(st.integers(0, wrong)),
        wrong_total=wrong,
    )


reliabilities = st.builds(
    Reliability,
    codes=codes,
    standing=codes,
    example=votes(),
    property=votes(),
    temper=st.floats(0, 1),
)
derived = st.builds(
    Held,
    st.just("derived"),
    st.just("f(1) == 2"),
    st.booleans(),
    st.sampled_from([Kind.EXAMPLE, Kind.PROPERTY]),
)
evidence = st.lists(derived, max_size=12)
STATED = Held("stated", "f(0) == 0", True, Kind.EXAMPLE)


def swapped(reliability: Reliability) -> Reliability:
    """Return the same with right and wrong exchanged."""
    return Reliability(
        codes=Codes(right=reliability.codes.wrong, wrong=reliability.codes.right),
        standing=Codes(right=reliability.standing.wrong, wrong=reliability.standing.right),
        example=_swapped(reliability.example),
        property=_swapped(reliability.property),
        temper=reliability.temper,
    )


def _swapped(found: Votes) -> Votes:
    return Votes(
        right_held=found.wrong_held,
        right_total=found.wrong_total,
        wrong_held=found.right_held,
        wrong_total=found.right_total,
    )


@given(reliabilities)
def test_without_evidence_the_prior_stays(known: Reliability) -> None:
    right, wrong = known.codes.right + 1, known.codes.wrong + 1
    assert known.posterior([]) == pytest.approx(right / (right + wrong))
    right, wrong = known.standing.right + 1, known.standing.wrong + 1
    assert known.posterior([STATED]) == pytest.approx(right / (right + wrong))


@given(reliabilities, evidence, st.sampled_from([Kind.EXAMPLE, Kind.PROPERTY]))
def test_one_more_that_held_never_lowers_it_where_right_code_keeps_more(
    known: Reliability, held: list[Held], kind: Kind
) -> None:
    of_kind = known.property if kind is Kind.PROPERTY else known.example
    more = [*held, Held("derived", "f(9) == 9", True, kind)]
    less = [*held, Held("derived", "f(9) == 9", False, kind)]
    if of_kind.log_ratio(True) >= 0:
        assert known.posterior(less) <= known.posterior(held) + 1e-12
        assert known.posterior(held) <= known.posterior(more) + 1e-12
    else:
        assert known.posterior(more) <= known.posterior(held) + 1e-12


@given(reliabilities, evidence)
def test_right_and_wrong_are_treated_alike(known: Reliability, held: list[Held]) -> None:
    assert swapped(known).posterior(held) == pytest.approx(1 - known.posterior(held), abs=1e-9)


@given(reliabilities, evidence, st.randoms())
def test_the_order_does_not_matter(known: Reliability, held: list[Held], random: object) -> None:
    shuffled = held.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert known.posterior(shuffled) == known.posterior(held)


@given(reliabilities, evidence)
def test_code_that_breaks_something_stated_is_wrong(known: Reliability, held: list[Held]) -> None:
    assert known.posterior([*held, STATED, STATED._replace(ok=False)]) == 0.0


@given(reliabilities, evidence)
def test_a_flat_temper_leaves_the_prior(known: Reliability, held: list[Held]) -> None:
    flat = known.model_copy(update={"temper": 0.0})
    assert flat.posterior(held) == pytest.approx(flat.posterior([]))


@given(reliabilities, evidence)
def test_it_is_a_probability(known: Reliability, held: list[Held]) -> None:
    assert 0 <= known.posterior(held) <= 1


def test_the_formula_by_hand() -> None:
    known = Reliability(
        codes=Codes(right=2, wrong=5),  # odds 1/2
        example=Votes(right_held=7, right_total=8, wrong_held=3, wrong_total=8),  # 0.8 and 0.4
        property=Votes(right_held=8, right_total=8, wrong_held=8, wrong_total=8),  # 0.9 and 0.9
        temper=0.5,
    )
    held = [
        Held("derived", "f(1) == 2", True, Kind.EXAMPLE),  # ratio 2
        Held("derived", "f(2) == 2", False, Kind.EXAMPLE),  # ratio 1/3
        Held("derived", "result > x", False, Kind.PROPERTY),  # ratio 1
    ]
    odds = 0.5 * math.sqrt(2 / 3)
    assert known.posterior(held) == pytest.approx(odds / (1 + odds))


def test_a_model_is_known_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    one, pooled = Reliability(temper=0.25), Reliability(temper=0.75)
    file = Measured(data_sha256="", tasks=0, models={"small": one}, pooled=pooled)
    monkeypatch.setattr("programs.belief.measured", lambda: file)

    assert reliability_of(SimpleNamespace(model="local/small")) is one
    assert reliability_of(SimpleNamespace(model="local/other")) is pooled
    assert reliability_of(None) is pooled


def test_the_shipped_counts_are_possible() -> None:
    shipped = measured()
    for known in (*shipped.models.values(), shipped.pooled):
        assert 0 <= known.temper <= 1
        assert known.standing.right <= known.codes.right
        assert known.standing.wrong <= known.codes.wrong
        for found in (known.example, known.property):
            assert found.right_held <= found.right_total
            assert found.wrong_held <= found.wrong_total
