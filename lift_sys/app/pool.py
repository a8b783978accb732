"""The pool of a job: made once from train tasks, stored, and read back from then on.

Owns ``pool.json``. A resumed search needs exactly the space that it began with, and what proposes
instructions need not do the same again, so a stored pool is never made anew. One that was made from
something else (other weights, or code of ours that has changed since) is refused, as the study that
belongs to it would be, and so is one that was changed by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from lift_sys.app.data import Data
from lift_sys.app.progress import Progress
from lift_sys.app.space import asked_predictors
from lift_sys.app.store import RunDirectory
from lift_sys.config import RunConfig, Teacher
from lift_sys.errors import ConfigError, StoreError
from lift_sys.files import read_whole
from lift_sys.record import Versioned, digest
from lift_sys.sandbox.base import Sandbox
from metrics.adapters import ExecutionMetric, to_example
from optimizers.evaluate import Evaluator
from optimizers.instructions import propose
from optimizers.pools import Pool, build_pool
from optimizers.proposers import Brief
from optimizers.rows import Row
from programs.demos import make_demos
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import Models, Stage

POOL = "demo pool"
"""What the phase is called."""
FILE = "pool.json"


class StoredPool(Versioned):
    """What ``pool.json`` holds.

    Attributes:
        inputs_sha256: Of everything that the pool was made from.
        content_sha256: Of the pool.
        passed: Train tasks that each teacher passed, by its name.
        dropped: Proposals of instructions that were not taken, by reason.
        pool: The pool.
    """

    inputs_sha256: str
    content_sha256: str
    passed: dict[str, int]
    dropped: dict[str, int]
    pool: Pool


@dataclass(frozen=True)
class Source:
    """What a pool is made with.

    Attributes:
        config: The job.
        data: Its task sets.
        evaluator: Runs teachers.
        sandbox: Where generated code runs.
        models: Gives the models.
    """

    config: RunConfig
    data: Data
    evaluator: Evaluator
    sandbox: Sandbox
    models: Models

    @property
    def inputs_sha256(self) -> str:
        """SHA-256 of everything that decides what the pool is."""
        names = {"seed", "model", "pool_tasks", "demos", "demo_sets", "teachers", "instructions"}
        # Which stages are proposed for depends on the space.
        asked = self.config.model_dump(mode="json", include=names | {"prompt_model", "space"})
        tasks = [task.content_hash for task in self.data.train]
        return digest([asked, tasks, self.evaluator.identity])


def teach(teacher: Teacher, sandbox: Sandbox) -> SpecToCode:
    """Return a teacher's program.

    Raises:
        ConfigError: There is no such preset, model or temperature.
    """
    program = make_program(teacher.preset, sandbox)
    changes: dict[str, Any] = {}
    if teacher.model is not None:
        stages = (path for path, _ in program.named_sub_modules(Stage))
        changes = {f"{path.removeprefix('self.')}.model": teacher.model for path in stages}
    if teacher.temperature is not None:
        changes["temperature"] = teacher.temperature
    set_hypers(program, changes)
    return program


def origin_of(teacher: Teacher) -> str:
    """Return what the demo sets of a teacher are called after."""
    return "bootstrapped" if teacher == Teacher() else f"bootstrapped-{teacher.name}"


def obtain_pool(source: Source, run: RunDirectory, progress: Progress) -> Pool:
    """Return the pool of a job: the stored one, or one that is made and stored now.

    Raises:
        ConfigError: The stored one was made from something else.
        StoreError: The stored one cannot be read or was changed, or the disk refused.
        InfrastructureError: The backend or the sandbox failed.
    """
    stored = stored_pool(run.path)
    if stored is not None:
        if stored.inputs_sha256 != source.inputs_sha256:
            msg = (
                f"the demo pool in {run.path} was made with other code, weights or settings; move "
                "the run away, or use the release that began it"
            )
            raise ConfigError(msg)
        progress.say(f"demo pool: as stored; demo sets: {', '.join(stored.pool.names)}")
        return stored.pool
    text = run.agree(FILE, lambda: _make(source, progress).model_dump_json(indent=2) + "\n")
    return StoredPool.model_validate_json(text).pool


def stored_pool(run: Path) -> StoredPool | None:
    """Return the pool that a run directory holds, if it does.

    Raises:
        StoreError: It cannot be read, or was changed after it was written.
    """
    path = run / FILE
    stored = read_whole(path, StoredPool)
    if stored and stored.pool.content_hash != stored.content_sha256:
        msg = f"{path} was changed after it was written; restore it, or move the run away"
        raise StoreError(msg)
    return stored


def _make(source: Source, progress: Progress) -> StoredPool:
    config, train = source.config, source.data.train
    tasks = train[: config.pool_tasks]
    taught: dict[str, list[Row]] = {}
    progress.begin(POOL, len(tasks) * len(config.teachers))
    for teacher in config.teachers:
        program = teach(teacher, source.sandbox).with_models(source.models)
        rows = source.evaluator.run(program, tasks, POOL, teacher.rollout)
        taught[origin_of(teacher)] = list(rows)
    progress.end()
    pool = build_pool(
        train,
        taught,
        make_demos,
        size=config.demos,
        seed=config.seed,
        kinds=config.demo_sets,
    )
    passed = {name: sum(r.score.passed for r in rows) for name, rows in taught.items()}
    said = [
        f"{count} of {len(tasks)} train tasks passed {_how(teacher)}"
        for teacher, count in zip(config.teachers, passed.values(), strict=True)
    ]
    said.append(f"demo sets: {', '.join(pool.names)}")
    progress.say(f"demo pool: {'; '.join(said)}")
    dropped: dict[str, int] = {}
    if config.instructions:
        pool, dropped = _with_instructions(pool, source, progress)
    return StoredPool(
        inputs_sha256=source.inputs_sha256,
        content_sha256=pool.content_hash,
        passed=passed,
        dropped=dropped,
        pool=pool,
    )


def _how(teacher: Teacher) -> str:
    return "zero-shot" if teacher == Teacher() else f"with {teacher.name}"


def _with_instructions(
    pool: Pool, source: Source, progress: Progress
) -> tuple[Pool, dict[str, int]]:
    config, train = source.config, source.data.train
    tasks = train[: config.pool_tasks]
    program = make_program("single", source.sandbox).with_models(source.models)
    brief = Brief(
        predictors=asked_predictors(config, program),
        examples=[to_example(task) for task in tasks],
        demos=pool.sets,
        seed=config.seed,
        lm=source.models(config.prompt_model) if config.prompt_model else None,
    )
    metric = ExecutionMetric(tasks, source.sandbox)
    progress.say("instructions: proposing")
    with dspy.context(lm=source.models(config.model)):
        found, dropped = propose(program, metric, brief, config.instructions, train)
    made = sum(len(candidates) for candidates in found.values())
    why = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    progress.say(
        f"instructions: {made} for {len(found)} stages" + (f"; dropped: {why}" * bool(why))
    )
    return pool.model_copy(update={"instructions": found}), dropped
