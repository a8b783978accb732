"""A PostgreSQL server of the tests' own, in a folder of its own, reached by a socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

OWNERS = ("postgres", "nobody")
"""Whom the server runs as where the tests run as root, which it refuses."""


def binaries() -> Path | None:
    """Return the folder of the newest server that is installed."""
    found = shutil.which("initdb")
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    installed = sorted(debian, key=lambda p: float(p.parts[-3]))
    named = [Path(found).resolve()] if found else []
    return next((path.parent for path in [*reversed(installed), *named]), None)


class PostgresServer:
    """A server that can be stopped and started again."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="lift-postgres-"))
        self.folder.chmod(0o755)
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = next(u for u in pwd.getpwall() if u.pw_name in OWNERS)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._call("initdb", "-D", "data", "-U", "lift", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        settings = ("fsync=off", "listen_addresses=", f"unix_socket_directories={self.folder}")
        command = [str(self._binaries / "postgres"), "-D", "data"]
        command += [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, **self._as
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._address("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it at once, as a crash would; what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=60)
            self._process = None

    def new_database(self) -> str:
        """Return the address of an empty database."""
        self._databases += 1
        name = f"test{self._databases}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql:///{name}?host={self.folder}&user=lift"

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _address(self, database: str) -> str:
        return f"host={self.folder} user=lift dbname={database}"

    def _call(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, done.stderr


def start_server() -> PostgresServer:
    """Start a server, or skip the test where none is installed."""
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server here; on Debian: apt-get install postgresql")
    return PostgresServer(folder)
