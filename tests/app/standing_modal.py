"""A stand-in for the ``modal`` module: keeps what it was asked for; containers are processes.

What an image is given is copied into a folder, and a container runs from that copy alone, so what
is not sent is not there. A job and its answer cross a process boundary as lines of JSON.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROCESS = Path(__file__).with_name("container_process.py")


class ContainerLostError(Exception):
    """What Modal raises when a container dies."""


class StandingModal:
    """Stands in for the module, its App, its Image and its Volume."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prompts = folder / "prompts.jsonl"
        self.options: dict[str, Any] = {}
        self.built: list[tuple[str, Any]] = []
        self.uploaded: dict[str, Path] = {}
        self.apps = 0
        self.sent: list[str] = []
        self.lose_at = 0
        self.before_start: Callable[[Path], None] = lambda _: None
        self.processes: list[subprocess.Popen[str]] = []
        self.free = queue.SimpleQueue[subprocess.Popen[str]]()
        self.Image = self
        self.Volume = self

    # An image
    def debian_slim(self, python_version: str) -> StandingModal:
        self.built.append(("python", python_version))
        return self

    def apt_install(self, *packages: str) -> StandingModal:
        self.built.append(("apt", packages))
        return self

    def pip_install_from_requirements(self, path: str) -> StandingModal:
        self.built.append(("requirements", Path(path).read_text(encoding="utf-8")))
        return self

    def env(self, variables: dict[str, str]) -> StandingModal:
        self.built.append(("env", variables))
        return self

    def add_local_dir(self, local: Path, remote: str, *, ignore: list[str]) -> StandingModal:
        names = [pattern.removeprefix("**/") for pattern in ignore]
        target = self.folder / remote.lstrip("/")
        if not target.exists():
            shutil.copytree(local, target, ignore=shutil.ignore_patterns(*names))
        return self

    # A volume
    def from_name(self, name: str, *, create_if_missing: bool) -> StandingModal:
        assert name
        assert create_if_missing
        return self

    def with_mount_options(self, *, read_only: bool) -> tuple[StandingModal, str]:
        assert read_only
        return self, "read only"

    def listdir(self, path: str) -> list[Any]:
        assert path == "/"
        return [SimpleNamespace(path=name.lstrip("/"), size=0) for name in self.uploaded]

    @contextmanager
    def batch_upload(self, *, force: bool) -> Iterator[StandingModal]:
        assert force
        yield self

    def put_file(self, local: Path, remote: str) -> None:
        self.uploaded[remote] = local

    # An app
    def App(self, name: str) -> StandingModal:  # noqa: N802 (Modal's name)
        assert name
        return self

    def function(self, **options: Any) -> Callable[[Callable[[str], str]], StandingModal]:
        self.options = options
        return lambda function: self

    @contextmanager
    def run(self) -> Iterator[None]:
        self.apps += 1
        self.before_start(self.folder / "opt" / "lift-sys")
        try:
            for _ in range(self.options["max_containers"]):
                self._start()
            yield
        finally:
            for process in self.processes:
                process.kill()
                process.communicate()
            self.processes, self.free = [], queue.SimpleQueue()

    def _start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, str(PROCESS), str(self.prompts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(self.folder / "opt" / "lift-sys"), "PATH": "/usr/bin:/bin"},
            cwd=self.folder,
        )
        self.processes.append(process)
        self.free.put(process)

    def remote(self, job: str) -> str:
        self.sent.append(job)
        process = self.free.get()
        if len(self.sent) == self.lose_at:
            process.kill()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError as error:
            raise ContainerLostError(str(error)) from error
        if not line:
            msg = "the container ended"
            raise ContainerLostError(msg)
        self.free.put(process)
        return str(json.loads(line))
