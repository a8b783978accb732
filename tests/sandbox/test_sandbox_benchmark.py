"""The benchmark judges what it times, and its candidates are what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["sandbox.py", "--host", "landlock", "24", "2", "1"],
        ["sandbox_peers.py", "subprocess", "8", "2", "1"],
    ],
)
def test_a_contestant_judges_every_candidate_rightly(command: list[str]) -> None:
    script, *rest = command
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *rest],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    result = json.loads(done.stdout)
    assert result["misjudged"] == 0
    assert len(result["latencies"]) == int(rest[1] if script == "sandbox_peers.py" else rest[2])
    assert result["ballast"] == 1
