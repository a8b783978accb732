"""Pools of demos, built and stored before a search begins.

Owns how demos are made from train tasks: *gold* ones from hand-checked IRs and reference code,
*bootstrapped* ones from the traces of answers that passed every hidden case. A pool is hashed, so
that the search space is provably the same when a search is resumed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import dspy

from lift_sys.ir.models import SpecIR
from lift_sys.record import Record, Versioned, digest
from lift_sys.tasks import Task
from optimizers.evaluate import Row

Demo = dict[str, Any]
DemoMaker = Callable[[Task, SpecIR, str], dict[str, Demo]]
"""Makes one demo per predictor path from a task, an IR and code for it."""


class DemoSet(Record):
    """Demos that are used together.

    Attributes:
        name: Its value in the search space, e.g. ``gold-2a``.
        tasks: Ids of the train tasks they show.
        demos: By predictor path.
    """

    name: str
    tasks: tuple[str, ...]
    demos: dict[str, tuple[Demo, ...]]

    def apply(self, program: dspy.Module) -> None:
        """Give the program's predictors these demos and no others."""
        for path, predictor in program.named_predictors():
            predictor.demos = [dict(demo) for demo in self.demos.get(path, ())]


class Pool(Versioned):
    """The demo sets of a search, ``none`` first."""

    sets: tuple[DemoSet, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The sets' names, in order."""
        return tuple(s.name for s in self.sets)

    def __getitem__(self, name: str) -> DemoSet:
        return next(s for s in self.sets if s.name == name)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the pool."""
        return digest(self.model_dump(mode="json"))


def build_pool(
    tasks: Sequence[Task], rows: Sequence[Row], make_demos: DemoMaker, *, size: int, seed: int
) -> Pool:
    """Build the demo sets: none, gold ones and bootstrapped ones.

    Args:
        tasks: Train tasks.
        rows: What a teacher program answered on (some of) them.
        make_demos: Turns a task, an IR and code into demos.
        size: Demos in a set.
        seed: Decides which tasks a set shows.
    """
    by_id = {task.id: task for task in tasks}
    gold = [(t, t.gold_ir, t.reference_code) for t in tasks if t.gold_ir and t.reference_code]
    passed = [(by_id[r.task_id], r.ir, r.code) for r in rows if r.score.passed and r.ir and r.code]
    sets = [DemoSet(name="none", tasks=(), demos={})]
    for kind, sources in (("gold", gold), ("bootstrapped", passed)):
        shuffled = sorted(sources, key=lambda source: source[0].id)
        random.Random(f"{seed}/{kind}").shuffle(shuffled)  # noqa: S311 (not a secret)
        if len(shuffled) < size:
            continue
        chosen = _spread(shuffled, size)
        demos = [make_demos(task, ir, code) for task, ir, code in chosen]
        paths = sorted({path for demo in demos for path in demo})
        sets.append(
            DemoSet(
                name=f"{kind}-{size}",
                tasks=tuple(task.id for task, _, _ in chosen),
                demos={p: tuple(d[p] for d in demos if p in d) for p in paths},
            )
        )
    return Pool(sets=tuple(sets))


def _spread(sources: list[tuple[Task, SpecIR, str]], size: int) -> list[tuple[Task, SpecIR, str]]:
    """Take sources of different categories first: demos should not all show the same thing."""
    chosen: list[tuple[Task, SpecIR, str]] = []
    rest = list(sources)
    while len(chosen) < size:
        seen = {task.category for task, _, _ in chosen}
        fresh = [s for s in rest if s[0].category not in seen] or rest
        chosen.append(fresh[0])
        rest.remove(fresh[0])
    return chosen
