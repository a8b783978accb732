"""A job on a caller's own program: the same phases as ours, without what only ours has.

Owns what differs: demos come from the program's own traces, the table compares the winner with the
program as it was given, and there is no artifact, since only our programs can be built from one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.app import environment
from lift_sys.app.assemble import make_artifact, summarise_search
from lift_sys.app.data import Data
from lift_sys.app.export import save_artifact
from lift_sys.app.models import model_source, weights
from lift_sys.app.own_program import Metric, OwnMetric, ask, identity_of, taken_fields
from lift_sys.app.own_tasks import DEV
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, build_report
from lift_sys.app.run import FINAL, POOL, SEARCH, WINNER, job_pool, record_inputs, search_for
from lift_sys.app.space import search_space
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.replay import Calls, ReplayEngine
from lift_sys.record import digest
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from metrics.adapters import ExecutionMetric, to_example
from metrics.execution import score_code
from optimizers.evaluate import Evaluator, Row
from optimizers.joint import DEMOS, JointSearch
from optimizers.pools import DemoSet, Pool
from optimizers.recipes import Settings
from optimizers.space import make_space
from optimizers.teleprompters import build
from optimizers.trials import Trial
from programs.hypers import hypers_of
from programs.spec_to_code import SpecToCode
from programs.stages import Models

JOINT = "joint"
NO_DEMOS = "none"
GIVEN = "as given"
"""What the table calls the program that the caller gave."""


@dataclass(frozen=True)
class OwnJob:
    """What a caller wants optimized.

    Attributes:
        program: Never changed.
        metric: Scores an answer; ``None`` runs its ``code`` on the hidden cases.
        threshold: A task passes from this score on.
        optimizer: ``joint``, a name in ``RECIPES``, or a teleprompter.
        config: Limits and space.
        data: The tasks.
        lm: The model; ``None`` for the one that the configuration names.
    """

    program: dspy.Module
    metric: Metric | None
    threshold: float
    optimizer: str | Teleprompter
    config: RunConfig
    data: Data
    lm: dspy.LM | None = None

    @property
    def identity(self) -> str:
        """SHA-256 of everything beside the configuration that decides what an answer is worth."""
        own = isinstance(self.optimizer, Teleprompter)
        return digest(
            [
                identity_of(self.program, *([self.metric] if self.metric else [])),
                self.program.dump_state(),
                self.threshold,
                type(self.optimizer).__name__ if own else self.optimizer,
                _described(self.lm) if self.lm else weights(self.config.model),
                environment.source_digest(),
            ]
        )

    @property
    def exportable(self) -> bool:
        """Whether an artifact can say all of it: the program, the metric and the model are ours."""
        ours = isinstance(self.program, SpecToCode)
        return ours and self.metric is None and self.lm is None

    def ready(self, winner: dspy.Module) -> dspy.Module:
        """Return a program that can be called, whose answers are not stored in the run any more."""
        models = model_source()
        ready = winner.with_models(models) if isinstance(winner, SpecToCode) else winner.deepcopy()
        ready.set_lm(self.lm or models(self.config.model))
        return ready

    def check(self) -> None:
        """Refuse what cannot be run, before anything is spent.

        Raises:
            ConfigError: The program takes no spec, or lacks what the space names.
        """
        taken_fields(self.program)
        hypers = hypers_of(self.program)
        for path, choices in self.config.space.items():
            if path not in hypers:
                known = ", ".join(hypers) or "none"
                msg = f"the space names {path!r}, and the hypers of this program are: {known}"
                raise ConfigError(msg)
            for choice in choices:
                hypers[path].space.check(choice, path)

    def example(self, task: Task) -> dspy.Example:
        """Return a task as an example with the inputs that the program takes."""
        example = to_example(task)
        known = set(example.keys())
        return example.with_inputs(*(f for f in taken_fields(self.program) if f in known))


@dataclass(frozen=True)
class Found:
    """What a job found.

    Attributes:
        program: The best program.
        trials: Of a joint search, in order.
        report: The winner against the program as it was given, on the dev tasks.
        text: The same as Markdown.
        run: The run directory.
        artifact: The exported winner, where it can be built again from one.
    """

    program: dspy.Module
    trials: tuple[Trial, ...]
    report: Report
    text: str
    run: Path
    artifact: Path | None


def optimize_own(job: OwnJob, runs: Path, sandbox: Sandbox, progress: Progress) -> Found:
    """Run a job, or go on with it where it stopped.

    Raises:
        ConfigError: The program, the space or the metric cannot be used.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    job.check()
    name = digest([job.config.content_hash(dict(job.data.hashes)), job.identity])[:12]
    run = RunDirectory(runs / f"own-{name}")
    with run.locked():
        record_inputs(run, job.config)
        rows, calls = run.rows(), run.calls()
        models = model_source(calls)
        lm = _replayed(job.lm, calls) if job.lm else models(job.config.model)
        bench = _Bench(job, sandbox, lm, models)
        evaluator = Evaluator(lambda: lm, job.identity, bench.score, rows, progress.row, ask)
        search = bench.search(evaluator, (run, progress)) if job.optimizer == JOINT else None
        progress.begin(SEARCH)
        if search is None:
            winner = bench.compiled()
        else:
            winner = search.compile(bench.program, valset=bench.examples(job.data.dev))
        progress.end()
        report = bench.report(winner, evaluator, rows, progress)
        if search is not None:
            report = report.model_copy(update={"search": summarise_search(search)})
        text = markdown(report)
        run.write("report.json", report.model_dump_json(indent=2) + "\n")
        run.write("report.md", text)
        artifact = None
        if search is not None and job.exportable:
            made = make_artifact(job.config, job.data, winner, search)
            artifact = save_artifact(made, run.path / "best.json")
        trials = tuple(search.trials if search else ())
        return Found(job.ready(winner), trials, report, text, run.path, artifact)


