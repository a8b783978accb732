"""From a spec to a typed IR to a Python function, and a search for the program that does it best.

The public API is what ``__all__`` names. Names are imported when they are first used, so that
``import lift_sys`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lift_sys.app.export import Artifact, load_artifact
    from lift_sys.app.load import load_program
    from lift_sys.app.study import Study, optimize
    from lift_sys.config import RunConfig
    from lift_sys.errors import LiftError
    from lift_sys.ir.models import SpecIR
    from lift_sys.sandbox import create_sandbox
    from lift_sys.tasks import Case, Task, TaskView, load_tasks
    from lift_sys.verdict import Score, Status, Verdict
    from programs.hypers import Hyper

__version__ = "0.1.0"

_HOMES = {
    "Artifact": "lift_sys.app.export",
    "Case": "lift_sys.tasks",
    "Hyper": "programs.hypers",
    "LiftError": "lift_sys.errors",
    "RunConfig": "lift_sys.config",
    "Score": "lift_sys.verdict",
    "SpecIR": "lift_sys.ir.models",
    "Status": "lift_sys.verdict",
    "Study": "lift_sys.app.study",
    "Task": "lift_sys.tasks",
    "TaskView": "lift_sys.tasks",
    "Verdict": "lift_sys.verdict",
    "create_sandbox": "lift_sys.sandbox",
    "load_artifact": "lift_sys.app.export",
    "load_program": "lift_sys.app.load",
    "load_tasks": "lift_sys.tasks",
    "optimize": "lift_sys.app.study",
}

__all__ = [
    "Artifact",
    "Case",
    "Hyper",
    "LiftError",
    "RunConfig",
    "Score",
    "SpecIR",
    "Status",
    "Study",
    "Task",
    "TaskView",
    "Verdict",
    "create_sandbox",
    "load_artifact",
    "load_program",
    "load_tasks",
    "optimize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module 'lift_sys' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
