from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lift_sys.inference.leases import Alone, once


def test_what_several_want_is_made_once() -> None:
    leases, store, made = Alone(), dict[str, int](), list[int]()
    start = threading.Barrier(8)

    def make() -> int:
        time.sleep(0.02)
        made.append(1)
        store["k"] = len(made)
        return store["k"]

    def want(_: int) -> int:
        start.wait()
        return once(leases, "k", lambda: store.get("k"), make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(want, range(8))) == [1] * 8
    assert len(made) == 1


def test_what_could_not_be_made_is_made_by_the_next() -> None:
    leases, store = Alone(), dict[str, int]()

    def fail() -> int:
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        once(leases, "k", lambda: store.get("k"), fail)

    assert once(leases, "k", lambda: store.get("k"), lambda: 2) == 2


def test_different_keys_do_not_wait_for_each_other() -> None:
    leases = Alone()

    with leases.hold("a") as a, leases.hold("b") as b:
        assert (a, b) == (True, True)
