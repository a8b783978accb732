"""A space is asked for as Optuna asks, keeps what makes no difference fixed, and is hashed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizers.space import make_space

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
