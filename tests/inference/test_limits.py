"""What is left of a budget."""

from __future__ import annotations

import pytest

from lift_sys.config import Budget
from lift_sys.inference.ledger import Spend
from lift_sys.inference.limits import reached, share_of


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (Spend(), None),
        (Spend(tokens=9, seconds=4.9), None),
        (Spend(tokens=10), "tokens"),
        (Spend(seconds=5), "seconds"),
        (Spend(usd=100), None),
    ],
)
def test_a_limit_is_reached_when_nothing_is_left_of_it(taken: Spend, name: str | None) -> None:
    assert reached(Budget(tokens=10, seconds=5), taken) == name


def test_a_share_is_what_is_left_and_no_more_tokens_than_asked_for() -> None:
    taken = Spend(tokens=4, usd=1, seconds=2)

    assert share_of(Budget(tokens=10, seconds=5), taken, 5) == Budget(tokens=5, seconds=3)
    assert share_of(Budget(tokens=10, usd=3), taken, 9) == Budget(tokens=6, usd=2)
    assert share_of(Budget(), taken, 1) == Budget()
