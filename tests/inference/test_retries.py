"""How long to wait before a request is sent again."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.retries import Retries, retry_after, worth_trying_again

NOW = 1_800_000_000.0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass(status: int) -> None:
    assert worth_trying_again(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 413, 422, 501])
def test_what_will_not_pass(status: int) -> None:
    assert not worth_trying_again(status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "-3"}, -3),
        ({"retry-after": formatdate(NOW + 9, usegmt=True)}, 9),
        ({"retry-after": "Wed, 99 Foo 2026 25:00:00 GMT"}, None),
    ],
)
def test_what_is_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_clock_that_is_wrong_does_not_matter_where_the_answer_has_a_date() -> None:
    headers = {
        "date": formatdate(NOW - 5000, usegmt=True),
        "retry-after": formatdate(NOW - 4990, usegmt=True),
    }

    assert retry_after(headers, NOW) == 10


@given(st.integers(1, 50), st.text() | st.integers().map(str) | st.floats().map(str))
def test_no_answer_makes_us_wait_too_long_or_not_at_all(failed: int, asked: str) -> None:
    wait = Retries(first=0.5, most=60).wait(failed, {"retry-after": asked})

    assert 0.25 <= wait <= 60


@pytest.mark.parametrize("when", [NOW - 1e9, 0.0, 4e9])
def test_a_date_in_the_past_or_far_away_is_clamped(when: float) -> None:
    wait = Retries(first=0.5, most=60).wait(1, {"retry-after": formatdate(when, usegmt=True)})

    assert 0.25 <= wait <= 60


def test_waits_double_and_spread() -> None:
    retries = Retries(first=1.0, most=8.0)
    drawn = [[retries.wait(failed) for _ in range(50)] for failed in range(1, 6)]

    for longest, waits in zip([1, 2, 4, 8, 8], drawn, strict=True):
        assert longest / 2 <= min(waits) < max(waits) <= longest
    assert len(set(drawn[0])) > 10


def test_more_is_waited_where_the_server_asks_for_it() -> None:
    assert 7 <= Retries(first=0.5).wait(1, {"retry-after": "7"}) <= 7.7
