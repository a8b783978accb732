"""Files as wholes: written entirely or not at all, read as one record, and known by their hash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from lift_sys.errors import StoreError
from lift_sys.record import Versioned

Read = TypeVar("Read", bound=Versioned)


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


def read_whole(path: Path, kind: type[Read]) -> Read | None:
    """Return what a file holds as JSON; ``None`` where there is no file.

    Raises:
        StoreError: It cannot be read, or is of another form.
    """
    try:
        return kind.model_validate_json(path.read_bytes()) if path.exists() else None
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise StoreError(msg) from error
    except ValidationError as error:
        msg = f"{path} was not written by this release; move the run away"
        raise StoreError(msg) from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file that fits into memory."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def file_name(text: str) -> str:
    """Return a name for files that are about something, e.g. a model: one part of a path."""
    return text.replace(">", "-then-").replace("/", "-")
