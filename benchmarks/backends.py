"""What our client of a model server costs beside bare HTTP calls, and beside DSPy through LiteLLM.

Usage: ``python benchmarks/backends.py [--calls 1500] [--rounds 5] [--latency 0.02]``. A fake server
(``tests/contracts/fake_server.py``) in a process of its own answers after 20 ms. The ways are
measured in turn, round after round; of each the best round counts, which is the one that the rest
of the machine disturbed least.

- ``bare``: httpx with its pool, the body sent and the answer's text and usage read.
- ``bare, apart``: the same with a client for each call at once, so that its pool costs nothing.
- ``bare, aiohttp``: the same with a session of aiohttp, which carries our requests, too.
- ``engine``: the same request through ``ChatEngine`` with its cap, retries, time limit and ledger.
- ``engine, threads``: the same for callers that wait, one thread each.
- ``dspy.LM``: DSPy's own work on top of the engine.
- ``dspy.LM, LiteLLM``: what DSPy does by default.

On two cores, one of which the server took (Python 3.11, httpx 0.28, aiohttp 3.14)::

     1 at once            calls/s           ms a call    more  CPU ms
    bare                       44    +0.0%      22.76   +0.00    2.03
    bare, apart                45    +1.7%      22.38   -0.38    1.71
    bare, aiohttp              47    +6.8%      21.32   -1.45    0.68
    engine                     46    +3.6%      21.98   -0.79    1.30
    dspy.LM                    44    +0.3%      22.68   -0.08    2.03
    dspy.LM, LiteLLM           40    -8.2%      24.79   +2.02    4.03
    engine, threads            45    +2.7%      22.17   -0.59    1.45
    64 at once            calls/s           ms a call    more  CPU ms
    bare                      161    +0.0%     396.52   +0.00    6.18
    bare, apart              1598  +890.2%      40.04 -356.48    0.60
    bare, aiohttp            2749 +1603.0%      23.28 -373.24    0.15
    engine                   2274 +1308.7%      28.15 -368.38    0.41
    dspy.LM                  1333  +726.2%      48.00 -348.53    0.73
    dspy.LM, LiteLLM          505  +212.8%     126.75 -269.77    1.95
    engine, threads          1712  +960.5%      37.39 -359.13    0.53
    2000 calls: descriptors 305 -> 305, tasks 0 -> 0

At 64 at once the engine costs two thirds of what httpx alone costs without its pool, and makes 42 %
more calls. Of its 0.41 ms, aiohttp takes 0.15, and the types of httpx, which let a test take the
network's place, about 0.08; the rest is the way between threads, the cap, the time limit and the
ledger. Against aiohttp alone that is a sixth of the calls a second.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import dspy
import httpx
from dspy.lm15 import Config, Message, Request

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.inference.chat import chat_body  # noqa: E402
from lift_sys.inference.engine import AsyncChatEngine, ChatEngine  # noqa: E402
from lift_sys.inference.loop import submit  # noqa: E402
from lift_sys.inference.model_info import ModelInfo  # noqa: E402
from lift_sys.inference.usage import recording  # noqa: E402
from lift_sys.inference.vllm import connect  # noqa: E402

PROMPT = "Write a function that returns the larger of two numbers. " * 20
MOST = 64

Call = Callable[[int], Awaitable[Any]]


@contextmanager
def fake_server(latency: float) -> Iterator[str]:
    """Start the server and yield its URL."""
    words = [sys.executable, "-m", "tests.contracts.fake_server", "--latency", str(latency)]
    with subprocess.Popen(  # noqa: S603
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        try:
            yield line.strip()
        finally:
            process.terminate()


def request_of(seed: int) -> Request:
    """Return a request like those of a job."""
    config = Config(temperature=0.8, seed=seed, max_tokens=200)
    return Request(model="local/m", messages=(Message.user(PROMPT),), config=config)


@dataclass
class Ways:
    """Every way to make one call, each with its own connections."""

    url: str

    def __post_init__(self) -> None:
        info = ModelInfo(
            id="m", backend="vllm", name="small", urls=(self.url,), concurrency=MOST, timeout=60
        )
        self.engine = ChatEngine(connect(info, None), "m", concurrency=MOST)
        self.lm = dspy.LM(
            "local/m",
            engine=self.engine,
            async_engine=AsyncChatEngine(self.engine),
            cache=False,
            num_retries=0,
        )
        self.lite = dspy.LM(
            "openai/small", api_base=self.url, api_key="none", cache=False, num_retries=0
        )
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(limits=limits, timeout=60)
        self.idle: list[httpx.AsyncClient] = []
        self.session = submit(self._session()).result()
        self.body = {**chat_body(request_of(0)), "model": "small"}

    async def bare(self, seed: int) -> str:
        """Make a call with httpx alone."""
        return await self._bare(self.client, seed)

    async def bare_apart(self, seed: int) -> str:
        """Make a call with a client of httpx that nobody else uses meanwhile."""
        client = self.idle.pop() if self.idle else httpx.AsyncClient(timeout=60)
        try:
            return await self._bare(client, seed)
        finally:
            self.idle.append(client)

    async def bare_aiohttp(self, seed: int) -> str:
        """Make a call with aiohttp alone."""
        url, body = f"{self.url}/chat/completions", {**self.body, "seed": seed}
        async with self.session.post(url, json=body) as response:
            return _read(await response.json())

    async def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def _bare(self, client: httpx.AsyncClient, seed: int) -> str:
        response = await client.post(
            f"{self.url}/chat/completions", json={**self.body, "seed": seed}
        )
        return _read(response.json())

    async def ours(self, seed: int) -> Any:
        """Make a call with our engine."""
        return await self.engine.answer(request_of(seed))

    def close(self) -> None:
        """Close what our own ways have opened."""
        self.engine.close()
        submit(self._closed()).result()

    async def _closed(self) -> None:
        for each in (self.client, *self.idle):
            await each.aclose()
        await self.session.close()

    async def dspy_ours(self, seed: int) -> Any:
        """Make a call with DSPy over our engine."""
        return await self.lm.acall(PROMPT, temperature=0.8, seed=seed, max_tokens=200)

    async def dspy_lite(self, seed: int) -> Any:
        """Make a call with DSPy over LiteLLM."""
        return await self.lite.acall(PROMPT, temperature=0.8, seed=seed, max_tokens=200)


def _read(data: Any) -> str:
    return f"{data['choices'][0]['message']['content']} {data['usage']['prompt_tokens']}"


class Spent(NamedTuple):
    """What some calls took.

    Attributes:
        wall: Seconds from the first to the last.
        cpu: Seconds of this process.
    """

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """Do some work and return what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


