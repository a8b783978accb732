"""Pools of demos and instructions, built and stored before a search begins.

Owns how demos are made from train tasks: *gold* ones from hand-checked IRs and reference code,
*bootstrapped* ones from a teacher's answers that passed every hidden case. A pool is hashed, so
that the search space is provably the same when a search is resumed.

From each source come up to three sets. A *spread* set shows some tasks of different categories;
a *short* one the easiest and shortest of them, the shortest first; a *bank* has all of them, for
programs that choose those nearest to the spec. A bank begins with the spread set, so a program that
takes the first demos of a bank shows that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
from pydantic import Field

from lift_sys.config import SetKind
from lift_sys.ir.models import SpecIR
from lift_sys.record import Record, Versioned, digest
from lift_sys.tasks import Task
from optimizers.rows import Row

DEMOS = "demos"
"""The dimension that names a demo set, for the whole program or, after a stage, for that one."""
INSTRUCTIONS = "instructions"
"""What follows a stage in the dimension that names its instructions."""
NO_DEMOS = "none"
"""The name of the demo set that is empty."""
OWN = "own"
"""The name of the instructions that a program has already."""

Demo = dict[str, Any]
DemoMaker = Callable[[Task, SpecIR | None, str], dict[str, Demo]]
"""Makes at most one demo per predictor path from a task, an IR or none, and code for it."""

MOST_IN_BANK = 250
"""Most demos of a bank: an artifact carries them, about 3 KB each."""

Source = tuple[Task, SpecIR | None, str]


def stage_of(path: str) -> str:
    """Return the stage that a predictor with this path belongs to, as dimensions name it."""
    return path.removesuffix(".predict")


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

    def of(self, path: str) -> list[Demo]:
        """Return the demos for a predictor, which the caller may change."""
        return [dict(demo) for demo in self.demos.get(path, ())]

    def apply(self, program: dspy.Module) -> None:
        """Give the program's predictors these demos and no others."""
        for path, predictor in program.named_predictors():
            predictor.demos = self.of(path)


class Instructions(Record):
    """A candidate for the instructions of one predictor.

    Attributes:
        name: Its value in the search space, e.g. ``copro-1``.
        text: What the predictor's model is told.
    """

    name: str
    text: str


class Pool(Versioned):
    """What a search chooses from beside hypers.

    Attributes:
        sets: Demo sets, ``none`` first.
        instructions: Candidates by predictor path, beside the program's own.
    """

    sets: tuple[DemoSet, ...]
    instructions: dict[str, tuple[Instructions, ...]] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The sets' names, in order."""
        return tuple(s.name for s in self.sets)

    def __getitem__(self, name: str) -> DemoSet:
        return next(s for s in self.sets if s.name == name)

    def names_for(self, stage: str) -> tuple[str, ...]:
        """Return the names of the sets that have demos for a stage, ``none`` first."""
        shown = [s.name for s in self.sets if any(stage_of(p) == stage for p in s.demos)]
        return (NO_DEMOS, *shown)

    def dimensions(self, *, per_predictor: bool) -> dict[str, tuple[str, ...]]:
        """Return what can be chosen, by the path of the dimension.

        Args:
            per_predictor: Whether each predictor has a demo set of its own.
        """
        found: dict[str, tuple[str, ...]] = {DEMOS: self.names}
        if per_predictor:
            stages = dict.fromkeys(stage_of(path) for s in self.sets for path in s.demos)
            found = {f"{stage}.{DEMOS}": self.names_for(stage) for stage in stages}
        for path, texts in self.instructions.items():
            found[f"{stage_of(path)}.{INSTRUCTIONS}"] = (OWN, *(text.name for text in texts))
        return found

    def apply(self, program: dspy.Module, point: Mapping[str, Any]) -> dict[str, Any]:
        """Give a program the demos and instructions of a point, and return the point's hypers."""
        for path, predictor in program.named_predictors():
            stage = stage_of(path)
            named = point.get(f"{stage}.{DEMOS}", point.get(DEMOS, NO_DEMOS))
            predictor.demos = self[named].of(path)
            chosen = point.get(f"{stage}.{INSTRUCTIONS}", OWN)
            if chosen != OWN:
                text = next(c.text for c in self.instructions[path] if c.name == chosen)
                predictor.signature = predictor.signature.with_instructions(text)
        own = {DEMOS, INSTRUCTIONS}
        return {path: v for path, v in point.items() if path.split(".")[-1] not in own}

    @property
    def content_hash(self) -> str:
        """SHA-256 of the pool."""
        return digest(self.model_dump(mode="json"))


