"""The benchmark of the search measures all that it says it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_the_table_has_overhead_memory_resume_a_miss_and_slots() -> None:
    options = "--trials 20 --tasks 3 --slots 4 --slot-trials 4 --latency 0.01".split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "search.py"), *options],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    lines = done.stdout.splitlines()
    assert [line.split(" ")[1] for line in lines[2:]] == [
        "overhead", "memory,", "start", "first", "4", "requests",
    ]  # fmt: skip
    assert all(any(c.isdigit() for c in line.split("|")[2]) for line in lines[2:])
