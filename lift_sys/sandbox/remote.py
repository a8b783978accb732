"""A sandbox on other machines: the same zygote in a Modal Sandbox.

Owns the client's side of ``bridge``: a worker that speaks lines over a channel, and the channel
to Modal. One remote sandbox serves many candidates; it has no network and no secrets. Expected
values stay on this host exactly as with a local worker, and what comes back is believed no more.
``modal`` is imported only when a remote sandbox is asked for; it is not a dependency.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lift_sys.errors import SandboxUnavailableError
from lift_sys.sandbox import wire, zygote
from lift_sys.sandbox.base import Limits
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.worker import ALL_LAYERS, Reply, WorkerLostError

REMOTE_FOLDER = "/opt/lift_sys/sandbox"
"""Where the sandbox's files are on the remote machine."""

REMOTE_SECONDS = 3600
"""Longest life of a remote sandbox, in seconds; then a fresh one is started."""

_OWN_LIMIT = 64 << 20
_log = logging.getLogger(__name__)


class Channel(Protocol):
    """Lines to and from a ``bridge`` that runs elsewhere."""

    def send(self, line: str) -> None:
        """Send one line, without its newline."""
        ...

    def receive(self, seconds: float) -> str:
        """Return the next line; raises ``OSError`` or ``TimeoutError`` if none comes."""
        ...

    def close(self) -> None:
        """End the remote process and release what it used."""
        ...


class RemoteWorker:
    """A zygote behind a channel; used by one thread at a time."""

    def __init__(self, channel: Channel) -> None:
        self.served = 0
        self._channel = channel
        try:
            greeting = json.loads(self._next(120.0)[wire.HELLO.size :])
            self.layers: Mapping[str, str] = dict(greeting["layers"])
        except (ValueError, KeyError, TypeError) as error:
            channel.close()
            msg = f"the remote sandbox greets in an unknown way: {error}"
            raise WorkerLostError(msg) from error
        except BaseException:
            channel.close()
            raise

    def ask(self, submission: bytes, calls: int, limits: Limits) -> Reply:
        """Have a submission executed.

        Raises:
            WorkerLostError: The remote sandbox did not answer as agreed.
        """
        request = wire.REQUEST.pack(
            len(submission),
            calls,
            limits.call_seconds,
            limits.total_seconds,
            limits.memory_bytes,
            limits.output_bytes,
        )
        try:
            self._channel.send(base64.b64encode(request + submission).decode("ascii"))
        except OSError as error:
            msg = f"the remote sandbox was lost ({error})"
            raise WorkerLostError(msg) from error
        message = self._next(limits.total_seconds + 30.0)
        if len(message) < wire.REPLY.size:
            msg = "the remote sandbox broke the protocol"
            raise WorkerLostError(msg)
        how, code, _, size, seconds = wire.REPLY.unpack(message[: wire.REPLY.size])
        output = message[wire.REPLY.size :]
        if size != len(output) or size > limits.output_bytes or how > wire.MEMORY_LIMIT:
            msg = "the remote sandbox broke the protocol"
            raise WorkerLostError(msg)
        self.served += 1
        return Reply(how, code, output, seconds)

    def close(self) -> None:
        """End the remote process; idempotent."""
        self._channel.close()

    def _next(self, seconds: float) -> bytes:
        try:
            line = self._channel.receive(seconds)
            if len(line) > _OWN_LIMIT:
                msg = "the remote sandbox sent more than it may"
                raise WorkerLostError(msg)
            return base64.b64decode(line, validate=True)
        except (OSError, binascii.Error, ValueError) as error:
            msg = f"the remote sandbox was lost ({error or type(error).__name__})"
            raise WorkerLostError(msg) from error


class ModalChannel:
    """A bridge in a Modal Sandbox without network and secrets.

    Args:
        client: The ``modal`` module, or what stands in for it in a test.
        app_name: Modal app under which the sandbox is listed.
    """

    def __init__(self, client: Any, app_name: str) -> None:
        self._client = client
        app = client.App.lookup(app_name, create_if_missing=True)
        image = client.Image.debian_slim(python_version="3.12")
        for name, path in _files():
            image = image.add_local_file(path, f"{REMOTE_FOLDER}/{name}", copy=True)
        self._sandbox = client.Sandbox.create(
            app=app, image=image, block_network=True, timeout=REMOTE_SECONDS, cpu=1, memory=2048
        )
        config = {"layers": sorted(ALL_LAYERS), "readable": [], "scratch": None}
        self._process = self._sandbox.exec(
            "python", f"{REMOTE_FOLDER}/bridge.py", json.dumps(config)
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, line: str) -> None:
        """Send one line."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.drain()

    def receive(self, seconds: float) -> str:
        """Return the next line."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty as error:
            msg = f"no answer in {seconds:g} s"
            raise TimeoutError(msg) from error
        if line is None:
            msg = "its output ended"
            raise OSError(msg)
        return line

    def _read(self) -> None:
        rest = ""
        try:
            for part in self._process.stdout:
                *lines, rest = (rest + part).split("\n")
                for line in lines:
                    self._lines.put(line)
                if len(rest) > _OWN_LIMIT:
                    break
        except Exception:  # noqa: BLE001  # whatever it is, the worker learns of it as an end
            _log.debug("reading from the remote sandbox ended", exc_info=True)
        finally:
            self._lines.put(None)

    def close(self) -> None:
        """Terminate the remote sandbox; idempotent."""
        if not self._closed:
            self._closed = True
            try:
                self._sandbox.terminate()
            except Exception:  # noqa: BLE001  # it may be gone already, in any of Modal's ways
                _log.info("the remote sandbox could not be terminated", exc_info=True)
            self._reader.join(5.0)


def _files() -> list[tuple[str, str]]:
    folder = Path(zygote.__file__).parent
    names = [f"{name}.py" for name in (*zygote.SIBLINGS, "zygote", "bridge")]
    return [(name, str(folder / name)) for name in names]


def create_modal_sandbox(
    *, workers: int = 1, app_name: str = "lift-sys-sandbox", client: Any = None
) -> PooledSandbox:
    """Return a sandbox whose workers are Modal Sandboxes.

    Args:
        workers: How many remote sandboxes to hold.
        app_name: Modal app under which they are listed.
        client: The ``modal`` module; imported if ``None``.

    Raises:
        SandboxUnavailableError: ``modal`` is not installed or gives no sandbox.
    """
    if client is None:
        try:
            client = importlib.import_module("modal")
        except ImportError as error:
            msg = "the modal backend needs the modal package: pip install modal; modal setup"
            raise SandboxUnavailableError(msg) from error
    start: Callable[[], RemoteWorker] = lambda: RemoteWorker(ModalChannel(client, app_name))  # noqa: E731
    try:
        return PooledSandbox(start, name="modal", workers=workers)
    except Exception as error:
        msg = f"Modal gives no sandbox: {error}"
        raise SandboxUnavailableError(msg) from error
