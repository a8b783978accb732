"""Drawing tokens: what each setting leaves to choose from, and that rows do not see each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra transformers")
sampling: Any = pytest.importorskip("lift_sys.inference.sampling")

pytestmark = pytest.mark.transformers

CPU = torch.device("cpu")
WIDTH = 8

rows = st.builds(
    sampling.Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    seed=st.integers(0, 2**32 - 2),
    top_k=st.sampled_from([0, -1, 1, 3, 40]),
    top_p=st.sampled_from([0.1, 0.5, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.5]),
)
logits = st.lists(
    st.floats(-5, 5, width=32) | st.just(float("-inf")), min_size=WIDTH, max_size=WIDTH
).filter(lambda values: max(values) > float("-inf"))


def draw(settings: list[Any], values: list[list[float]], times: int = 1) -> list[list[int]]:
    sampler = sampling.Sampler(CPU, len(values[0]))
    sampler.add(settings, times)
    return [sampler.draw(torch.tensor(values)).tolist() for _ in range(times)]


def allowed(row: Any, values: list[float]) -> set[int]:
    """Return what may be drawn, by the definitions of the settings, one after the other."""
    order = sorted(range(WIDTH), key=lambda i: -values[i])
    if row.temperature == 0:
        return {i for i in order if values[i] == values[order[0]]}
    kept = order[: row.top_k] if row.top_k > 0 else order
    likely = torch.tensor([values[i] for i in kept]).softmax(0).tolist()
    left, total = set(), 0.0
    for token, share in zip(kept, likely, strict=True):
        # A thousandth either way is a matter of rounding.
        if total < row.top_p + 1e-3 and share >= row.min_p * likely[0] - 1e-3:
            left.add(token)
        total += share
    return {token for token in left if values[token] > float("-inf")}


@given(st.lists(st.tuples(rows, logits), min_size=1, max_size=4))
def test_only_what_the_settings_leave_is_drawn(asked: list[tuple[Any, list[float]]]) -> None:
    for drawn in draw([row for row, _ in asked], [values for _, values in asked], times=5):
        for token, (row, values) in zip(drawn, asked, strict=True):
            assert token in allowed(row, values)


@given(st.lists(st.tuples(rows, logits), min_size=2, max_size=4))
def test_a_row_is_drawn_as_if_it_were_alone(asked: list[tuple[Any, list[float]]]) -> None:
    together = draw([row for row, _ in asked], [values for _, values in asked], times=4)
    for place, (row, values) in enumerate(asked):
        alone = draw([row], [values], times=4)
        assert [drawn[place] for drawn in together] == [drawn[0] for drawn in alone]


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    row = sampling.Sampling(temperature=2.0, seed=7, top_p=1.0, min_p=0.0)
    values = [2.0, 0.0, -2.0, 4.0]
    drawn = Counter(step[0] for step in draw([row], [values], times=4000))
    for token, share in enumerate(torch.tensor(values).div(2.0).softmax(0).tolist()):
        assert drawn[token] / 4000 == pytest.approx(share, abs=0.03)


def test_rows_that_leave_do_not_change_the_others() -> None:
    settings = [sampling.Sampling(temperature=1.0, seed=i, top_p=1.0) for i in range(3)]
    values = torch.zeros(3, WIDTH)
    whole = draw(settings, values.tolist(), times=6)
    sampler = sampling.Sampler(CPU, WIDTH)
    sampler.add(settings[:2], 6)
    first = [sampler.draw(values[:2]).tolist() for _ in range(3)]
    sampler.keep([1])
    sampler.add(settings[2:], 9)
    then = [sampler.draw(values[:2]).tolist() for _ in range(3)]
    assert first == [drawn[:2] for drawn in whole[:3]]
    assert [drawn[0] for drawn in then] == [drawn[1] for drawn in whole[3:]]
    assert [drawn[1] for drawn in then] == [drawn[2] for drawn in whole[:3]]


def test_penalties_count_what_was_generated() -> None:
    plain = sampling.Sampling()
    often = sampling.Sampling(frequency_penalty=0.6)
    once = sampling.Sampling(presence_penalty=0.6)
    drawn = draw([plain, often, once], [[1.0, 0.5, 0.0]] * 3, times=5)
    assert [step[0] for step in drawn] == [0, 0, 0, 0, 0]
    assert [step[1] for step in drawn] == [0, 1, 0, 2, 1]
    assert [step[2] for step in drawn] == [0, 1, 0, 0, 0]
