"""Work that runs ahead: begun in a fixed order, done once, and never left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.ahead import Ahead, Begun, Threads


@given(slots=st.integers(1, 64), tasks=st.integers(1, 200))
def test_enough_programs_are_in_flight_to_fill_the_slots(slots: int, tasks: int) -> None:
    ahead = Ahead(slots)
    programs = ahead.programs(tasks)
    if slots == 1:
        assert (programs, ahead.of_one, ahead.of_all) == (1, 1, 1)
    else:
        assert (programs - 1) * min(tasks, ahead.of_one) >= ahead.of_all >= 2 * slots


class Work:
    """Counts, by key, how often it was done."""

    def __init__(self) -> None:
        self.threads = Threads[str]()
        self.done: dict[str, str] = {}
        self.times = 0

    def begin(self, key: str, work: Callable[[], object] = bool, slots: int = 2) -> Begun[str]:
        def do() -> str:
            work()
            self.times += 1
            self.done[key] = key
            return key

        return self.threads.begin(key, lambda: self.done.get(key), do, lambda: slots)


def test_with_one_slot_work_is_done_by_whoever_takes_it() -> None:
    work, where = Work(), list[threading.Thread]()
    begun = work.begin("a", lambda: where.append(threading.current_thread()), slots=1)
    assert work.times == 0
    assert begun.take() == "a"
    assert where == [threading.current_thread()]


def test_equal_work_is_done_once_also_at_the_same_time() -> None:
    work, gate = Work(), threading.Event()
    first, second = work.begin("a", gate.wait), work.begin("a", gate.wait)
    gate.set()
    assert (first.take(), second.take(), work.begin("a").take()) == ("a", "a", "a")
    assert (first.reused, second.reused, work.begin("a").reused) == (False, True, True)
    assert work.times == 1


def test_what_runs_is_waited_for_and_after_a_failure_nothing_else_begins() -> None:
    work, gate = Work(), threading.Event()

    def fail() -> None:
        with work.threads.settled():
            for key in "bcdefg":
                work.begin(key, lambda: gate.wait(5))
            threading.Timer(0.1, gate.set).start()
            raise ValueError

    with work.threads.settled():
        work.begin("a", lambda: time.sleep(0.1))
    assert work.done == {"a": "a"}
    with pytest.raises(ValueError):  # noqa: PT011 (without words)
        fail()
    assert set(work.done) == set("abcde")


def test_an_interruption_waits_for_nobody() -> None:
    work, gate = Work(), threading.Event()

    def interrupt() -> None:
        with work.threads.settled():
            work.begin("a", lambda: gate.wait(20))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert work.done == {}
    gate.set()
