"""Giving up rights: what a process of the sandbox does to itself before it runs anything foreign.

Owns the kernel interfaces (through ``ctypes``): no-new-privileges, non-dumpable, capabilities,
Landlock and seccomp. Standard library only: this module is loaded inside the sandbox. Every
function raises ``OSError`` where the kernel refuses, so that a layer is either on or reported off.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import stat
import struct
from collections.abc import Callable, Iterable, Sequence

from lift_sys.sandbox import syscalls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_CAPBSET_DROP, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 24, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int = 0, what: str = "prctl") -> int:
    return _check(_prctl_number(option, value, 0, 0, 0), what)


_ulong = ctypes.c_ulong
_prctl_number = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[_ulong] * 4, use_errno=True)(
    ("prctl", _libc)
)
_prctl_pointer = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, _ulong, ctypes.c_void_p, use_errno=True
)(("prctl", _libc))


def _prepared(option: int, value: int, pointer: object) -> Callable[[], int]:
    """Return a call whose arguments are converted: a child pays for every page it touches."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _ulong, ctypes.c_void_p)
    call = prototype(("prctl", _libc))
    return functools.partial(call, ctypes.c_int(option), _ulong(value), pointer)


def dying_with_parent() -> Callable[[], int]:
    """Return what has the kernel kill a process when the thread that forked it ends.

    The function is called in the child and returns 0 if the kernel agreed.
    """
    return _prepared(_PR_SET_PDEATHSIG, 9, None)


def forbid_new_privileges() -> None:
    """Make set-user-id programs and file capabilities void from here on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def hide_memory() -> None:
    """Refuse tracing, core dumps and ``/proc`` access by other processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")


def drop_capabilities() -> None:
    """Give up every capability, also as root, and empty the bounding set."""
    for capability in range(64):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:
                break
            if error.errno != errno.EPERM:
                raise
    header = struct.pack("Ii", 0x20080522, 0)
    number = ctypes.c_long(_CAPSET[platform.machine()])
    _check(_libc.syscall(number, header, bytes(24)), "capset")


# --- Landlock ---------------------------------------------------------------------------------

READ_FILE, READ_DIR, WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
SCRATCH_RIGHTS = READ_FILE | READ_DIR | WRITE_FILE | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14
"""Make, remove and truncate files and directories below a scratch directory."""

_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}


