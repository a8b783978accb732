"""A search that is killed at any point goes on and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KILLS = 50


def test_killed_at_fifty_points_it_ends_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.app.killed_search", str(tmp_path), str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    *where, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["killed"] == len(where) == KILLS
    assert set(found["ends"]) == {f"{kind}: the same" for kind in found["cut"]}
    assert found["cut"] == {"1 slot": False, "4 slots": False, "a budget": True}
    assert found["given up"] > 2
    assert found["in vain"] > 0
    steps = {line.split()[0] for line in where}
    assert steps == {"asked", "answered", "writing", "written"}
    files = {line.split()[1] for line in where if " " in line}
    assert files == {"calls.jsonl", "ledger.jsonl", "rows.jsonl", "study.journal"}
    assert any("half a line" in line for line in where)
