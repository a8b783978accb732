"""System call numbers and the policy over their names.

Owns three lists: what candidates may call, what the zygote alone may call besides, and what is
allowed only with certain arguments. Everything not named is refused. Standard library only: this
module is loaded inside the sandbox. The numbers are those of Linux's ``unistd`` headers.
"""

from __future__ import annotations

import errno

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The kernel's name of an architecture in ``seccomp_data.arch``, by ``platform.machine()``."""

ALLOWED = frozenset(
    """
    read write readv writev pread64 pwrite64 lseek close fstat stat lstat newfstatat statx access
    faccessat faccessat2 open openat readlink readlinkat getdents getdents64 getcwd chdir mkdir
    mkdirat unlink unlinkat rmdir rename renameat renameat2 ftruncate truncate fsync fdatasync
    umask dup dup2 dup3 pipe pipe2 poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait
    epoll_pwait eventfd2 mmap munmap mremap mprotect madvise brk futex set_robust_list rseq
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack setitimer getitimer alarm
    pause nanosleep gettimeofday time times getpid getppid gettid getuid geteuid getgid getegid
    getgroups getpgrp getrusage getrlimit sched_yield sysinfo getrandom exit exit_group arch_prctl
    set_tid_address restart_syscall recvfrom shutdown getsockname getpeername getsockopt
    setsockopt
    """.split()
)
"""What a candidate may call whatever the arguments."""

ZYGOTE_ONLY = frozenset(
    """
    wait4 waitid kill prlimit64 setrlimit prctl seccomp capset capget landlock_create_ruleset
    landlock_add_rule landlock_restrict_self
    """.split()
)
"""What the zygote needs to start, limit and end candidates; refused again in candidates."""

PROCESS_CREATION = ("clone", "fork", "vfork")
"""Refused in candidates; the zygote may ``clone`` with exactly ``FORK_FLAGS``."""

FORK_FLAGS = 0x01200011
"""CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD: what C libraries pass for ``fork``."""

ARGUMENT_RULES: dict[str, tuple[tuple[tuple[int, tuple[int, ...]], ...], int]] = {
    # name: (every (argument, allowed values) must match), errno otherwise
    "ioctl": (((1, (0x5421, 0x5450, 0x5451)),), errno.ENOTTY),  # FIONBIO FIONCLEX FIOCLEX
    "socketpair": (((0, (1,)), (1, (0x1, 0x801, 0x80001, 0x80801))), errno.EPERM),  # UNIX stream
    "sendto": (((4, (0,)), (5, (0,))), errno.EPERM),  # to the connected peer only
    # Duplicating and flags; not F_SETOWN and F_SETSIG, by which the kernel sends any signal.
    "fcntl": (((1, (0, 1, 2, 3, 4, 1030)),), errno.EPERM),
    # One's own process and the plain clocks: others would tell which processes exist.
    "getpgid": (((0, (0,)),), errno.EPERM),
    "getsid": (((0, (0,)),), errno.EPERM),
    "sched_getaffinity": (((0, (0,)),), errno.EPERM),
    "clock_gettime": (((0, tuple(range(12))),), errno.EPERM),
    "clock_getres": (((0, tuple(range(12))),), errno.EPERM),
    "clock_nanosleep": (((0, (0, 1, 7)),), errno.EPERM),
}
"""Allowed with these arguments only (``ioctl``, ``socketpair`` and ``sendto`` for ``asyncio``)."""

REFUSED_AS_MISSING = ("clone3", "openat2", "io_uring_setup", "close_range")
"""Refused with ENOSYS, so that C libraries fall back to a call that can be checked."""

