"""Many calls leave nothing behind: no descriptor, no task, no thread."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from dspy.lm15 import Request, Response

from lift_sys.inference import vllm
from lift_sys.inference.breaker import Breaker
from lift_sys.inference.chain import ChainEngine
from lift_sys.inference.course import Member
from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.loop import submit
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from tests.contracts.backends import Backend, Rig, info_of, params
from tests.contracts.fake_server import FakeServer, Fault
from tests.contracts.test_answers import ask

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")


class Open(NamedTuple):
    """How many things of each kind are open."""

    descriptors: int
    tasks: int
    threads: int


def more(after: Open, before: Open) -> list[str]:
    """Return the kinds of which there are more than before."""
    pairs = zip(Open._fields, after, before, strict=True)
    return [kind for kind, now, then in pairs if now > then]


def test_fewer_of_one_kind_do_not_hide_more_of_another() -> None:
    assert more(Open(4, 9, 2), Open(5, 1, 2)) == ["tasks"]
    assert more(Open(5, 1, 3), Open(5, 1, 2)) == ["threads"]
    assert more(Open(4, 0, 2), Open(5, 1, 2)) == []


def open_things() -> Open:
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    count = submit(tasks()).result()
    return Open(len(list(DESCRIPTORS.iterdir())), count, threading.active_count())


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

    assert more(open_things(), before) == []


def closed_within(seconds: float, server: FakeServer) -> bool:
    until = time.monotonic() + seconds
    while server.open and time.monotonic() < until:
        time.sleep(0.01)
    return not server.open


def test_an_endpoint_that_nobody_holds_closes_its_connections() -> None:
    with FakeServer() as server:

        async def once() -> None:
            await Endpoint(Service("S", server.url), Retries(tries=1)).get("/models")

        submit(once()).result()
        gc.collect()

        assert closed_within(10, server)


@pytest.mark.parametrize("ends", ["closed", "dropped"])
@pytest.mark.parametrize(
    "backend", [param for param in params(fake=True) if param.id != "provider"]
)
def test_fifty_engines_leave_nothing(rig: Rig, backend: Backend, ends: str) -> None:
    """A connection that is left to the garbage collector is a warning, which fails the test."""
    if rig.again is None:
        return
    assert rig.server is not None
    rig.again().complete(ask())
    rig.engine.close()
    gc.collect()
    assert closed_within(10, rig.server)
    before = open_things()
    for _ in range(50):
        engine = rig.again()
        engine.complete(ask())
        assert rig.server.open
        if ends == "closed":
            engine.close()
            assert closed_within(10, rig.server)
    del engine
    gc.collect()

    assert closed_within(10, rig.server)
    assert more(open_things(), before) == []


def test_an_engine_that_was_closed_opens_new_connections() -> None:
    with FakeServer() as server:
        engine = ChatEngine(vllm.connect(info_of(server), None), "m")
        for _ in range(2):
            assert engine.complete(ask()).message.text
            engine.close()
            engine.close()
            assert closed_within(10, server)


def test_a_chain_closes_its_members() -> None:
    with FakeServer() as server:
        engine = ChatEngine(vllm.connect(info_of(server), None), "m")
        members = [Member(info_of(server), each, "local/m", Breaker()) for each in (engine, Mute())]
        chain = ChainEngine(ModelInfo(id="chain", backend="chain", name="chain"), members)
        assert chain.complete(ask()).message.text
        chain.close()

        assert closed_within(10, server)


class Mute:
    concurrency = 1

    def complete(self, _: Request) -> Response:
        raise AssertionError


UNCLOSED = """
import sys
from lift_sys.inference import vllm
from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.model_info import ModelInfo
from tests.contracts.test_answers import ask
info = ModelInfo(id="m", backend="vllm", name="small", urls=(sys.argv[1],), timeout=20)
engines = [ChatEngine(vllm.connect(info, None), "m") for _ in range(3)]
for engine in engines:
    engine.complete(ask())
"""


def test_a_process_that_ends_closes_what_is_open_and_says_nothing() -> None:
    with FakeServer() as server:
        command = [sys.executable, "-X", "dev", "-W", "always::ResourceWarning", "-c", UNCLOSED]
        ended = subprocess.run(
            [*command, server.url], cwd=ROOT, capture_output=True, text=True, check=True
        )
        lines = [line for line in ended.stderr.splitlines() if "nclosed" in line]

        assert lines == []
        assert len(server.bodies) == 3
