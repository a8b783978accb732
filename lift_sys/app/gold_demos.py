"""Demo sets of the shipped train tasks, by name, for programs that no search has given any.

Owns the value ``demos`` of ``lift eval``: what a job would call the same set in its space.
"""

from __future__ import annotations

import functools
import re

from lift_sys.app import environment
from lift_sys.config import SetKind
from lift_sys.errors import ConfigError
from lift_sys.tasks import Task, load_tasks
from optimizers.pools import DemoSet, build_pool
from programs.demos import make_demos

NONE = DemoSet(name="none", tasks=(), demos={})
MOST = 8
"""Most demos of a set that is no bank, as in a job."""
_NAME = re.compile(r"gold-(?:(short)-)?(?:(bank)|(\d+))")


def demo_set(name: object, seed: int = 0) -> DemoSet:
    """Return a demo set of gold demos.

    Args:
        name: ``none``, ``gold-N`` (tasks of different categories), ``gold-short-N`` (the shortest)
            or ``gold-bank`` (all), with N from 1 to 8.
        seed: Decides which tasks ``gold-N`` shows; 0 as in a job by default.

    Raises:
        ConfigError: There is no such set.
        DatasetError: The train tasks cannot be read.
    """
    if name == NONE.name:
        return NONE
    match = _NAME.fullmatch(str(name))
    short, bank, size = match.groups() if match else (None, None, None)
    if match is None or (short and bank) or (size and not 1 <= int(size) <= MOST):
        msg = (
            f"there is no demo set {name!r}; choose none, gold-N, gold-short-N or gold-bank, "
            f"with N from 1 to {MOST}"
        )
        raise ConfigError(msg)
    kind: SetKind = "short" if short else "bank" if bank else "spread"
    pool = build_pool(_train(), {}, make_demos, size=int(size or 1), seed=seed, kinds=(kind,))
    return pool[str(name)]


@functools.cache
def _train() -> tuple[Task, ...]:
    return tuple(load_tasks(environment.data_file("train")))
