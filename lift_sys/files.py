"""Writing files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from lift_sys.errors import StoreError


def write_atomically(path: Path, text: str) -> Path:
    """Write a file beside its place and move it there.

    Raises:
        StoreError: The disk refused; the old file, if any, is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise StoreError(msg) from error
    return path
