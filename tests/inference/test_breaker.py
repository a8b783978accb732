"""A backend that keeps failing is left alone, and comes back by one call."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.breaker import Breaker, RestingError, breaker_of
from lift_sys.inference.failures import (
    CancelledError,
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
)

FAILURES, REST = 3, 10.0


def fail(error: BaseException | None) -> None:
    if error is not None:
        raise error


class World:
    """A breaker whose clock the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.breaker = Breaker(FAILURES, REST, lambda: self.now)

    def call(self, error: BaseException | None = None) -> str:
        """Return what became of a call."""
        try:
            with self.breaker.watch():
                fail(error)
        except RestingError:
            return "resting"
        except BaseException:  # noqa: BLE001 - an interruption as well
            return "failed"
        return "answered"

    def open(self) -> None:
        for _ in range(FAILURES):
            assert self.call(EngineError("down")) == "failed"


def test_it_rests_after_failures_in_a_row_and_asks_once_then() -> None:
    world = World()
    world.open()
    assert world.call() == "resting"
    world.now += REST
    assert world.call(TimedOutError("slow")) == "failed"
    assert world.call() == "resting"
    world.now += REST
    assert [world.call(), world.call(EngineError("down")), world.call()] == [
        "answered",
        "failed",
        "answered",
    ]


def test_an_answer_between_failures_keeps_it_closed() -> None:
    world = World()
    for _ in range(3 * FAILURES):
        assert world.call(EngineError("down")) == "failed"
        assert world.call() == "answered"


@pytest.mark.parametrize(
    "error", [PromptTooLongError("long"), StatusError("bad", 400), CancelledError("gone")]
)
def test_what_is_not_its_fault_does_not_count(error: Exception) -> None:
    world = World()
    for _ in range(2 * FAILURES):
        assert world.call(error) == "failed"
    assert world.call() == "answered"


def test_a_probe_that_its_caller_gave_up_leaves_the_next_call_to_decide() -> None:
    world = World()
    world.open()
    world.now += REST
    assert world.call(KeyboardInterrupt()) == "failed"
    assert world.call() == "answered"


def test_while_a_probe_is_on_its_way_nothing_else_is_asked() -> None:
    world = World()
    world.open()
    world.now += REST
    with world.breaker.watch():
        assert world.call() == "resting"
    assert world.call() == "answered"


def test_it_says_when_it_is_asked_again() -> None:
    world = World()
    world.open()
    world.now += 4
    with pytest.raises(RestingError, match="failed 3 times in a row; it is asked again in 6 s"):
        world.breaker.watch()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2 * REST)), max_size=40))
def test_never_more_failures_than_it_allows_within_a_rest(calls: list[tuple[bool, float]]) -> None:
    world = World()
    failed: list[float] = []
    for fails, wait in calls:
        world.now += wait
        became = world.call(EngineError("down") if fails else None)
        if became == "answered":
            failed.clear()
        elif became == "failed":
            failed.append(world.now)
            late = failed[FAILURES - 1 :]
            assert all(b - a >= REST for a, b in pairwise(late))
        else:
            assert len(failed) >= FAILURES
            assert world.now - failed[-1] < REST


def test_a_model_has_one_breaker_in_a_process() -> None:
    assert breaker_of("one") is breaker_of("one") is not breaker_of("two")
