"""Demos for the program's predictors from a task, an IR and code for it."""

from __future__ import annotations

from typing import Any

from lift_sys.ir.models import SpecIR
from lift_sys.ir.render import render
from lift_sys.ir.schema import to_wire
from lift_sys.tasks import Task
from programs.requests import spec_with_examples


def make_demos(task: Task, ir: SpecIR | None, code: str) -> dict[str, dict[str, Any]]:
    """Return one demo per predictor path; without an IR, only for the stage that writes code.

    The code demo carries both spec and IR, and the IR demo effects with all their structure; each
    stage shows the part that it asks for.
    """
    name, spec = task.entry_point, spec_with_examples(task.view)
    if ir is None:
        return {"code_generator.predict": {"name": name, "spec": spec, "code": code}}
    return {
        "ir_generator.predict": {"name": name, "spec": spec, **to_wire(ir).model_dump()},
        "code_generator.predict": {"name": name, "spec": spec, "ir": render(ir), "code": code},
    }
