"""The tasks that a caller gives: train and dev, without a file of their own.

Owns the division into the two where only one set is given, and their names and hashes in a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lift_sys.app import environment, gate
from lift_sys.app.data import Data, shuffled
from lift_sys.errors import ConfigError, DatasetError
from lift_sys.record import digest
from lift_sys.tasks import Task, load_tasks
from lift_sys.tasks.splitting import split_tasks

Tasks = str | Path | Sequence[Task]
"""A shipped set, the path of a task file, or the tasks."""

TRAIN, DEV = "given train tasks", "given dev tasks"


def own_data(tasks: Tasks, dev: Tasks | None, seed: int) -> Data:
    """Return the data of a job on a caller's tasks; the job is left no test set.

    Args:
        tasks: Train tasks, or train and dev tasks together.
        dev: Dev tasks; without them half of the tasks become dev tasks (of an odd number, one
            more than half), divided as ``lift tasks split`` does.
        seed: Of the division, and of the order in which tasks are run.

    Raises:
        ConfigError: There are test tasks among them, or the same task is in both.
        DatasetError: A file cannot be read, there are no dev tasks, ids are not unique, or near-
            duplicates leave no division in halves.
    """
    train = _read(tasks)
    chosen = [] if dev is None else _read(dev)
    _check([*train, *chosen])
    if dev is None:
        train, chosen = _divided(train, seed)
    if not chosen:
        msg = "there is no dev task to choose a program on; give at least one"
        raise DatasetError(msg)
    named = {TRAIN: train, DEV: chosen}
    return Data(
        train=shuffled(train, seed),
        dev=shuffled(chosen, seed),
        test=(),
        hashes={name: digest([t.content_hash for t in some]) for name, some in named.items()},
    )


def _read(tasks: Tasks) -> list[Task]:
    if isinstance(tasks, str | Path):
        return list(load_tasks(environment.data_file(str(tasks))))
    given: Any = tasks
    wrong = [given] if not isinstance(given, Iterable) else []
    found = [] if wrong else list(given)
    wrong += [task for task in found if not isinstance(task, Task)]
    if wrong:
        msg = (
            f"tasks must be a shipped set, the path of a task file or a list of lift_sys.Task, not "
            f"{type(wrong[0]).__name__}"
        )
        raise DatasetError(msg)
    return found


def _divided(tasks: Sequence[Task], seed: int) -> tuple[list[Task], list[Task]]:
    size = len(tasks) // 2
    try:
        divided = split_tasks(tasks, {"dev": len(tasks) - size, "train": size}, seed)
    except DatasetError as error:
        msg = f"{error}; or divide them yourself and give dev tasks apart, as dev=..."
        raise DatasetError(msg) from error
    return divided["train"], divided["dev"]


def _check(tasks: Sequence[Task]) -> None:
    if gate.holds_test_tasks(tasks):
        msg = "test tasks stay closed while something is chosen; give tasks of train and dev only"
        raise ConfigError(msg)
    counts = Counter(task.id for task in tasks)
    twice = next((task_id for task_id, count in counts.items() if count > 1), None)
    if twice is not None:
        msg = f"the task {twice!r} is given twice; ids must differ, and dev tasks from train tasks"
        raise DatasetError(msg)
