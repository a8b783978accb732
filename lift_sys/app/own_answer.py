"""What a job reads of a caller's program's answer, whose fields mean what the caller likes.

Owns which of them are read. ``ir``, ``failure`` and ``attempts`` are reserved to our programs, and
are looked at only where one of them made the answer; ``code`` may be a text or a ``dspy.Code``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy

from lift_sys.errors import ConfigError
from programs.attempts import Attempt

OURS = ("ir", "failure", "attempts")


class NoAnswer(dspy.Prediction):
    """Stands for the answer of a program that raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(code=None, failure=f"{type(error).__name__}: {error}")


def checked(answer: Any, program: str, task_id: str) -> dspy.Prediction:
    """Return what a program returned.

    Raises:
        ConfigError: It is no prediction.
    """
    if not isinstance(answer, dspy.Prediction):
        msg = (
            f"{program} returned a {type(answer).__name__} for the task {task_id!r}; "
            "a program must return a dspy.Prediction"
        )
        raise ConfigError(msg)
    return answer


def as_kept(answer: dspy.Prediction) -> dspy.Prediction:
    """Return what a row keeps of an answer: its code as text, and what is reserved to ours."""
    code: Any = answer.get("code")
    code = code.code if isinstance(code, dspy.Code) else code
    kept: dict[str, Any] = {"code": code if code is None else str(code)}
    if isinstance(answer, NoAnswer) or _is_ours(answer):
        kept |= {name: answer[name] for name in OURS if name in answer}
    return dspy.Prediction(**kept)


def as_run(answer: dspy.Prediction, task_id: str) -> dspy.Prediction:
    """Return an answer whose code the sandbox can run.

    Raises:
        ConfigError: Its code is no text.
    """
    code: Any = answer.get("code")
    if not isinstance(code, str | dspy.Code | None):
        msg = (
            f"the program's code for the task {task_id!r} is a {type(code).__name__}, which cannot "
            "be run; return a str or a dspy.Code, or give a metric"
        )
        raise ConfigError(msg)
    return as_kept(answer)


def _is_ours(answer: dspy.Prediction) -> bool:
    attempts: Any = answer.get("attempts")
    return isinstance(attempts, Sequence) and any(isinstance(a, Attempt) for a in attempts)
