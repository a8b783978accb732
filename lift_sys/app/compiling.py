"""A job whose optimizer is one of DSPy's, or a caller's.

Owns what such an optimizer is given to work on, and what is told of what it did. It compiles as a
whole: an interrupted job starts the compile again, and every answer that it had is replayed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy

from lift_sys.app.assemble import Found, compiled_artifact
from lift_sys.app.bench import Bench
from lift_sys.app.own_answer import as_run, checked
from lift_sys.app.report import Compilation
from lift_sys.app.teleprompting import predictors_of
from lift_sys.errors import ConfigError
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.usage import Usage
from lift_sys.tasks import Task
from metrics.adapters import ExecutionMetric
from metrics.stats import Rate
from optimizers.metric_errors import name_of
from optimizers.recipes import Settings
from optimizers.rows import Row
from optimizers.teleprompters import Uniform, build
from optimizers.watching import Effort
from programs.demos import make_demos
from programs.ensemble import Ensemble
from programs.spec_to_code import SpecToCode
from programs.stages import show_nearest

BEFORE, AFTER = "start", "compiled winner on dev"


def compile_job(bench: Bench) -> Found:
    """Run a job's optimizer on train and dev tasks.

    Args:
        bench: What it has to work with; its evaluator runs the program that the optimizer starts
            from, and the one that it makes, on dev tasks.

    Raises:
        ConfigError: There is nothing to make demos of, or no such optimizer.
        LiftError: A model, disk, backend or sandbox failure. Every answer is kept.
    """
    job, dev = bench.job, bench.job.data.dev
    train = job.data.train[: job.config.pool_tasks]
    student = bench.student
    optimizer = _optimizer(bench, train, student)
    with _quiet(), dspy.context(lm=bench.lm):
        winner = optimizer.compile(
            student,
            trainset=[job.example(task) for task in train],
            valset=[job.example(task) for task in dev],
        )
    calls = optimizer.effort.calls
    bench.progress.generated([call for call in calls if not call.reused])
    before = list(bench.evaluator.run(student, dev, BEFORE))
    after = list(bench.evaluator.run(winner, dev, AFTER))
    summary = _summary(bench, optimizer.effort, before, after)
    artifact = None
    if job.exportable and isinstance(winner, SpecToCode | Ensemble):
        tokens = Usage.of(call for row in after for call in row.calls).completion_tokens
        artifact = compiled_artifact(job.config, job.data, winner, tokens, summary)
    return Found(winner, artifact, {"compilation": summary}, calls)


def _optimizer(bench: Bench, train: Sequence[Task], student: dspy.Module) -> Uniform:
    job = bench.job
    metric = job.metric or ExecutionMetric([*train, *job.data.dev], bench.sandbox)

    def scored(gold: dspy.Example, pred: Any, *more: Any) -> Any:
        bench.progress.answer()
        if job.own:
            pred = checked(pred, job.start, gold.task_id)
            pred = pred if job.metric else as_run(pred, gold.task_id)
        return metric(gold, pred, *more)

    scored.__name__ = name_of(metric)
    return build(job.optimizer, scored, _settings(bench, train, student))


def _settings(bench: Bench, train: Sequence[Task], student: dspy.Module) -> Settings:
    """Return what an optimizer is given; of a program that is not ours nothing more is known."""
    job, config = bench.job, bench.job.config
    settings = Settings(
        seed=config.seed,
        trials=config.trials,
        demos=config.demos,
        threshold=job.threshold,
        threads=concurrency_of(bench.lm),
        prompt_lm=bench.models(config.prompt_model) if config.prompt_model else None,
    )
    if not isinstance(student, SpecToCode):
        return settings
    labels = {
        task.id: make_demos(task, task.gold_ir, task.reference_code)
        for task in train
        if task.gold_ir and task.reference_code
    }
    if job.optimizer == "labeled_few_shot" and not labels:
        msg = "labeled_few_shot shows gold IRs and reference code, and no train task has both"
        raise ConfigError(msg)
    return replace(
        settings,
        predictors=predictors_of(config, student),
        labels=labels,
        show_nearest=show_nearest,
        join=Ensemble,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep DSPy's bars and prints on standard error away: they tear the job's display apart."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def _summary(
    bench: Bench, effort: Effort, before: Sequence[Row], after: Sequence[Row]
) -> Compilation:
    distinct = {call.key: call for call in effort.calls}
    return Compilation(
        optimizer=bench.job.optimizer_name,
        preset=bench.job.start,
        programs=effort.programs,
        scored=effort.scored,
        tokens=Usage.of(distinct.values()).completion_tokens,
        before=_rate(before),
        after=_rate(after),
    )


def _rate(rows: Sequence[Row]) -> Rate:
    return Rate.of(sum(row.score.passed for row in rows), len(rows))
