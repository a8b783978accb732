"""Demos of a caller's own program: what its predictors answered on train tasks that passed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import dspy

from lift_sys.app.pool import FILE, POOL, Source
from lift_sys.app.progress import Progress
from lift_sys.app.store import RunDirectory
from optimizers.pools import NO_DEMOS, DemoSet, Pool
from optimizers.rows import Row


def obtain_traced(
    source: Source, student: dspy.Module, run: RunDirectory, progress: Progress
) -> Pool:
    """Run a caller's program on train tasks, and keep and return the pool of its traces.

    Raises:
        StoreError: The disk refused.
        InfrastructureError: The backend failed.
    """
    config = source.config
    progress.begin(POOL, config.pool_tasks)
    rows = source.evaluator.run(student, source.data.train[: config.pool_tasks], POOL)
    pool = traced_pool(list(rows), size=config.demos, seed=config.seed)
    progress.end()
    run.write(FILE, pool.model_dump_json(indent=2) + "\n")
    return pool


def traced_pool(rows: Sequence[Row], *, size: int, seed: int) -> Pool:
    """Return the demo sets that the traces of passed tasks make: none, and one of a size.

    Args:
        rows: Of train tasks.
        size: Demos in the set; with fewer passed tasks there is none.
        seed: Decides which tasks it shows.
    """
    sets = [DemoSet(name=NO_DEMOS, tasks=(), demos={})]
    passed = sorted((r for r in rows if r.score.passed and r.trace), key=lambda row: row.task_id)
    random.Random(f"{seed}/traced").shuffle(passed)  # noqa: S311 (not a secret)
    if len(passed) >= size:
        shown = passed[:size]
        demos: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in shown:
            for path, step in {step.predictor: step for step in row.trace}.items():
                demos[path].append({**step.inputs, **step.outputs})
        made = {path: tuple(some) for path, some in demos.items()}
        tasks = tuple(row.task_id for row in shown)
        sets.append(DemoSet(name=f"traced-{size}", tasks=tasks, demos=made))
    return Pool(sets=tuple(sets))
