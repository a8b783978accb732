"""Demos of a caller's own program: what its predictors answered on train tasks that passed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from optimizers.pools import NO_DEMOS, DemoSet, Pool
from optimizers.rows import Row


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
