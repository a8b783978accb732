"""The base of every record: a frozen pydantic model that refuses unknown fields.

Owns the two conventions all records share: immutability with ``extra="forbid"``, and a
``schema_version`` on persisted ones that refuses what a newer release wrote.
"""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, field_validator


class Record(BaseModel):
    """A frozen value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Versioned(Record):
    """A value that is persisted and carries the version of its format."""

    current_version: ClassVar[int] = 1
    schema_version: int = 1

    @field_validator("schema_version")
    @classmethod
    def _refuse_newer(cls, version: int) -> int:
        if not 1 <= version <= cls.current_version:
            msg = (
                f"version {version} of {cls.__name__} is not one this release reads "
                f"(1 to {cls.current_version}); upgrade lift-sys"
            )
            raise ValueError(msg)
        return version


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON-able value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
