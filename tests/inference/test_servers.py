"""The choice among servers of the same model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.failures import EngineError, StatusError, TimedOutError, UnavailableError
from lift_sys.inference.retries import Retries
from lift_sys.inference.servers import Servers
from tests.contracts.fake_server import Behaviour, FakeServer, Fault

BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
ONCE = Retries(tries=1)
DOWN = Fault(503, {"error": {"message": "down"}})


@pytest.fixture
def fakes() -> Iterator[list[FakeServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeServer(Behaviour(latency=0.02))) for _ in range(3)]


def servers_of(fakes: list[FakeServer], rest: float = 60.0, seconds: float = 20.0) -> Servers:
    services = [Service("vLLM", fake.url, seconds=seconds) for fake in fakes]
    return Servers([Endpoint(service, ONCE) for service in services], rest=rest)


async def post(endpoint: Endpoint) -> str:
    await endpoint.post("/chat/completions", BODY)
    return endpoint.where


def counts(fakes: list[FakeServer]) -> list[int]:
    return [len(fake.bodies) for fake in fakes]


def test_the_one_with_the_fewest_requests_is_asked(fakes: list[FakeServer]) -> None:
    async def work() -> Counter[str]:
        servers = servers_of(fakes)
        asked = await asyncio.gather(*(servers.ask(post) for _ in range(9)))
        await servers.close()
        return Counter(asked)

    assert sorted(asyncio.run(work()).values()) == [3, 3, 3]
    assert [fake.most_in_flight for fake in fakes] == [3, 3, 3]


def test_a_slow_one_gets_less(fakes: list[FakeServer]) -> None:
    fakes[0].faults.append(Fault(seconds=0.5))

    async def work() -> None:
        servers = servers_of(fakes[:2])
        slow = asyncio.create_task(servers.ask(post))
        await asyncio.sleep(0)
        for _ in range(5):
            await servers.ask(post)
        await slow
        await servers.close()

    asyncio.run(work())
    assert counts(fakes) == [1, 5, 0]


def test_a_sick_one_is_left_out_and_its_work_done_by_another(fakes: list[FakeServer]) -> None:
    fakes[0].faults.extend([DOWN] * 9)

    async def work() -> None:
        servers = servers_of(fakes)
        for _ in range(6):
            await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert counts(fakes) == [1, 6, 0]


def test_one_that_is_well_again_gets_work_after_it_was_asked(fakes: list[FakeServer]) -> None:
    fakes[0].faults.append(DOWN)

    async def work() -> None:
        servers = servers_of(fakes[:2], rest=0.1)
        await servers.ask(post)
        await asyncio.sleep(0.15)
        await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert [path[:4] for path in fakes[0].paths] == ["POST", "GET ", "POST"]


def test_one_that_does_not_pass_its_check_stays_out(fakes: list[FakeServer]) -> None:
    async def work() -> None:
        servers = servers_of(fakes[:2], rest=0.05)
        await servers.ask(post)
        fakes[0].behaviour = Behaviour(key="changed")
        fakes[0].faults.append(DOWN)
        await servers.ask(post)
        for _ in range(3):
            await asyncio.sleep(0.06)
            await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert counts(fakes[:2]) == [2, 4]
    assert fakes[0].paths.count("GET /v1/models") == 3


def test_where_all_are_sick_each_is_asked_once_and_the_last_reason_told(
    fakes: list[FakeServer],
) -> None:
    for fake in fakes:
        fake.faults.extend([DOWN] * 2)

    async def work() -> None:
        servers = servers_of(fakes)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="down"):
                await servers.ask(post)
        await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert sum(counts(fakes)) == 7


def test_a_timeout_is_not_repeated_elsewhere(fakes: list[FakeServer]) -> None:
    fakes[0].faults.append(Fault(seconds=9))

    async def work() -> None:
        servers = servers_of(fakes, seconds=0.2)
        with pytest.raises(TimedOutError):
            await servers.ask(post)
        await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert counts(fakes) == [1, 1, 0]


def test_what_is_wrong_with_the_request_is_told_at_once(fakes: list[FakeServer]) -> None:
    fakes[0].faults.append(Fault(400, {"error": {"message": "bad"}}))

    async def work() -> None:
        servers = servers_of(fakes)
        with pytest.raises(StatusError, match="bad"):
            await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert counts(fakes) == [1, 0, 0]


def test_work_that_is_given_up_frees_its_place(fakes: list[FakeServer]) -> None:
    async def work() -> None:
        servers = servers_of(fakes[:2])
        await servers.ask(post)
        fakes[0].faults.append(Fault(seconds=9))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(servers.ask(post), 0.3)
        await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert counts(fakes) == [3, 0, 0]


def test_one_server_alone_is_asked_even_when_it_was_sick(fakes: list[FakeServer]) -> None:
    fakes[0].faults.append(DOWN)

    async def work() -> None:
        servers = servers_of(fakes[:1])
        with pytest.raises(EngineError):
            await servers.ask(post)
        await servers.ask(post)
        await servers.close()

    asyncio.run(work())
    assert fakes[0].paths == ["POST /v1/chat/completions"] * 2
