"""Running generated code safely and judging what it returns."""

from __future__ import annotations

from lift_sys.sandbox.base import Call, CallOutcome, Execution, Limits, Sandbox, Submission
from lift_sys.sandbox.host import create_sandbox
from lift_sys.sandbox.judge import judge, judge_test_code
from lift_sys.sandbox.probe import ProbeReport, probe_backends

__all__ = [
    "Call",
    "CallOutcome",
    "Execution",
    "Limits",
    "ProbeReport",
    "Sandbox",
    "Submission",
    "create_sandbox",
    "judge",
    "judge_test_code",
    "probe_backends",
]
