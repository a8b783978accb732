"""What macOS needs besides: how much memory a process holds.

Its kernel keeps no limit on address space, so the zygote looks at resident memory instead.
Standard library only: this module is loaded inside the sandbox.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

_RUSAGE_INFO_V0 = 0
_SIZE = 256  # more than ``struct rusage_info_v0``
_RESIDENT = 16 + 6 * 8  # a 16-byte identity, then six counters before ri_resident_size


def resident_bytes(pid: int, library: Any = None) -> int:
    """Return the resident memory of a process in bytes, 0 if it cannot be had.

    Args:
        pid: The process, of the same user.
        library: The C library that has ``proc_pid_rusage``.
    """
    buffer = ctypes.create_string_buffer(_SIZE)
    try:
        function = (library or ctypes.CDLL(None)).proc_pid_rusage
    except AttributeError:
        return 0
    if function(pid, _RUSAGE_INFO_V0, buffer) != 0:
        return 0
    resident: int = struct.unpack_from("=Q", buffer, _RESIDENT)[0]
    return resident
