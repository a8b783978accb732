"""The attacks that decide at start-up whether a backend holds.

Owns the code of the canaries and the reading of their answer. They are run as an ordinary
candidate, so what they reach is what a candidate would reach. The full suite is in
``tests/attacks``; these are the few whose success would make the rest pointless.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lift_sys.errors import SandboxError
from lift_sys.sandbox.base import Call, Limits, Sandbox, Submission
from lift_sys.verdict import Status

CANARIES = {
    "read_file": "reads a file of the host",
    "write_file": "writes a file on the host",
    "connect": "connects to a server on this machine",
    "fork": "starts a process",
    "execute": "becomes another program",
    "signal": "signals a process of the host",
    "memory": "allocates more than the memory allowed",
}
"""Each canary and what it does if nothing stops it."""

_SOURCE = """
import os, socket

def canaries(path, port, pid):
    def read_file():
        with open(path) as f:
            return f.read() == "flag"
    def write_file():
        with open(path + ".out", "w") as f:
            f.write("x")
        return True
    def connect():
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    def fork():
        if os.fork() == 0:
            os._exit(0)
        return True
    def signal():
        os.kill(pid, 0)
        return True
    def memory():
        return len(bytes(1 << 31)) > 0
    def execute():
        os.execv("/bin/sh", ["sh", "-c", ":"])
        return True
    reached = []
    for attack in (read_file, write_file, connect, fork, signal, memory, execute):
        try:
            if attack():
                reached.append(attack.__name__)
        except (OSError, MemoryError, ImportError):
            pass
    return reached
"""


def reached(sandbox: Sandbox) -> Mapping[str, str]:
    """Run the canaries and return those that were not stopped, with what they did.

    Raises:
        SandboxError: The canaries could not be run to their end.
    """
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        flag = Path(folder) / "flag"
        flag.write_text("flag", encoding="utf-8")
        Path(folder).chmod(0o755)  # only the sandbox shall stand in the way
        args = repr((str(flag), server.getsockname()[1], os.getpid()))
        submission = Submission(code=_SOURCE, entry_point="canaries", calls=(Call(args=args),))
        execution = sandbox.execute(submission, Limits(call_seconds=10.0, total_seconds=10.0))
    outcome = execution.outcomes[0]
    if outcome.status is Status.PROTOCOL:  # the process image is gone: ``execute`` succeeded
        return {"execute": CANARIES["execute"]}
    if outcome.status is not Status.PASSED or not isinstance(outcome.value, list):
        msg = f"the sandbox cannot run its own start-up test: {outcome.message}"
        raise SandboxError(msg)
    return {name: CANARIES[name] for name in outcome.value if name in CANARIES}
