"""Requests: which ones no program can work on, and how a stage reads the others.

Owns the refusals, each one sentence. A spec is refused only where it is certain that no single
function is asked for; whatever is in doubt is tried.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from lift_sys.errors import ConfigError
from lift_sys.tasks import Case, TaskView
from programs.naming import function_name

MAX_SPEC_CHARS = 16_000
"""Longest spec that is accepted, in characters; longer ones do not fit a model's context."""

_MAKE = r"(?:write|create|implement|define|design|develop|build|make|code|generate)"
_CLASS = re.compile(
    rf"(?:\A|[.!?:,]\s+|\n\s*|\bplease\s+)(?:please\s+)?{_MAKE}\s+(?:me\s+)?(?:a|an|the)\s+"
    r"(?:(?:simple|small|new|generic|abstract|immutable|thread-safe)\s+)*(?:python\s+|data\s?)?class\b"
    r"(?!\s+(?:of|list|name|schedule|register|diagram)\b)",
    re.IGNORECASE,
)
_FUNCTION = re.compile(r"\bfunctions?\b|\bdef\b", re.IGNORECASE)


def refuse_unusable(spec: str, entry_point: str | None = None) -> None:
    """Refuse a spec that no program can work on.

    Args:
        spec: The request in plain language.
        entry_point: The function that is wanted, where that was said; a spec about a class is then
            about what this function does.

    Raises:
        ConfigError: It is empty, longer than ``MAX_SPEC_CHARS``, or asks for a class; or the entry
            point cannot be the name of a function.
    """
    if not spec.strip():
        msg = "the spec is empty; say in a sentence what the function must do"
        raise ConfigError(msg)
    if len(spec) > MAX_SPEC_CHARS:
        msg = (
            f"the spec has {len(spec):,} characters and at most {MAX_SPEC_CHARS:,} are read; "
            "shorten it to what one function must do"
        )
        raise ConfigError(msg)
    if entry_point is not None and not _is_name(entry_point):
        msg = f"{entry_point!r} cannot name a function; give a word such as count_words"
        raise ConfigError(msg)
    if entry_point is None and _CLASS.search(spec) and not _FUNCTION.search(spec):
        msg = (
            "the spec asks for a class and lift-sys writes one function: say what one function "
            "must do, or name the function that you want"
        )
        raise ConfigError(msg)


def requested(spec: str, entry_point: str | None, visible: Sequence[Case]) -> TaskView:
    """Return a request that a program can work on; a function without a name gets one.

    Raises:
        ConfigError: As ``refuse_unusable`` does.
    """
    refuse_unusable(spec, entry_point)
    return TaskView(
        spec=spec, entry_point=entry_point or function_name(spec), visible=tuple(visible)
    )


def spec_with_examples(view: TaskView) -> str:
    """Return the spec, followed by the visible cases as examples."""
    if not view.visible:
        return view.spec
    lines = [case.render(str(view.entry_point)) for case in view.visible]
    return view.spec + "\nExamples:\n" + "\n".join(lines)


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)
