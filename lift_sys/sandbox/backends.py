"""The ways to confine a worker on this machine, strongest first.

Owns how each backend starts a worker: the command in front of the interpreter and the layers the
worker is asked to turn on itself. Whether a backend holds is for ``lift_sys.sandbox.probe`` to
find out by attacking it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

from lift_sys.sandbox import zygote
from lift_sys.sandbox.worker import ALL_LAYERS, WorkerSpec, base_interpreter

REQUIRED_LAYERS = frozenset(("rlimits", "no_new_privileges", "landlock", "seccomp"))
"""What must be on, besides canaries being stopped, where nothing else wraps the worker."""

SCRATCH_BYTES = 16 << 20
"""Size of the private temporary file system, where there is one."""

_INSIDE = "/sandbox"
_MACOS_TOOL = "/usr/bin/sandbox-exec"


class NotHereError(Exception):
    """A backend that this machine lacks; the message says what is missing."""


def landlock_spec() -> WorkerSpec:
    """Return a worker that confines itself: Landlock, seccomp, resource limits.

    Raises:
        NotHereError: Not Linux.
    """
    if platform.system() != "Linux":
        msg = "Landlock and seccomp are parts of Linux"
        raise NotHereError(msg)
    return WorkerSpec(layers=ALL_LAYERS)


def bubblewrap_spec(layers: frozenset[str] = ALL_LAYERS) -> WorkerSpec:
    """Return a worker in namespaces of its own, which besides confines itself.

    Args:
        layers: What the worker does itself.

    Raises:
        NotHereError: No ``bwrap`` on the path or beside the interpreter.
    """
    program = shutil.which("bwrap") or shutil.which("bwrap", path=str(Path(sys.prefix) / "bin"))
    if platform.system() != "Linux" or program is None:
        msg = "no bwrap found; install it with 'apt-get install bubblewrap' or your system's tool"
        raise NotHereError(msg)
    inside = f"{_INSIDE}/lift_sys/sandbox"
    sources = Path(zygote.__file__).parent
    binds: list[str] = []
    for name in (*zygote.SIBLINGS, "zygote"):
        binds += ["--ro-bind", str(sources / f"{name}.py"), f"{inside}/{name}.py"]
    libraries, library_binds = _libraries()
    prefix = [program, *_NAMESPACES, *library_binds, *binds, *_DEVICES, "--remount-ro", "/", "--"]
    return WorkerSpec(
        layers=layers,
        prefix=tuple(prefix),
        script=f"{inside}/zygote.py",
        scratch="/tmp",  # noqa: S108  # the worker's own file system
        readable=libraries,
        own_namespaces=True,
    )


_NAMESPACES = """
    --unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try
    --as-pid-1 --cap-drop ALL --uid 65534 --gid 65534 --hostname sandbox
""".split()
_DEVICES = f"""
    --dev-bind /dev/null /dev/null --dev-bind /dev/urandom /dev/urandom
    --size {SCRATCH_BYTES} --tmpfs /tmp
""".split()


def _libraries() -> tuple[tuple[str, ...], list[str]]:
    """Return the library directories as seen inside, and the arguments that put them there."""
    seen: list[str] = []
    arguments: list[str] = []
    for name in ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64", "/lib32"):
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
            seen.append(name)
    for name in ("/nix/store", "/usr/share/zoneinfo", "/etc/ld.so.cache"):
        arguments += ["--ro-bind-try", name, name]
    interpreter = base_interpreter()
    own = [str(Path(sys.base_prefix) / "lib"), sysconfig.get_path("stdlib")]
    for name in dict.fromkeys([*own, interpreter]):
        if Path(name).exists() and not any(Path(name).is_relative_to(s) for s in seen):
            arguments += ["--ro-bind", name, name]
            seen.append(name)
    return (*(s for s in seen if s.startswith(("/usr/lib", "/lib"))), "/nix/store"), arguments


def macos_spec() -> WorkerSpec:
    """Return a worker under ``sandbox-exec``: no network, no writing, no other program.

    Reduced: macOS does not keep a limit on address space, so the worker watches resident memory
    instead, and a candidate may fork (what it forks ends with it).

    Raises:
        NotHereError: Not macOS, or without ``sandbox-exec``.
    """
    if platform.system() != "Darwin":
        msg = "sandbox-exec is a part of macOS"
        raise NotHereError(msg)
    if not os.access(_MACOS_TOOL, os.X_OK):
        msg = f"{_MACOS_TOOL} is missing"
        raise NotHereError(msg)
    return WorkerSpec(
        layers=frozenset(("rlimits",)),
        prefix=(_MACOS_TOOL, "-p", macos_profile()),
    )


def macos_profile() -> str:
    """Return the Seatbelt profile: everything denied but reading what Python needs."""
    sources = str(Path(zygote.__file__).parent)
    readable = [sys.base_prefix, sources, "/usr/lib", "/System/Library", "/usr/share/zoneinfo"]
    paths = " ".join(f'(subpath "{_quoted(path)}")' for path in readable)
    devices = '(literal "/dev/null") (literal "/dev/urandom")'
    return "\n".join(
        (
            "(version 1)",
            "(deny default)",
            "(deny network*)",
            f"(allow file-read* {paths} {devices})",
            '(allow file-write-data (literal "/dev/null"))',
            "(allow file-read-metadata)",
            f'(allow process-exec (literal "{_quoted(base_interpreter())}"))',
            "(allow process-fork)",
            "(allow signal (target same-sandbox))",
            "(allow process-info* (target same-sandbox))",
            "(allow sysctl-read)",
        )
    )


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')
