"""What Python does that code is often wrong about, and for which specs it matters.

Owns the choice of quirks for a spec and their form in a prompt. The quirks are data, in
``quirks.toml`` beside this file.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files

from lift_sys.record import Record


class Quirk(Record):
    """Something that Python does.

    Attributes:
        id: Short name.
        trigger: Regular expressions, case ignored; the quirk matters for a spec in which every one
            is found.
        text: One short line for a prompt.
        demonstration: Python statements, with asserts, that show it on the Python that runs them.
    """

    id: str
    trigger: tuple[str, ...]
    text: str
    demonstration: str


def _read() -> tuple[Quirk, ...]:
    text = files("lift_sys.knowledge").joinpath("quirks.toml").read_text(encoding="utf-8")
    return tuple(Quirk.model_validate(quirk) for quirk in tomllib.loads(text)["quirk"])


QUIRKS = _read()
"""Every quirk, in the order in which prompts show them."""


@functools.lru_cache(maxsize=64)  # every request of an answer asks for those of its spec
def triggered(spec: str) -> tuple[Quirk, ...]:
    """Return the quirks that matter for a spec, in their fixed order."""
    return tuple(
        quirk
        for quirk in QUIRKS
        if all(re.search(pattern, spec, re.IGNORECASE) for pattern in quirk.trigger)
    )


def listed(quirks: Sequence[Quirk]) -> str:
    """Return the texts of quirks, a line each; nothing for none."""
    return "\n".join(f"- {quirk.text}" for quirk in quirks)
