"""Reading what runs left, for the benchmarks that look at assertions. Nothing is changed.

Owns the step from stored rows to executed assertions.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.sandbox import Sandbox  # noqa: E402
from lift_sys.sandbox.assertions import held_assertions  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from optimizers.rows import Row  # noqa: E402
from programs.calibration import Judged  # noqa: E402


class Entry(NamedTuple):
    """A stored row with its task."""

    row: Row
    task: Task

    @property
    def model(self) -> str:
        """Id of the model that wrote the row's IR, or its code where there is none."""
        names = {call.stage: call.model for call in reversed(self.row.calls)}
        return names.get("ir", self.row.calls[-1].model).rpartition("/")[2]


def task_file(name: str) -> Path:
    """Return the file of a shipped set, or the path itself."""
    shipped = ROOT / "datasets" / f"{name}.jsonl"
    return shipped if shipped.exists() else Path(name)


def whole_lines(file: Path) -> list[bytes]:
    """Return the lines of a run's file; a last one that is still being written is left out."""
    whole, _, _ = file.read_bytes().rpartition(b"\n")
    return [line for line in whole.splitlines() if line]


def read_entries(runs: Sequence[Path], data: str, program: str | None = None) -> list[Entry]:
    """Return the rows of run directories whose tasks are in a set.

    A last line that is still being written is left out. Of a task that a program was run on more
    than once, because its code changed in between, the last row counts.

    Args:
        runs: Run directories.
        data: A shipped set or a task file.
        program: Only rows with this label.
    """
    tasks = {task.id: task for task in load_tasks(task_file(data))}
    latest: dict[tuple[Path, str, str], Entry] = {}
    for run in runs:
        for row in map(Row.model_validate_json, whole_lines(run / "rows.jsonl")):
            if row.task_id in tasks and program in {None, row.label}:
                latest[run, row.label, row.task_id] = Entry(row, tasks[row.task_id])
    return list(latest.values())


def judge_entry(entry: Entry, sandbox: Sandbox) -> Judged | None:
    """Run the assertions of a row's IR on its code; ``None`` where there is no code.

    Raises:
        SandboxError: The sandbox failed.
    """
    row, task = entry
    if row.code is None:
        return None
    held = held_assertions(row.code, task.entry_point, row.ir, task.visible, sandbox)
    return Judged(row.score.passed, tuple(held))