async def run(call: Call, calls: int, concurrent: int) -> None:
    """Make so many calls, so many at once."""
    turns = iter(range(calls))

    async def worker() -> None:
        for seed in turns:
            await call(seed)

    await asyncio.gather(*(worker() for _ in range(concurrent)))


def run_threads(engine: ChatEngine, calls: int, concurrent: int) -> None:
    """Do the same with callers that wait."""
    with ThreadPoolExecutor(concurrent) as pool:
        made = [
            pool.submit(copy_context().run, engine.complete, request_of(seed))
            for seed in range(calls)
        ]
        for each in made:
            each.result()


def measure(ways: Ways, concurrent: int, calls: int, rounds: int) -> dict[str, Spent]:
    """Return the least that each way took."""
    in_loop: dict[str, Call] = {
        "bare": ways.bare,
        "bare, apart": ways.bare_apart,
        "bare, aiohttp": ways.bare_aiohttp,
        "engine": ways.ours,
        "dspy.LM": ways.dspy_ours,
        "dspy.LM, LiteLLM": ways.dspy_lite,
    }
    taken: dict[str, list[Spent]] = defaultdict(list)
    for _ in range(rounds):
        for name, call in in_loop.items():
            work = partial(run, call, calls, concurrent)
            taken[name].append(spent(lambda: submit(work()).result()))  # noqa: B023
        threads = partial(run_threads, ways.engine, calls, concurrent)
        taken["engine, threads"].append(spent(threads))
    return {
        name: Spent(min(t.wall for t in times), min(t.cpu for t in times))
        for name, times in taken.items()
    }


def table(concurrent: int, calls: int, least: dict[str, Spent]) -> str:
    """Return the figures of one number of concurrent calls."""
    head = f"{'calls/s':>9}{'':>9}{'ms a call':>11}{'more':>8}{'CPU ms':>8}"
    lines = [f"{concurrent:>2} at once{'':10}{head}"]
    bare = least["bare"]
    for name, took in least.items():
        each = took.wall / calls * 1000 * concurrent
        more = (took.wall - bare.wall) / calls * 1000 * concurrent
        rate = f"{calls / took.wall:9.0f}{(bare.wall / took.wall - 1) * 100:+8.1f}%"
        lines.append(f"{name:20}{rate}{each:11.2f}{more:+8.2f}{took.cpu / calls * 1000:8.2f}")
    return "\n".join(lines)


def left_over(ways: Ways, calls: int) -> str:
    """Return how many descriptors and tasks many calls leave."""
    before = _open_things()
    with recording(detached=True):
        submit(run(ways.ours, calls, MOST)).result()
    gc.collect()
    after = _open_things()
    return f"{calls} calls: descriptors {before[0]} -> {after[0]}, tasks {before[1]} -> {after[1]}"


def _open_things() -> tuple[int, int]:
    async def tasks() -> int:
        return len(asyncio.all_tasks()) - 1

    return len(list(Path("/proc/self/fd").iterdir())), submit(tasks()).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--calls", type=int, default=1500, help="of each way at 64 at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.02, help="of the server, in seconds")
    parser.add_argument("--left-over", type=int, default=10_000, help="calls to look what is left")
    asked = parser.parse_args()
    with fake_server(asked.latency) as url:
        ways = Ways(url)
        measure(ways, MOST, MOST * 2, 1)
        few = max(asked.calls // 15, 10)
        print(table(1, few, measure(ways, 1, few, asked.rounds)))
        print(table(MOST, asked.calls, measure(ways, MOST, asked.calls, asked.rounds)))
        print(left_over(ways, asked.left_over))
        ways.close()


if __name__ == "__main__":
    main()
