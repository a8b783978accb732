"""A space is asked for as Optuna asks, keeps what makes no difference fixed, and is hashed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from optimizers.space import SearchSpace, make_space

SPACE = make_space(
    {"temperature": (0.0, 0.7), "n": (1, 2, 3), "select": ("first", "assertions")},
    {"n": {"temperature": (0.7,)}, "select": {"n": (2, 3)}},
)


class Last:
    """A trial that takes the last choice, or a given one, and notes what it was asked."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked.append(name)
        return self.given.get(name, choices[-1])


def test_what_makes_no_difference_is_not_asked_for() -> None:
    cold, warm = Last(temperature=0.0), Last()
    assert SPACE.suggest(cold) == {"temperature": 0.0, "n": 1, "select": "first"}
    assert cold.asked == ["temperature"]
    assert SPACE.suggest(warm) == {"temperature": 0.7, "n": 3, "select": "assertions"}
    assert warm.asked == ["temperature", "n", "select"]


def test_a_dimension_comes_after_those_that_it_needs() -> None:
    choices: dict[str, Any] = {
        "select": ("first", "last"),
        "n": (1, 2),
        "x": (1,),
        "temperature": (0.0, 0.7),
    }
    needs: dict[str, Any] = {"select": {"n": (2,), "x": (1,)}, "n": {"temperature": (0.7,)}}
    space = make_space(choices, needs)
    assert [d.path for d in space.dimensions] == ["temperature", "n", "x", "select"]
    assert space.suggest(Last()) == {"temperature": 0.7, "n": 2, "x": 1, "select": "last"}
    free = make_space(choices, {})
    assert [d.path for d in free.dimensions] == list(choices)


def test_a_point_is_completed() -> None:
    completed = SPACE.complete({"n": 9, "temperature": 0.7, "other": 1})
    assert completed == {"temperature": 0.7, "n": 1, "select": "first"}


def test_the_fingerprint_tells_spaces_apart() -> None:
    other = make_space({"temperature": (0.0, 0.7), "n": (1, 2)}, {})
    free = make_space({d.path: d.choices for d in SPACE.dimensions}, {})
    assert len({SPACE.fingerprint, other.fingerprint, free.fingerprint}) == 3


class Given:
    """A trial that takes the choices it is given by place."""

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self.places[name]]


def enumerated(space: SearchSpace) -> int:
    places = [range(len(d.choices)) for d in space.dimensions]
    paths = [d.path for d in space.dimensions]
    trials = (Given(dict(zip(paths, chosen, strict=True))) for chosen in itertools.product(*places))
    return len({tuple(space.suggest(trial).items()) for trial in trials})


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Draw spaces whose conditions look at any earlier dimensions, met, half met or never."""
    values = st.integers(0, 3)
    choices: dict[str, list[int]] = {}
    needs: dict[str, dict[str, list[int]]] = {}
    for name in "abcde"[: draw(st.integers(1, 5))]:
        looked_at = draw(st.sets(st.sampled_from(sorted(choices)))) if choices else set()
        needs[name] = {p: draw(st.lists(values, max_size=3)) for p in sorted(looked_at)}
        choices[name] = draw(st.lists(values, min_size=1, max_size=4))
    return make_space(choices, needs)


@given(spaces())
def test_the_size_is_the_number_of_points(space: SearchSpace) -> None:
    assert space.size == enumerated(space)


def test_the_size_of_a_huge_space_is_counted_at_once() -> None:
    stages = range(8)
    choices: dict[str, Any] = {f"demos{i}": range(50) for i in stages}
    choices |= {f"nearest{i}": (False, True) for i in stages}
    needs = {f"nearest{i}": {f"demos{i}": range(1, 50)} for i in stages}
    started = time.perf_counter()

    assert make_space(choices, needs).size == (1 + 49 * 2) ** 8
    assert time.perf_counter() - started < 10