def landlock_abi() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    none = ctypes.c_void_p(None)
    number = ctypes.c_long(_LANDLOCK_CREATE)
    version: int = _libc.syscall(number, none, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(version, 0)


def landlock(rules: Iterable[tuple[str, int]]) -> int:
    """Restrict this process to the given paths, without network and signals to the outside.

    Args:
        rules: Pairs of a path and the rights below it; a path that is not there is left out.

    Returns:
        The Landlock version in force. Before 4 it does not cover TCP and before 6 not signals:
        there seccomp alone does.

    Raises:
        OSError: The kernel has no Landlock or refuses.
    """
    abi = landlock_abi()
    if abi < 1:
        raise OSError(errno.EOPNOTSUPP, "the kernel has no Landlock")
    handled = (1 << _FILE_RIGHTS_BY_ABI.get(abi, 16)) - 1
    attributes = struct.pack("QQQ", handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    create = ctypes.c_long(_LANDLOCK_CREATE)
    zero = ctypes.c_uint(0)
    ruleset = _check(
        _libc.syscall(create, attributes, ctypes.c_size_t(size), zero), "landlock_create_ruleset"
    )
    try:
        for path, rights in rules:
            _allow_below(ruleset, path, rights & handled)
        restrict = ctypes.c_long(_LANDLOCK_RESTRICT)
        _check(_libc.syscall(restrict, ctypes.c_int(ruleset), zero), "landlock_restrict_self")
    finally:
        os.close(ruleset)
    return abi


def _allow_below(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= READ_FILE | WRITE_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        number = ctypes.c_long(_LANDLOCK_ADD)
        _check(
            _libc.syscall(number, ctypes.c_int(ruleset), ctypes.c_uint(1), rule, ctypes.c_uint(0)),
            "landlock_add_rule",
        )
    finally:
        os.close(descriptor)


# --- seccomp ----------------------------------------------------------------------------------

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_Instruction = tuple[int, int, int, int]


class Filter(ctypes.Structure):
    """A compiled seccomp program (``struct sock_fprog``), ready to be installed."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install(program: Filter) -> None:
    """Put a seccomp filter on this process and all it forks, for good."""
    _check(_prctl_pointer(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)), "seccomp")


def installing(program: Filter) -> Callable[[], int]:
    """Return what does the same in a child; it returns 0 if the kernel agreed."""
    return _prepared(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))


def zygote_filter(machine: str | None = None) -> Filter:
    """Return the allow-list: what candidates may call and what the zygote needs besides."""
    numbers = syscalls.NUMBERS[machine or platform.machine()]
    body: list[_Instruction] = []
    for name in syscalls.REFUSED_AS_MISSING:
        body += _when(numbers[name], [_errno(errno.ENOSYS)])
    for name, (checks, otherwise) in syscalls.ARGUMENT_RULES.items():
        body += _when(numbers[name], _arguments(checks, otherwise))
    fork = (((0, (syscalls.FORK_FLAGS,)),), errno.EPERM)
    body += _when(numbers["clone"], _arguments(*fork))
    names = (syscalls.ALLOWED | syscalls.ZYGOTE_ONLY) & numbers.keys()
    body += _allow_list(sorted(numbers[name] for name in names))
    return _assemble([*body, _errno(errno.EPERM)], machine)


def candidate_filter(machine: str | None = None) -> Filter:
    """Return the second filter, which takes the zygote's own calls away again."""
    numbers = syscalls.NUMBERS[machine or platform.machine()]
    refused = [*sorted(syscalls.ZYGOTE_ONLY), *syscalls.PROCESS_CREATION]
    body: list[_Instruction] = []
    for name in refused:
        if name in numbers:
            body += _when(numbers[name], [_errno(errno.EPERM)])
    return _assemble([*body, (_RETURN, 0, 0, _ALLOW)], machine)


def _errno(number: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)


def _when(number: int, block: Sequence[_Instruction]) -> list[_Instruction]:
    return [(_JUMP_EQUAL, 0, len(block), number), *block]


def _arguments(checks: Iterable[tuple[int, tuple[int, ...]]], otherwise: int) -> list[_Instruction]:
    """Return a block that allows if every argument has one of its values (the upper half is 0)."""
    block: list[_Instruction] = []
    for index, values in checks:
        low = 16 + 8 * index
        block += [(_LOAD, 0, 0, low + 4), (_JUMP_EQUAL, 1, 0, 0), _errno(otherwise)]
        block.append((_LOAD, 0, 0, low))
        for position, value in enumerate(values):
            block.append((_JUMP_EQUAL, len(values) - position, 0, value))
        block.append(_errno(otherwise))
    return [*block, (_RETURN, 0, 0, _ALLOW)]


def _allow_list(numbers: Sequence[int]) -> list[_Instruction]:
    """Return a binary search over the runs of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return _search(runs)


def _search(runs: Sequence[tuple[int, int]]) -> list[_Instruction]:
    if len(runs) == 1:
        low, high = runs[0]
        return [
            (_JUMP_AT_LEAST, 0, 2, low),
            (_JUMP_AT_LEAST, 1, 0, high + 1),
            (_RETURN, 0, 0, _ALLOW),
            _errno(errno.EPERM),
        ]
    middle = len(runs) // 2
    left, right = _search(runs[:middle]), _search(runs[middle:])
    return [(_JUMP_AT_LEAST, len(left), 0, runs[middle][0]), *left, *right]


def _assemble(body: Sequence[_Instruction], machine: str | None) -> Filter:
    machine = machine or platform.machine()
    head: list[_Instruction] = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 1, 0, syscalls.AUDIT_ARCH[machine]),
        _errno(errno.EPERM),
        (_LOAD, 0, 0, 0),
    ]
    if machine == "x86_64":  # the x32 numbers would slip past an equality check
        head += [(_JUMP_AT_LEAST, 0, 1, 0x40000000), _errno(errno.EPERM)]
    program = [*head, *body]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    return Filter(len(program), code)
