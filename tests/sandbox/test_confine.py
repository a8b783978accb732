"""The seccomp programs do what the tables say, on both architectures."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Sequence

import pytest

from lift_sys.sandbox import confine, syscalls

MACHINES = ["x86_64", "aarch64"]
ALLOW = 0x7FFF0000


def instructions(program: confine.Filter) -> list[tuple[int, int, int, int]]:
    raw = ctypes.string_at(_address(program), 8 * program.length)
    return [struct.unpack_from("HBBI", raw, 8 * i) for i in range(program.length)]


def _address(program: confine.Filter) -> int:
    return int(ctypes.c_void_p.from_buffer(program, confine.Filter.code.offset).value or 0)


def run(program: confine.Filter, machine: str, number: int, args: Sequence[int] = ()) -> int:
    """Interpret a classic BPF program as the kernel would."""
    full = [*args, *([0] * (6 - len(args)))]
    data = struct.pack("=IIQ6Q", number, syscalls.AUDIT_ARCH[machine], 0, *full)
    code = instructions(program)
    position, accumulator = 0, 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif operation == 0x15:
            position += if_true if accumulator == value else if_false
        elif operation == 0x35:
            position += if_true if accumulator >= value else if_false
        else:
            assert operation == 0x06
            return value


@pytest.mark.parametrize("machine", MACHINES)
def test_the_allow_list_is_exact(machine: str) -> None:
    program = confine.zygote_filter(machine)
    numbers = syscalls.NUMBERS[machine]
    expected = {numbers[n] for n in syscalls.ALLOWED | syscalls.ZYGOTE_ONLY if n in numbers}
    with_rules = {numbers[n] for n in syscalls.ARGUMENT_RULES} | {numbers["clone"]}
    found = {n for n in range(600) if run(program, machine, n) == ALLOW} - with_rules
    assert found == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_candidates_lose_what_only_the_zygote_may_do(machine: str) -> None:
    program = confine.candidate_filter(machine)
    numbers = syscalls.NUMBERS[machine]
    names = {*syscalls.ZYGOTE_ONLY, *syscalls.PROCESS_CREATION} & numbers.keys()
    refused = {n for n in range(600) if run(program, machine, n) != ALLOW}
    assert refused == {numbers[name] for name in names}


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_a_rule_says_so(machine: str) -> None:
    program = confine.zygote_filter(machine)
    numbers = syscalls.NUMBERS[machine]
    checks = [
        ("socketpair", (1, 1), True),
        ("socketpair", (1, 0x80801), True),
        ("socketpair", (1, 2), False),
        ("socketpair", (2, 1), False),
        ("socketpair", (1 | 1 << 32, 1), False),
        ("ioctl", (0, 0x5421), True),
        ("ioctl", (0, 0x5412), False),
        ("sendto", (3, 0, 1, 0, 0, 0), True),
        ("sendto", (3, 0, 1, 0, 0x7FFF0000, 110), False),
        ("sendto", (3, 0, 1, 0, 1 << 40, 0), False),
        ("fcntl", (3, 1030, 0), True),
        ("fcntl", (3, 8, 1), False),
        ("fcntl", (3, 10, 9), False),
        ("getsid", (0,), True),
        ("getsid", (1,), False),
        ("clock_gettime", (2,), True),
        ("clock_gettime", (0xFFFFFFF2,), False),
        ("clone", (syscalls.FORK_FLAGS,), True),
        ("clone", (syscalls.FORK_FLAGS | 0x10000000,), False),
        ("clone", (0x3D0F00,), False),
    ]
    for name, args, allowed in checks:
        assert (run(program, machine, numbers[name], args) == ALLOW) is allowed, (name, args)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_that_cannot_be_checked_look_missing(machine: str) -> None:
    program = confine.zygote_filter(machine)
    for name in syscalls.REFUSED_AS_MISSING:
        result = run(program, machine, syscalls.NUMBERS[machine][name])
        assert result == 0x00050000 | errno.ENOSYS


def test_another_architecture_and_x32_numbers_are_refused() -> None:
    program = confine.zygote_filter("x86_64")
    assert run(program, "aarch64", 63) != ALLOW
    assert run(program, "x86_64", 0x40000000) != ALLOW
    assert run(program, "x86_64", 0x40000001) != ALLOW


@pytest.mark.parametrize(
    "name",
    "ptrace process_vm_readv process_vm_writev mount umount2 pivot_root unshare setns bpf "
    "io_uring_setup userfaultfd keyctl add_key execve execveat socket connect bind listen accept "
    "sendmsg sendmmsg chmod fchmod chown link symlink mknod utimensat setuid setgid setsid "
    "kexec_load init_module memfd_create pidfd_open perf_event_open shmget semget msgget mq_open "
    "personality uname chroot reboot setpriority sched_setaffinity tkill tgkill".split(),
)
def test_dangerous_calls_are_in_no_list(name: str) -> None:
    lists = syscalls.ALLOWED | syscalls.ZYGOTE_ONLY | syscalls.ARGUMENT_RULES.keys()
    assert name not in lists


def test_a_missing_landlock_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
    with pytest.raises(OSError, match="no Landlock"):
        confine.landlock([])
