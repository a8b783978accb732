"""Files as wholes: written entirely or not at all, and known by their hash."""

from __future__ import annotations

import hashlib
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


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file that fits into memory."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def file_name(text: str) -> str:
    """Return a name for files that are about something, e.g. a model: one part of a path."""
    return text.replace(">", "-then-").replace("/", "-")
