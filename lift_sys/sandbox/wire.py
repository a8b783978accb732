"""What host and zygote say to each other, byte for byte.

Host to zygote: ``REQUEST`` (sizes and limits), then the submission as JSON. Zygote to host, once:
``HELLO`` and JSON with the layers; then per submission ``REPLY`` and the bytes the child wrote.
Standard library only: this module is loaded inside the sandbox.
"""

from __future__ import annotations

import struct

REQUEST = struct.Struct("!IIddQQ")
"""Bytes, calls, seconds for a call, seconds in all, bytes of memory, bytes of output."""

HELLO = struct.Struct("!I")
"""Bytes of the greeting."""

REPLY = struct.Struct("!BiIQd")
"""How it ended, exit code or minus a signal, complete lines, bytes, seconds."""

FINISHED, EXITED, CALL_TIMEOUT, TOTAL_TIMEOUT, OUTPUT_LIMIT, MEMORY_LIMIT = range(6)
"""How a candidate ended: every call answered, ended by itself, or stopped at a limit."""
