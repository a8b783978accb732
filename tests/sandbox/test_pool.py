"""Many callers share the workers, and nothing one of them does costs another."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lift_sys.errors import SandboxError
from lift_sys.sandbox import Limits, create_sandbox, judge, worker
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.worker import Worker, WorkerSpec, start_worker
from lift_sys.tasks import Case
from lift_sys.verdict import Status, Verdict

IDENTITY = "def f(x):\n    return x"
HANGING = "def f(x):\n    while True:\n        pass"
QUICK = Limits(call_seconds=0.5, total_seconds=1.0)


def ask(sandbox: PooledSandbox, value: int = 1, code: str = IDENTITY) -> Verdict:
    return judge(sandbox, code, "f", [Case(args=f"({value},)", expected=str(value))], QUICK)


@pytest.fixture
def started() -> list[Worker]:
    return []


@pytest.fixture
def make(started: list[Worker]) -> Iterator[Callable[..., PooledSandbox]]:
    made: list[PooledSandbox] = []

    def start() -> Worker:
        started.append(start_worker(WorkerSpec()))
        return started[-1]

    def build(workers: int = 1, recycle_after: int = 1000) -> PooledSandbox:
        made.append(PooledSandbox(start, workers=workers, recycle_after=recycle_after))
        return made[-1]

    yield build
    for sandbox in made:
        sandbox.close()


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_eight_threads_share_two_workers(make: Callable[..., PooledSandbox]) -> None:
    sandbox = make(workers=2)
    with ThreadPoolExecutor(8) as executor:
        verdicts = list(executor.map(lambda n: ask(sandbox, n), range(80)))
    assert all(verdict.passed for verdict in verdicts)
    assert [verdict.cases[0].actual for verdict in verdicts] == [str(n) for n in range(80)]


def test_a_hanging_candidate_costs_its_limit_and_nobody_elses(
    make: Callable[..., PooledSandbox],
) -> None:
    sandbox = make(workers=2)
    ask(sandbox)
    limits = Limits(call_seconds=3.0, total_seconds=30)
    case = [Case(args="(1,)", expected="1")]
    with ThreadPoolExecutor(1) as executor:
        hanging = executor.submit(judge, sandbox, HANGING, "f", case, limits)
        verdicts = [ask(sandbox, n) for n in range(20)]
        assert not hanging.done()
        verdict = hanging.result()
    assert all(other.passed for other in verdicts)
    assert verdict.status is Status.TIMEOUT
    assert 2.7 < verdict.seconds < 15


def test_asyncio_can_wait_without_blocking_its_loop(make: Callable[..., PooledSandbox]) -> None:
    sandbox = make(workers=2)

    async def main() -> list[Verdict]:
        return await asyncio.gather(*(asyncio.to_thread(ask, sandbox, n) for n in range(10)))

    assert all(verdict.passed for verdict in asyncio.run(main()))


def test_a_dead_worker_is_replaced(
    make: Callable[..., PooledSandbox], started: list[Worker]
) -> None:
    sandbox = make()
    os.kill(started[0].pid, signal.SIGKILL)
    assert ask(sandbox).passed
    assert len(started) == 2


def test_a_worker_that_hangs_is_replaced_then_reported(
    make: Callable[..., PooledSandbox], started: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_GRACE_SECONDS", 0.2)
    sandbox = make()
    os.kill(started[0].pid, signal.SIGSTOP)
    assert ask(sandbox).passed
    assert is_gone(started[0].pid)


def test_two_lost_workers_in_a_row_raise_and_the_pool_stays_usable(
    make: Callable[..., PooledSandbox], started: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make()

    def lose(self: Worker, *_: object) -> None:
        raise worker.WorkerLostError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "ask", lose)
        with pytest.raises(SandboxError, match="lost"):
            ask(sandbox)
    assert ask(sandbox).passed


def test_a_worker_is_recycled_after_so_many_candidates(
    make: Callable[..., PooledSandbox], started: list[Worker]
) -> None:
    sandbox = make(recycle_after=5)
    assert all(ask(sandbox, n).passed for n in range(12))
    assert len(started) == 3
    assert is_gone(started[0].pid)


def test_nothing_is_left_behind(make: Callable[..., PooledSandbox], started: list[Worker]) -> None:
    gc.collect()
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    sandbox = make(workers=3)
    with ThreadPoolExecutor(3) as executor:
        list(executor.map(lambda n: ask(sandbox, n), range(9)))
    assert ask(sandbox, 1, HANGING).status is Status.TIMEOUT
    sandbox.close()
    sandbox.close()
    assert {path.name for path in Path("/proc/self/fd").iterdir()} == before
    assert all(is_gone(one.pid) for one in started)
    with pytest.raises(SandboxError, match="the sandbox is closed"):
        ask(sandbox)


def test_closing_ends_a_running_candidate(make: Callable[..., PooledSandbox]) -> None:
    sandbox = make()
    limits = Limits(call_seconds=30, total_seconds=30)
    case = [Case(args="(1,)", expected="1")]
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(judge, sandbox, HANGING, "f", case, limits)
        time.sleep(0.3)
        sandbox.close()
        with pytest.raises(SandboxError):
            running.result(timeout=15)


def test_a_worker_outlives_the_thread_that_started_it(
    make: Callable[..., PooledSandbox], started: list[Worker]
) -> None:
    sandbox = make(workers=2)
    holding = threading.Barrier(2)

    def use() -> None:
        holding.wait()
        ask(sandbox, 1, HANGING)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.1)
    assert len(started) == 2
    assert all(ask(sandbox, n).passed for n in range(4))
    assert len(started) == 2


def test_a_fork_of_the_host_neither_uses_nor_ends_the_workers(
    make: Callable[..., PooledSandbox],
) -> None:
    sandbox = make()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ask(sandbox)
        except SandboxError:
            sandbox.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ask(sandbox).passed


@pytest.mark.parametrize(
    "limits",
    [
        {"call_seconds": 0.0},
        {"total_seconds": float("inf")},
        {"call_seconds": float("nan")},
        {"memory_bytes": 1 << 20},
        {"output_bytes": 0},
    ],
)
def test_limits_that_no_candidate_could_keep_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="validation error for Limits"):
        Limits.model_validate(limits)


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        create_sandbox(workers=0)