@dataclass(frozen=True)
class _Bench:
    """The phases of one job."""

    job: OwnJob
    sandbox: Sandbox
    lm: dspy.LM
    models: Models

    @property
    def program(self) -> dspy.Module:
        """The program, with the models that its stages may name."""
        given = self.job.program
        return given.with_models(self.models) if isinstance(given, SpecToCode) else given

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        """Score an answer by the caller's metric, or by running its code."""
        if self.job.metric is not None:
            return OwnMetric(self.job.metric, self.job.threshold)(task, answer)
        return score_code(task, answer.get("code"), answer.get("failure"), self.sandbox)

    def examples(self, tasks: Sequence[Task]) -> list[dspy.Example]:
        """Return tasks as examples."""
        return [self.job.example(task) for task in tasks]

    def search(self, evaluator: Evaluator, into: tuple[RunDirectory, Progress]) -> JointSearch:
        """Return the joint search, with a pool of demos from the program's own traces."""
        config, data = self.job.config, self.job.data
        if isinstance(self.job.program, SpecToCode):
            pool = job_pool(config, data, evaluator, self.sandbox, into)
            return search_for(config, data, search_space(config, pool), pool, (evaluator, *into))
        run, progress = into
        progress.begin(POOL, config.pool_tasks)
        rows = evaluator.run(self.job.program, data.train[: config.pool_tasks], POOL)
        pool = traced_pool(list(rows), size=config.demos, seed=config.seed)
        progress.end()
        run.write("pool.json", pool.model_dump_json(indent=2) + "\n")
        space = make_space({DEMOS: pool.names, **config.space}, {})
        return search_for(config, data, space, pool, (evaluator, *into))

    def compiled(self) -> dspy.Module:
        """Return what a teleprompter makes of the program."""
        config, data = self.job.config, self.job.data
        metric = self.job.metric or ExecutionMetric([*data.train, *data.dev], self.sandbox)
        settings = Settings(
            seed=config.seed,
            trials=config.trials,
            demos=config.demos,
            threshold=self.job.threshold,
            threads=concurrency_of(self.lm),
        )
        optimizer = build(self.job.optimizer, metric, settings)
        with dspy.context(lm=self.lm):
            return optimizer.compile(
                self.program,
                trainset=self.examples(data.train[: config.pool_tasks]),
                valset=self.examples(data.dev),
            )

    def report(
        self, winner: dspy.Module, evaluator: Evaluator, rows: Iterable[Row], progress: Progress
    ) -> Report:
        """Return the winner against the program as it was given, on the dev tasks."""
        programs = {GIVEN: self.program, WINNER: winner}
        dev = self.job.data.dev
        progress.begin(FINAL, len(programs) * len(dev))
        tables = {name: list(evaluator.run(p, dev, name)) for name, p in programs.items()}
        progress.end()
        label = f"{DEV} (the winner was chosen on it)"
        return build_report(label, self.job.data.hashes[DEV], tables, list(rows))


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


def _described(lm: dspy.LM) -> str:
    """Return what tells a model from others: its name, what is asked of it, and its engine."""
    settings = {key: value for key, value in lm.kwargs.items() if "key" not in key}
    return digest([lm.model, {key: str(value) for key, value in settings.items()}])


def _replayed(lm: dspy.LM, calls: Calls) -> dspy.LM:
    """Return a model whose answers are stored, where it has an engine of its own."""
    engine = getattr(lm, "engine", None)
    if not hasattr(engine, "complete"):
        return lm
    return lm.copy(engine=ReplayEngine(engine, _described(lm), calls))
