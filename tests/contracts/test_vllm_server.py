"""The process of a server, with a stand-in for Python that serves health alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.vllm_server import free_port, running
from lift_sys.inference.vllm_recipe import VllmRecipe

SERVING = """#!{python}
import http.server, os, subprocess, sys, pathlib

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

child = subprocess.Popen(["sleep", "300"])
pathlib.Path(os.environ["STARTED"]).write_text(f"{{child.pid}} {{' '.join(sys.argv[1:])}}")
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""
FAILING = "#!/bin/sh\necho 'no such weights'\nexit 3\n"


def _stand_in(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(text.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return path


def _alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"


def _stays(pid: int) -> bool:
    """Return whether a process is still there after a while."""
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        if not _alive(pid):
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_all_processes_end_also_after_an_error(tmp_path: Path) -> None:
    python = _stand_in(tmp_path, SERVING)
    recipe = VllmRecipe(model="m", served_name="m", port=free_port())
    started = tmp_path / "started"
    surroundings = {"STARTED": str(started)}
    pids: list[int] = []

    def interrupted() -> None:
        with running(python, recipe, surroundings, tmp_path / "log") as server:
            child, _, words = started.read_text(encoding="utf-8").partition(" ")
            assert words.split()[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
            health = server.url.removesuffix("/v1") + "/health"
            assert httpx.get(health, trust_env=False).status_code == 200
            pids.extend((server.pid, int(child)))
            assert all(map(_alive, pids))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(map(_stays, pids))


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    recipe = VllmRecipe(model="m", served_name="m", port=free_port())
    with (
        pytest.raises(RuntimeError, match="ended with 3:\nno such weights"),
        running(_stand_in(tmp_path, FAILING), recipe, {}, tmp_path / "log"),
    ):
        pass
