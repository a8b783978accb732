"""A vLLM server of our own on this machine: started, waited for, and stopped whatever happens.

Owns the process. What it is started with is ``lift_sys.inference.vllm_recipe``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from lift_sys.inference.vllm_recipe import ENTRY_POINT, VllmRecipe

START_LIMIT = 900.0
"""Seconds after which a server that does not answer is given up."""

STOP_LIMIT = 30.0
"""Seconds that a server has to end by itself."""


class Server(NamedTuple):
    """A server that answers.

    Attributes:
        url: Of its API, with ``/v1``.
        start_seconds: From its start to its first answer.
        pid: Of its first process.
    """

    url: str
    start_seconds: float
    pid: int


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    python: Path, recipe: VllmRecipe, environment: Mapping[str, str], log: Path
) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it with all its processes at the end.

    Args:
        python: Of an environment that has vLLM.
        recipe: What to serve.
        environment: Added to this process's own.
        log: File for what the server prints.

    Raises:
        RuntimeError: The server ended or did not answer in time; the message has its last lines.
    """
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own recipe
            [str(python), "-m", ENTRY_POINT, *recipe.arguments()],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A process group of its own: Ctrl-C reaches us first, and we end all of it.
            start_new_session=True,
        )
    try:
        _wait(process, f"http://{recipe.host}:{recipe.port}/health", log)
        url = f"http://{recipe.host}:{recipe.port}/v1"
        yield Server(url, time.perf_counter() - began, process.pid)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit:
        if process.poll() is not None:
            msg = f"the server ended with {process.returncode}:\n{_last_lines(log)}"
            raise RuntimeError(msg)
        try:
            if httpx.get(health, timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    msg = f"the server did not answer within {START_LIMIT:.0f} s:\n{_last_lines(log)}"
    raise RuntimeError(msg)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
