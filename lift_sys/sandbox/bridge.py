"""The far end of a remote sandbox: a zygote behind standard input and output.

Owns carrying the zygote's bytes over a pair of pipes, as lines of base64: a transport that every
remote service has. Standard library only; copied to the remote machine together with the zygote
and started as ``python bridge.py CONFIG``. One line in is one message to the zygote (a request
with its submission); one line out is its greeting or its reply.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
import subprocess
import sys

HELLO_SIZE = struct.Struct("!I")
REPLY_HEADER = struct.Struct("!BiIQd")  # as in ``wire``


def main() -> None:
    """Start the zygote and carry lines until standard input ends."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    ours, theirs = socket.socketpair()
    zygote = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-s", "-S", "-P", "-B"),
            os.path.join(here, "zygote.py"),  # noqa: PTH118
            *(str(theirs.fileno()), sys.argv[1]),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        env={"PYTHONHASHSEED": "0", "TZ": "UTC0", "PYTHONUTF8": "1", "LD_BIND_NOW": "1"},
        start_new_session=True,
    )
    theirs.close()
    try:
        header = _receive(ours, HELLO_SIZE.size)
        _say(header + _receive(ours, HELLO_SIZE.unpack(header)[0]))
        for line in sys.stdin.buffer:
            ours.sendall(base64.b64decode(line))
            header = _receive(ours, REPLY_HEADER.size)
            _say(header + _receive(ours, REPLY_HEADER.unpack(header)[3]))
    except EOFError:
        pass
    finally:
        ours.close()
        zygote.kill()
        zygote.wait()


def _say(message: bytes) -> None:
    sys.stdout.buffer.write(base64.b64encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _receive(source: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = source.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return parts


if __name__ == "__main__":
    main()
