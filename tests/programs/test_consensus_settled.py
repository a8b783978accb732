"""When no further candidate matters, by trying every continuation of a drawing.

A model of its own: ballots are counted here, not by the code under test.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from programs.consensus import BROKEN, REFUTED, STANDING, Cluster, is_settled

Ballot = tuple[int, frozenset[int] | None]
"""A behaviour, and the behaviours that pass the one assertion it brings (``None``: it has none)."""

NEW = 2
"""A behaviour that nobody has shown yet and that passes every assertion so far."""

SUBSETS = [None, *(frozenset(s) for k in range(4) for s in itertools.combinations(range(3), k))]


def count(
    ballots: Sequence[Ballot], standings: Sequence[int], lengths: Sequence[int]
) -> list[Cluster]:
    firsts = {b: i for i, (b, _) in reversed(list(enumerate(ballots)))}
    return [
        Cluster(
            first=first,
            size=sum(b == behaviour for b, _ in ballots),
            standing=standings[behaviour],
            passed=sum(p is not None and behaviour in p for _, p in ballots),
            length=lengths[behaviour],
        )
        for behaviour, first in firsts.items()
    ]


def leader(ballots: Sequence[Ballot], standings: Sequence[int], lengths: Sequence[int]) -> int:
    return max(count(ballots, standings, lengths), key=lambda c: c.rank).first


@example([(0, None), (0, None)], (STANDING, STANDING), (1, 1), 1)  # a newcomer draws level, shorter
@example([(0, None), (1, None), (1, None), (1, None)], (STANDING, STANDING), (1, 1), 1)
@example([(0, None), (1, None)], (REFUTED, REFUTED), (2, 1), 1)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.one_of(st.none(), st.sampled_from([frozenset({NEW, *s}) for s in [(), [0], [1]]])),
        ),
        min_size=1,
        max_size=7,
    ),
    st.tuples(*[st.sampled_from([BROKEN, REFUTED, STANDING, STANDING, STANDING])] * 2),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(1, 2),
)
def test_drawing_ends_exactly_when_no_continuation_changes_the_choice(
    drawn: list[Ballot], standings: tuple[int, int], lengths: tuple[int, int], left: int
) -> None:
    known = (*standings, STANDING)
    code = (*lengths, 0)  # nothing is known of what nobody has written yet
    asserted = sum(passed is not None for _, passed in drawn)
    settled = is_settled(count(drawn, known, code), left, asserted, left)
    continuations = itertools.product(itertools.product(range(3), SUBSETS), repeat=left)
    chosen = {leader([*drawn, *more], known, code) for more in continuations}

    assert settled == (chosen == {leader(drawn, known, code)})
