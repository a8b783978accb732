"""What a user wishes of a search: words and values are the same thing."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lift_sys.config import RunConfig
from lift_sys.wish import Cost, Wish

COSTS = st.sampled_from(get_args(Cost))
SHARES = st.floats(0, 100, exclude_min=True)
WISHES = st.one_of(
    st.just(Wish()),
    st.builds(Wish, cost=COSTS, limit=st.floats(0, 1e12, exclude_min=True)),
    st.builds(Wish, cost=st.none() | COSTS, points=SHARES),
    st.builds(Wish, cost=st.none() | COSTS, percent=SHARES),
)


@given(WISHES)
def test_a_wish_is_its_words(wish: Wish) -> None:
    assert Wish.model_validate(str(wish)) == wish
    assert Wish.model_validate_json(wish.model_dump_json()) == wish


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("best", {}),
        (" Best under usd = 0.002", {"cost": "usd", "limit": 0.002}),
        ("cheapest within 1 point", {"points": 1}),
        ("cheapest  within 2.5 points in seconds", {"points": 2.5, "cost": "seconds"}),
        ("cheapest with at least 85 %", {"percent": 85}),
        ("cheapest with at least 85% in usd", {"percent": 85, "cost": "usd"}),
    ],
)
def test_the_words(words: str, fields: dict[str, Any]) -> None:
    assert Wish.model_validate(words) == Wish(**fields)


@pytest.mark.parametrize("words", ["", "good", "best under 3", "best under euros=3", "cheapest"])
def test_other_words_are_refused_with_those_that_are_known(words: str) -> None:
    with pytest.raises(ValidationError, match=f"the wish '{words}' is not understood; say 'best'"):
        Wish.model_validate(words)


@pytest.mark.parametrize(
    "fields",
    [
        {"limit": 3},
        {"cost": "usd"},
        {"points": 2, "percent": 85},
        {"cost": "usd", "limit": 0},
        {"points": 101},
        {"percent": 0},
    ],
)
def test_what_no_words_say_is_no_wish(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Wish(**fields)


@pytest.mark.parametrize(
    ("objectives", "wish", "costs"),
    [
        ((), "best", ()),
        (("seconds", "tokens", "seconds"), "best", ("seconds", "tokens")),
        ((), "best under usd=1", ("usd",)),
        (("seconds",), "best under usd=1", ("seconds", "usd")),
        ((), "cheapest within 2 points", ("tokens",)),
        (("seconds",), "cheapest within 2 points", ("seconds",)),
        (("seconds",), "cheapest with at least 85 % in seconds", ("seconds",)),
    ],
)
def test_a_wish_adds_its_cost_to_the_objectives(
    objectives: tuple[Cost, ...], wish: str, costs: tuple[Cost, ...]
) -> None:
    job = RunConfig.model_validate({"objectives": objectives, "wish": wish})
    assert job.costs == costs
    plain = RunConfig(objectives=costs)
    assert job.content_hash({}) == plain.content_hash({})
    assert RunConfig.model_validate_json(job.model_dump_json()) == job
