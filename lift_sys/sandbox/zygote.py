"""The warm process of a worker: forks one child per candidate and watches it.

Owns the inner side of the socket to the host. The child is forked *before* its submission arrives,
with every layer already on, so that a candidate waits for nothing but itself. Standard library
only; started as a script with ``-s -S -P -B``.
"""

# ruff: noqa: PTH100, PTH108, PTH118, PTH120, PTH123, PTH208  # pathlib would cost every worker its import
from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import platform
import select
import signal
import sys
import time
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lift_sys.sandbox.child import Caps, Child

SIBLINGS = ("wire", "syscalls", "confine", "macos", "tagged", "candidate", "child", "warmup")
"""Modules beside this one that a worker needs; they and this file are all it needs."""

PRELOADED = """
    abc array base64 bisect calendar cmath collections collections.abc contextlib copy dataclasses
    datetime decimal enum fractions functools hashlib heapq io itertools json keyword locale math
    numbers operator random re reprlib statistics string struct textwrap time traceback types
    typing unicodedata
""".split()
"""Modules that candidates find already imported."""

_NOT_READABLE = frozenset(("site-packages", "dist-packages", "test", "ensurepip", "idlelib"))
_PARENT_CHECK_MS = 2000
_FEW_FILES = 20
_READ_BYTES = 1 << 16


def _load_siblings() -> None:
    """Import the modules beside this one without running the packages' own ``__init__``."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name, path in (("lift_sys", os.path.dirname(here)), ("lift_sys.sandbox", here)):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    for name in SIBLINGS:
        importlib.import_module(f"lift_sys.sandbox.{name}")
    for name in ("lift_sys", "lift_sys.sandbox"):
        sys.modules[name].__path__ = []


class Zygote:
    """One worker: layers, the parked child and the loop over submissions."""

    def __init__(self, host: int, config: dict[str, Any]) -> None:
        from lift_sys.sandbox.wire import REQUEST  # noqa: PLC0415  # after it can be found

        self._header = REQUEST
        self._host = host  # a descriptor: a socket object would be more pages to touch
        self._wanted = frozenset(config["layers"])
        self._readable: list[str] = config["readable"]
        self._scratch: str | None = config["scratch"]
        self._layers: dict[str, str] = {}
        self._parent = os.getppid()
        self._in_child: list[Callable[[], int]] = []

    def confine(self) -> None:
        """Turn on every layer that belongs to the whole worker, noting which hold."""
        from lift_sys.sandbox import child, confine  # noqa: PLC0415  # after they can be found

        self._layer("rlimits", child.limit_resources)
        # The zygote itself leaves when its socket closes: the kernel's signal would come when the
        # *thread* that started it ends, while its host may live on.
        self._layer("parent_death", lambda: None)
        self._layer("no_new_privileges", confine.forbid_new_privileges)
        self._layer("non_dumpable", confine.hide_memory)
        self._layer("no_capabilities", confine.drop_capabilities)
        self._layer("landlock", lambda: confine.landlock(self._rules()))
        self._layer("seccomp", lambda: confine.install(confine.zygote_filter()))
        # What is left for each child is prepared here: a child pays for every page it touches.
        if "parent_death" in self._wanted and os.getpid() != 1:  # pid 1 takes all with it
            self._in_child.append(confine.dying_with_parent())
        if self._layers["seccomp"] == "on":
            self._in_child.append(confine.installing(confine.candidate_filter()))

    def _layer(self, name: str, turn_on: Callable[[], object]) -> None:
        if name not in self._wanted:
            self._layers[name] = "not asked for"
            return
        try:
            turn_on()
        except (OSError, KeyError, AttributeError) as error:
            self._layers[name] = f"{error}"
        else:
            self._layers[name] = "on"

    def _rules(self) -> list[tuple[str, int]]:
        """Return what may be read: the standard library, the system's libraries, little else."""
        from lift_sys.sandbox import confine  # noqa: PLC0415

        read = confine.READ_FILE
        paths = [*self._readable, *_library_directories()]
        rules = [(path, read | confine.READ_DIR) for path in paths]
        library = os.path.dirname(os.__file__)
        rules.append((library, confine.READ_DIR))
        rules += [
            (os.path.join(library, name), read | confine.READ_DIR)
            for name in os.listdir(library)
            if name not in _NOT_READABLE
        ]
        rules += [("/dev/null", read | confine.WRITE_FILE), ("/dev/urandom", read)]
        if self._scratch:
            rules.append((self._scratch, confine.SCRATCH_RIGHTS))
        return rules

    def serve(self) -> None:
        """Answer submissions until the host closes its end."""
        from lift_sys.sandbox.child import HOST_GONE, write_all  # noqa: PLC0415
        from lift_sys.sandbox.wire import EXITED, HELLO, REPLY  # noqa: PLC0415

        text = json.dumps({"layers": self._layers}).encode()
        write_all(self._host, HELLO.pack(len(text)) + text)
        limited = "rlimits" in self._wanted
        asked, gone = select.poll(), select.poll()
        asked.register(self._host, select.POLLIN)
        gone.register(self._host, HOST_GONE)
        fork = self._forker()
        while True:
            child = fork()
            request = self._request(asked)
            if request is None:
                child.end()
                return
            submission, caps = request
            started = time.monotonic()
            child.start(submission, caps, limited=limited)
            how = child.watch(gone, caps)
            seconds = time.monotonic() - started
            died = how == EXITED  # then how it died is part of the answer
            code = child.end(grace=0.05) if died else 0
            output = child.output
            write_all(self._host, REPLY.pack(how, code, child.lines, len(output), seconds) + output)
            if not died:
                child.end()
            if not self._sweep():
                return

    def _request(self, poll: select.poll) -> tuple[bytearray, Caps] | None:
        """Return the next submission and what it may use, or ``None`` when the host is gone."""
        header = self._header.size
        wanted, received = header, bytearray()
        while len(received) < wanted:
            while not poll.poll(_PARENT_CHECK_MS):
                if os.getppid() != self._parent:
                    return None
            part = os.read(self._host, _READ_BYTES)  # usually all; nothing follows unasked
            if not part:
                return None
            received += part
            if wanted == header and len(received) >= header:
                size, *caps = self._header.unpack_from(received)
                wanted += size
        return received[header:], tuple(caps)

    def _forker(self) -> Callable[[], Child]:
        """Return the function that forks the next child."""
        from lift_sys.sandbox.candidate import MODULE_NAME, run  # noqa: PLC0415
        from lift_sys.sandbox.child import Child  # noqa: PLC0415

        pipe, close, fork = os.pipe, os.close, os.fork
        host, confining = self._host, tuple(self._in_child)
        module = sys.modules[MODULE_NAME] = types.ModuleType(MODULE_NAME)

        def fork_child() -> Child:
            inner_source, source = pipe()
            sink, inner_sink = pipe()
            pid = fork()
            if pid == 0:
                try:
                    for descriptor in (source, sink, host):
                        close(descriptor)
                    gc.enable()
                    for confine in confining:
                        if confine():
                            os._exit(1)
                    run(inner_source, inner_sink, module)
                    close(inner_sink)
                finally:
                    os._exit(0)
            close(inner_source)
            close(inner_sink)
            return Child(pid, source, sink)

        return fork_child

    def _sweep(self) -> bool:
        """Leave nothing of a candidate behind; return whether this worker may go on.

        A few files are removed. Who leaves more ends the worker, and with it the file system.
        """
        if os.getpid() == 1:
            try:
                os.kill(-1, signal.SIGKILL)  # raises where there is nothing, not even a zombie
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except (ProcessLookupError, ChildProcessError):
                pass
        if self._scratch is None:
            return True
        left = list(itertools.islice(os.scandir(self._scratch), _FEW_FILES + 1))
        try:
            for entry in left:
                os.unlink(entry.path)
        except OSError:
            return False
        return len(left) <= _FEW_FILES


