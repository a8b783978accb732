"""Tasks: what a program is asked for and how its answer is checked."""

from __future__ import annotations

from lift_sys.tasks.asserts import ConvertedTest, convert_asserts, strong_share
from lift_sys.tasks.model import WEAK_NAME, Case, Split, Task, TaskView
from lift_sys.tasks.native import dump_tasks, load_tasks, read_tasks, write_tasks

__all__ = [
    "WEAK_NAME",
    "Case",
    "ConvertedTest",
    "Split",
    "Task",
    "TaskView",
    "convert_asserts",
    "dump_tasks",
    "load_tasks",
    "read_tasks",
    "strong_share",
    "write_tasks",
]
