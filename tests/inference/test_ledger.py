from __future__ import annotations

import pytest

from lift_sys.inference.ledger import amount


@pytest.mark.parametrize(
    ("value", "name", "limit", "said"),
    [
        (12_345, "tokens", 3, "12,345 tokens"),
        (1_234.5, "usd", 2_000.0, "1,234.50 USD"),
        (0.031, "usd", 0.5, "0.03 USD"),
        (61.7, "seconds", 90.0, "62 seconds"),
        (0.0039, "usd", 0.004, "0.0039 USD"),
        (0.2, "seconds", 0.2, "0.20 seconds"),
        (1.25, "seconds", 1.0, "1.2 seconds"),
    ],
)
def test_a_small_limit_is_told_with_two_digits_at_least(
    value: float, name: str, limit: float, said: str
) -> None:
    assert amount(value, name, limit) == said
