"""What an attack can reach: files, servers and a process of the host, made for one attack alone.

Owns the evidence: what changed outside the sandbox while the attack ran.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pydantic

import lift_sys.sandbox


class World:
    """A piece of host to attack."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="lift-attack-"))
        self.home.chmod(0o755)
        self.nonce = self.home.name[-8:]
        self.folder = self.home / "folder"
        self.folder.mkdir()
        self.flag = self.home / "flag"
        self.flag.write_text("flag of the host", encoding="utf-8")
        self.flag.chmod(0o644)
        self.link = self.home / "link"
        self.link.symlink_to(self.flag)
        self.before = self.look()
        self._serve()
        environment = {"SECRET": "of the host", "PATH": os.environ["PATH"]}
        self.victim = subprocess.Popen(["sleep", "300"], env=environment)
        self.env = {
            "folder": str(self.folder),
            "flag": str(self.flag),
            "link": str(self.link),
            "nonce": self.nonce,
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "unix": str(self.home / "stream"),
            "datagram": str(self.home / "datagram"),
            "abstract": f"lift-{self.nonce}",
            "queue": f"lift-{self.nonce}",
            "victim": self.victim.pid,
            "host": socket.gethostname(),
            "sources": str(Path(lift_sys.sandbox.__file__).parent),
            "packages": str(Path(pydantic.__file__).parent.parent),
            "package_file": str(Path(pydantic.__file__)),
        }

    def _serve(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.home / "stream"))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0lift-{self.nonce}")
        self.datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagram.bind(str(self.home / "datagram"))
        for server in (self.unix, self.abstract):
            server.listen()
        for server in self._servers():
            server.setblocking(False)

    def _servers(self) -> tuple[socket.socket, ...]:
        return (self.tcp, self.udp, self.unix, self.abstract, self.datagram)

    def look(self) -> list[str]:
        """Return the state of the files."""
        text = self.flag.read_text(encoding="utf-8") if self.flag.exists() else "gone"
        mode = oct(self.flag.stat().st_mode) if self.flag.exists() else ""
        return [text, mode, *sorted(str(path) for path in self.folder.rglob("*"))]

    def evidence(self) -> str:
        """Return what the attack did to the host, or an empty text."""
        if self.look() != self.before:
            return "files changed"
        if self.victim.poll() is not None:
            return "a process was ended"
        for server in self._servers():
            try:
                if server.type == socket.SOCK_STREAM:
                    server.accept()[0].close()
                else:
                    server.recv(100)
            except BlockingIOError:
                continue
            return "a server was reached"
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.victim.kill()
        self.victim.wait()
        for server in self._servers():
            server.close()
        shutil.rmtree(self.home, ignore_errors=True)
