"""The task sets of a job: which files, which tasks of them, in which order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lift_sys.app import environment
from lift_sys.config import RunConfig
from lift_sys.files import file_sha256
from lift_sys.tasks import Task, load_tasks


@dataclass(frozen=True)
class Data:
    """The task sets of a job, cut to size and in the order in which they are run.

    Attributes:
        train: For demos; the first ``pool_tasks`` are run to bootstrap.
        dev: For selection.
        test: For the final table.
        hashes: SHA-256 of each file, by its name in the configuration.
    """

    train: tuple[Task, ...]
    dev: tuple[Task, ...]
    test: tuple[Task, ...]
    hashes: Mapping[str, str]


def load_data(config: RunConfig) -> Data:
    """Read and cut the task sets.

    Raises:
        DatasetError: A file is missing or broken.
    """
    files = {name: environment.data_file(name) for name in _data_names(config)}
    return Data(
        train=shuffled(load_tasks(files[config.train_data]), config.seed),
        dev=shuffled(load_tasks(files[config.dev_data]), config.seed)[: config.dev_tasks],
        test=tuple(load_tasks(files[config.test_data]))[: config.test_tasks],
        hashes={name: file_sha256(file) for name, file in files.items()},
    )


def shuffled(tasks: Sequence[Task], seed: int) -> tuple[Task, ...]:
    """Return tasks in the order in which a job of this seed runs them."""
    ordered = list(tasks)
    random.Random(f"{seed}/order").shuffle(ordered)  # noqa: S311 (not a secret)
    return tuple(ordered)


def _data_names(config: RunConfig) -> tuple[str, ...]:
    return config.train_data, config.dev_data, config.test_data
