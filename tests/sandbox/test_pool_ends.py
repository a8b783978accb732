"""However the host ends, its workers end with it, and Ctrl-C is for the host alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest


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


_SCRIPT = """
import sys, time
from lift_sys.sandbox import Limits, create_sandbox, judge
from lift_sys.tasks import Case
sandbox = create_sandbox()
print(*(worker.pid for worker in sandbox._live), flush=True)
limits = Limits(call_seconds=60, total_seconds=60)
case = [Case(args="(1,)", expected="1")]
{body}
"""


def start_script(body: str) -> tuple[subprocess.Popen[str], int]:
    code = _SCRIPT.format(body=textwrap.dedent(body))
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )
    assert process.stdout
    return process, int(process.stdout.readline())


LOOP = 'judge(sandbox, "def f(x):\\n    while 1: pass", "f", case, limits)'


def test_ctrl_c_ends_the_wait_and_the_pool_stays_usable() -> None:
    process, pid = start_script(f"""
        print("waiting", flush=True)
        try:
            {LOOP}
        except KeyboardInterrupt:
            print(judge(sandbox, "def f(x): return x", "f", case).passed, flush=True)
            sandbox.close()
    """)
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the whole group
    out, err = process.communicate(timeout=30)  # the candidate has 60 s
    assert (out, err, process.returncode) == ("True\n", "", 0)
    assert is_gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_host_that_dies_takes_everything_with_it(number: signal.Signals) -> None:
    process, pid = start_script(f"""
        print("waiting", flush=True)
        {LOOP}
    """)
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.3)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    process.send_signal(number)
    process.communicate(timeout=10)
    assert children
    assert is_gone(pid)
    assert all(is_gone(int(child)) for child in children)


def test_leaving_the_interpreter_closes_the_workers_without_a_warning() -> None:
    process, pid = start_script('judge(sandbox, "def f(x): return x", "f", case)')
    _, err = process.communicate(timeout=10)
    assert (err, process.returncode) == ("", 0)
    assert is_gone(pid)
