"""Many calls leave nothing behind: no descriptor, no task, no thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest

from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.loop import submit
from lift_sys.inference.retries import Retries
from tests.contracts.backends import Rig, params
from tests.contracts.fake_server import FakeServer, Fault
from tests.contracts.test_answers import ask

DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")


def open_things() -> tuple[int, int, int]:
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    count = submit(tasks()).result()
    return len(list(DESCRIPTORS.iterdir())), count, threading.active_count()


@pytest.mark.slow
@pytest.mark.parametrize("backend", [param for param in params(fake=True) if param.id == "vllm"])
def test_ten_thousand_calls_leave_nothing(rig: Rig) -> None:
    assert rig.server is not None
    server = rig.server

    async def calls(count: int) -> None:
        turns = iter(range(count))

        async def worker() -> None:
            for seed in turns:
                await rig.async_engine.complete(ask(seed=seed))

        await asyncio.gather(*(worker() for _ in range(8)))

    submit(calls(100)).result()
    before = open_things()
    for _ in range(10):
        server.bodies.clear()
        for fault in (Fault(drop=True), Fault(429), Fault(sent=9)):
            server.faults.extend([fault, *[Fault()] * 99])
        submit(calls(1000)).result()

    assert open_things() <= before


def test_an_endpoint_that_nobody_holds_closes_its_connections() -> None:
    with FakeServer() as server:
        before = len(server.open)

        async def once() -> None:
            await Endpoint(Service("S", server.url), Retries(tries=1)).get("/models")

        submit(once()).result()
        gc.collect()
        until = time.monotonic() + 5
        while len(server.open) > before and time.monotonic() < until:
            time.sleep(0.01)

        assert len(server.open) == before == 0
