"""Running generated code safely and judging what it returns."""

from __future__ import annotations

from lift_sys.sandbox.base import Call, CallOutcome, Execution, Limits, Sandbox, Submission
from lift_sys.sandbox.host import create_sandbox
from lift_sys.sandbox.judge import judge

__all__ = [
    "Call",
    "CallOutcome",
    "Execution",
    "Limits",
    "Sandbox",
    "Submission",
    "create_sandbox",
    "judge",
]