_TABLES = {
    "x86_64": """
    read:0 write:1 readv:19 writev:20 pread64:17 pwrite64:18 lseek:8 close:3 fstat:5 stat:4
    lstat:6 newfstatat:262 statx:332 access:21 faccessat:269 faccessat2:439 open:2 openat:257
    readlink:89 readlinkat:267 getdents:78 getdents64:217 getcwd:79 chdir:80 mkdir:83 mkdirat:258
    unlink:87 unlinkat:263 rmdir:84 rename:82 renameat:264 renameat2:316 ftruncate:77 truncate:76
    fsync:74 fdatasync:75 utimensat:280 umask:95 dup:32 dup2:33 dup3:292 pipe:22 pipe2:293
    fcntl:72 flock:73 poll:7 ppoll:271 select:23 pselect6:270 epoll_create1:291 epoll_ctl:233
    epoll_wait:232 epoll_pwait:281 eventfd2:290 mmap:9 munmap:11 mremap:25 mprotect:10 madvise:28
    brk:12 futex:202 set_robust_list:273 rseq:334 rt_sigaction:13 rt_sigprocmask:14
    rt_sigreturn:15 rt_sigpending:127 sigaltstack:131 setitimer:38 getitimer:36 alarm:37 pause:34
    nanosleep:35 clock_nanosleep:230 clock_gettime:228 clock_getres:229 gettimeofday:96 time:201
    times:100 getpid:39 getppid:110 gettid:186 getuid:102 geteuid:107 getgid:104 getegid:108
    getgroups:115 getpgid:121 getpgrp:111 getsid:124 getrusage:98 getrlimit:97 sched_yield:24
    sched_getaffinity:204 uname:63 sysinfo:99 getrandom:318 exit:60 exit_group:231 arch_prctl:158
    set_tid_address:218 restart_syscall:219 sendto:44 recvfrom:45 shutdown:48 getsockname:51
    getpeername:52 getsockopt:55 setsockopt:54 socketpair:53 ioctl:16 clone:56 clone3:435
    openat2:437 io_uring_setup:425 close_range:436 fork:57 vfork:58 wait4:61 waitid:247 kill:62
    prlimit64:302 setrlimit:160 prctl:157 seccomp:317 capset:126 capget:125
    landlock_create_ruleset:444 landlock_add_rule:445 landlock_restrict_self:446
    """,
    "aarch64": """
    read:63 write:64 readv:65 writev:66 pread64:67 pwrite64:68 lseek:62 close:57 fstat:80
    newfstatat:79 statx:291 faccessat:48 faccessat2:439 openat:56 readlinkat:78 getdents64:61
    getcwd:17 chdir:49 mkdirat:34 unlinkat:35 renameat:38 renameat2:276 ftruncate:46 truncate:45
    fsync:82 fdatasync:83 utimensat:88 umask:166 dup:23 dup3:24 pipe2:59 fcntl:25 flock:32
    ppoll:73 pselect6:72 epoll_create1:20 epoll_ctl:21 epoll_pwait:22 eventfd2:19 mmap:222
    munmap:215 mremap:216 mprotect:226 madvise:233 brk:214 futex:98 set_robust_list:99 rseq:293
    rt_sigaction:134 rt_sigprocmask:135 rt_sigreturn:139 rt_sigpending:136 sigaltstack:132
    setitimer:103 getitimer:102 nanosleep:101 clock_nanosleep:115 clock_gettime:113
    clock_getres:114 gettimeofday:169 times:153 getpid:172 getppid:173 gettid:178 getuid:174
    geteuid:175 getgid:176 getegid:177 getgroups:158 getpgid:155 getsid:156 getrusage:165
    getrlimit:163 sched_yield:124 sched_getaffinity:123 uname:160 sysinfo:179 getrandom:278
    exit:93 exit_group:94 set_tid_address:96 restart_syscall:128 sendto:206 recvfrom:207
    shutdown:210 getsockname:204 getpeername:205 getsockopt:209 setsockopt:208 socketpair:199
    ioctl:29 clone:220 clone3:435 openat2:437 io_uring_setup:425 close_range:436 wait4:260
    waitid:95 kill:129 prlimit64:261 setrlimit:164 prctl:167 seccomp:277 capset:91 capget:90
    landlock_create_ruleset:444 landlock_add_rule:445 landlock_restrict_self:446
    """,
}


def _read(table: str) -> dict[str, int]:
    pairs = (entry.split(":") for entry in table.split())
    return {name: int(number) for name, number in pairs}


NUMBERS: dict[str, dict[str, int]] = {machine: _read(text) for machine, text in _TABLES.items()}
"""System call numbers by architecture and name; a name an architecture lacks is not there."""
