"""A job whose optimizer is one of DSPy's.

Owns which settings of a job such an optimizer takes, what it is given to work on, and what is told
of what it did. It compiles as a whole: an interrupted job starts the compile again, and every
answer that it had is replayed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy

from lift_sys.app.assemble import Found, compiled_artifact
from lift_sys.app.pool import Source
from lift_sys.app.progress import Progress
from lift_sys.app.report import Compilation
from lift_sys.app.space import asked_predictors
from lift_sys.config import JOINT, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.usage import Usage
from lift_sys.sandbox.base import ClosedSandbox
from lift_sys.tasks import Task
from metrics.adapters import ExecutionMetric, to_example
from metrics.stats import Rate
from optimizers.recipes import RECIPES, Settings
from optimizers.rows import Row
from optimizers.teleprompters import Uniform
from optimizers.watching import Effort
from programs.demos import make_demos
from programs.ensemble import Ensemble, Program
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import show_nearest

BEFORE, AFTER = "start", "compiled winner on dev"

ONLY_JOINT = (
    "demo_sets",
    "teachers",
    "demos_for",
    "instructions",
    "search_tokens",
    "drop_alpha",
    "reevaluate",
    "space",
    "first_points",
    "objectives",
    "wish",
)
"""Fields of a job that only the joint search reads."""


def check_optimizer(config: RunConfig) -> None:
    """Refuse an optimizer that there is not, and fields that mean nothing to the one there is.

    Raises:
        ConfigError: It says which, or that the optimizer needs more trials or demos.
    """
    name = config.optimizer
    if name not in (JOINT, *RECIPES):
        msg = f"there is no optimizer {name!r}; choose one of: {', '.join((JOINT, *RECIPES))}"
        raise ConfigError(msg)
    idle = ("preset",) if name == JOINT else ONLY_JOINT
    for field in idle:
        default = RunConfig.model_fields[field].get_default(call_default_factory=True)
        if getattr(config, field) != default:
            msg = f"the optimizer {name!r} does not use {field!r}; leave it out of the job"
            raise ConfigError(msg)
    if name == JOINT:
        return
    if not config.pool_tasks:
        msg = f"{name} works on train tasks: pool_tasks must be at least 1"
        raise ConfigError(msg)
    predictors = predictors_of(config, make_program(config.preset, ClosedSandbox()))
    settings = Settings(trials=config.trials, demos=config.demos)
    RECIPES[name].check(name, settings, len(predictors))


def predictors_of(config: RunConfig, program: SpecToCode) -> tuple[str, ...]:
    """Return the paths of the predictors that a program asks: its hypers stay as they are."""
    return asked_predictors(config.model_copy(update={"space": {}}), program)


def compile_job(source: Source, progress: Progress) -> Found:
    """Run a job's optimizer on train and dev tasks.

    Args:
        source: What it has to work with; its evaluator runs the program that the optimizer starts
            from, and the one that it makes, on dev tasks.
        progress: Told of every answer.

    Raises:
        ConfigError: There is nothing to make demos of.
        LiftError: A model, disk, backend or sandbox failure. Every answer is kept.
    """
    config, data, evaluator = source.config, source.data, source.evaluator
    sandbox, models = source.sandbox, source.models
    train = data.train[: config.pool_tasks]
    student = make_program(config.preset, sandbox).with_models(models)
    lm = models(config.model)
    metric = ExecutionMetric([*train, *data.dev], sandbox)

    def scored(*arguments: Any) -> Any:
        progress.answer()
        return metric(*arguments)

    optimizer = Uniform(config.optimizer, scored, settings_for(config, train, student, lm))
    # DSPy's bars and prints go to standard error and would tear the display of the job apart.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        dspy.context(lm=lm),
    ):
        winner: Program = optimizer.compile(
            student,
            trainset=[to_example(task) for task in train],
            valset=[to_example(task) for task in data.dev],
        )
    calls = optimizer.effort.calls
    progress.generated([call for call in calls if not call.reused])
    before = list(evaluator.run(student, data.dev, BEFORE))
    after = list(evaluator.run(winner, data.dev, AFTER))
    summary = _summary(config, optimizer.effort, before, after)
    tokens = Usage.of(call for row in after for call in row.calls).completion_tokens
    artifact = compiled_artifact(config, data, winner, tokens, summary)
    return Found(winner, artifact, {"compilation": summary}, calls)


def _summary(
    config: RunConfig, effort: Effort, before: Sequence[Row], after: Sequence[Row]
) -> Compilation:
    distinct = {call.key: call for call in effort.calls}
    return Compilation(
        optimizer=config.optimizer,
        preset=config.preset,
        programs=effort.programs,
        scored=effort.scored,
        tokens=Usage.of(distinct.values()).completion_tokens,
        before=_rate(before),
        after=_rate(after),
    )


def settings_for(
    config: RunConfig, train: Sequence[Task], student: SpecToCode, lm: dspy.LM
) -> Settings:
    """Return what an optimizer is given to work on our program.

    Raises:
        ConfigError: There is nothing to make demos of.
    """
    labels = {
        task.id: make_demos(task, task.gold_ir, task.reference_code)
        for task in train
        if task.gold_ir and task.reference_code
    }
    if config.optimizer == "labeled_few_shot" and not labels:
        msg = "labeled_few_shot shows gold IRs and reference code, and no train task has both"
        raise ConfigError(msg)
    return Settings(
        seed=config.seed,
        trials=config.trials,
        demos=config.demos,
        threads=concurrency_of(lm),
        predictors=predictors_of(config, student),
        labels=labels,
        show_nearest=show_nearest,
        join=Ensemble,
    )


def _rate(rows: Sequence[Row]) -> Rate:
    return Rate.of(sum(row.score.passed for row in rows), len(rows))