def build_pool(
    tasks: Sequence[Task],
    taught: Mapping[str, Sequence[Row]],
    make_demos: DemoMaker,
    *,
    size: int,
    seed: int,
    kinds: Sequence[SetKind] = ("spread",),
) -> Pool:
    """Build the demo sets: none, gold ones and those of each teacher.

    A set that cannot be filled, or that would show what an earlier one shows, is left out.

    Args:
        tasks: Train tasks.
        taught: What each teacher answered on (some of) them, by what its sets are called.
        make_demos: Turns a task, an IR and code into demos.
        size: Demos in a set that is no bank.
        seed: Decides which tasks a spread set shows.
        kinds: Which sets are made of each source.
    """
    by_id = {task.id: task for task in tasks}
    sources: dict[str, list[Source]] = {
        "gold": [(t, t.gold_ir, t.reference_code) for t in tasks if t.gold_ir and t.reference_code]
    }
    for name, rows in taught.items():
        sources[name] = [
            (by_id[r.task_id], r.ir, r.code) for r in rows if r.score.passed and r.code
        ]
    sets = [DemoSet(name=NO_DEMOS, tasks=(), demos={})]
    for origin, found in sources.items():
        shuffled = sorted(found, key=lambda source: source[0].id)
        random.Random(f"{seed}/{origin}").shuffle(shuffled)  # noqa: S311 (not a secret)
        if len(shuffled) < size:
            continue
        made = {
            "spread": _spread(shuffled)[:size],
            "short": _short(shuffled, size),
            "bank": _spread(shuffled)[:MOST_IN_BANK],
        }
        for kind in kinds:
            made_set = _demo_set(set_name(origin, kind, size), made[kind], make_demos)
            if made_set.demos not in [earlier.demos for earlier in sets]:
                sets.append(made_set)
    return Pool(sets=tuple(sets))


def set_name(origin: str, kind: SetKind, size: int) -> str:
    """Return what a demo set is called.

    Args:
        origin: ``gold`` or ``bootstrapped``.
        kind: How it is made.
        size: Demos in a set that is no bank.
    """
    return {
        "spread": f"{origin}-{size}",
        "short": f"{origin}-short-{size}",
        "bank": f"{origin}-bank",
    }[kind]


def _demo_set(name: str, sources: Sequence[Source], make_demos: DemoMaker) -> DemoSet:
    demos = [make_demos(task, ir, code) for task, ir, code in sources]
    paths = sorted({path for demo in demos for path in demo})
    return DemoSet(
        name=name,
        tasks=tuple(task.id for task, _, _ in sources),
        demos={p: tuple(d[p] for d in demos if p in d) for p in paths},
    )


def _short(sources: Sequence[Source], size: int) -> list[Source]:
    """Take easy and short sources, of different categories first; the shortest come first."""
    return sorted(_spread(sorted(sources, key=_effort))[:size], key=_effort)


def _effort(source: Source) -> tuple[int, int, str]:
    task, _, code = source
    return task.difficulty, len(task.spec) + len(code), task.id


def _spread(sources: Sequence[Source]) -> list[Source]:
    """Put sources of different categories first: demos should not all show the same thing."""
    chosen: list[Source] = []
    rest = list(sources)
    while rest:
        seen = {task.category for task, _, _ in chosen}
        fresh = [s for s in rest if s[0].category not in seen] or rest
        chosen.append(fresh[0])
        rest.remove(fresh[0])
    return chosen