def _library_directories() -> list[str]:
    """Return the directories that shared libraries were loaded from, for those still to come."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as lines:
            paths = [line.split(maxsplit=5)[-1].strip() for line in lines]
    except OSError:  # in namespaces without /proc the host names them
        return []
    return sorted({os.path.dirname(path) for path in paths if ".so" in path})


def _forget_host_name() -> None:
    """Have ``platform`` remember what it says later, when the system call is refused."""
    real = os.uname
    known = real()
    os.uname = lambda: type(known)((known.sysname, "sandbox", *known[2:]))
    platform.uname()
    os.uname = real


def main() -> None:
    """Start a worker on the socket whose descriptor is the first argument."""
    host = int(sys.argv[1])
    config = json.loads(sys.argv[2])
    os.environ.clear()
    os.chdir(config["scratch"] or "/")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _load_siblings()
    # What modules would do in every forked child (``random`` seeds itself anew) is not wanted:
    # a candidate's draws are the same each time, and the fork is cheaper.
    register, os.register_at_fork = os.register_at_fork, lambda **_: None
    for name in PRELOADED:
        importlib.import_module(name)
    os.register_at_fork = register
    sys.modules["random"].seed(0)
    _forget_host_name()
    zygote = Zygote(host, config)
    zygote.confine()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)
    sys.argv[:] = ["candidate"]
    importlib.import_module("lift_sys.sandbox.warmup").warm_up()
    gc.collect()
    gc.disable()
    gc.freeze()
    zygote.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
