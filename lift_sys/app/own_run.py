"""A job on what a caller gives: the same phases as ours, without what only ours has.

Owns what differs: demos of a caller's own program come from its traces, and the table compares the
winner with the program as it was given, on the dev tasks. No test set is opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy

from lift_sys.app.assemble import (
    compiled_artifact,
    make_artifact,
    save_front,
    summarise_search,
)
from lift_sys.app.export import save_artifact
from lift_sys.app.final import FINAL, WINNER
from lift_sys.app.front import artifact_of, front_of
from lift_sys.app.ledger_file import Allowance
from lift_sys.app.models import model_source, priced
from lift_sys.app.own_job import OwnJob, describe_model
from lift_sys.app.own_pool import traced_pool
from lift_sys.app.own_program import OwnMetric, ask
from lift_sys.app.own_tasks import DEV
from lift_sys.app.pool import POOL, Source
from lift_sys.app.progress import Progress
from lift_sys.app.report import Compilation, Report, build_report, usage_of, whole_cost
from lift_sys.app.run import record_inputs
from lift_sys.app.searching import SEARCH, compile_winner, prepare_search, search_over
from lift_sys.app.spending import Spending
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.app.teleprompting import settings_for
from lift_sys.config import JOINT
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.replay import Calls, ReplayEngine
from lift_sys.record import digest
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from metrics.adapters import ExecutionMetric
from metrics.execution import score_code
from optimizers.evaluate import Evaluator, Scorer
from optimizers.joint import JointSearch
from optimizers.pools import DEMOS
from optimizers.recipes import Settings
from optimizers.rows import Row
from optimizers.space import make_space
from optimizers.teleprompters import Uniform, build
from optimizers.trials import Trial
from optimizers.watching import Effort
from programs.spec_to_code import SpecToCode
from programs.stages import Models

GIVEN = "as given"
"""What the table calls the program that the caller gave."""


class OwnEvaluator(Evaluator):
    """Runs programs that take some of what may be seen of a task."""

    def ask(self, program: dspy.Module, task: Task, rollout: int) -> dspy.Prediction:
        """Run a program; see ``own_program.ask``."""
        return ask(program, task, rollout)


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
        at: Returns the program of a trial.
    """

    program: dspy.Module
    trials: tuple[Trial, ...]
    report: Report
    text: str
    run: Path
    artifact: Path | None
    at: Callable[[Trial], dspy.Module] | None


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
        before = [row for row in rows if row.label not in {GIVEN, WINNER}]
        allowance = Allowance(budget=job.config.budget, final_tasks=len(job.data.dev))
        spending = Spending(run.allow(allowance), run.ledger(), before)
        models = model_source(calls, spending.account)
        lm = _paid(job.lm, calls, spending.account) if job.lm else models(job.config.model)
        bench = _Bench(job, sandbox, lm, models)
        watch = spending.watch(progress.row)
        evaluator = OwnEvaluator(lambda: lm, job.identity, bench.scorer, rows, watch)
        spending.account.enter(POOL)
        search = bench.search(evaluator, (run, progress)) if job.optimizer == JOINT else None
        with spending.search(SEARCH, len(job.data.dev)):
            winner, effort = bench.winner(search, progress)
        with spending.final(FINAL, lambda: bench.keep(winner, search, run.path)):
            report = bench.report(winner, evaluator, rows, progress)
        told = {
            **bench.told(search, effort, report),
            "budget": spending.use(ended_search=search is not None and search.cut is not None),
            **whole_cost(list(rows), effort.calls),
        }
        report = report.model_copy(update=told)
        text = markdown(report)
        run.write("report.json", report.model_dump_json(indent=2) + "\n")
        run.write("report.md", text)
        artifact = bench.keep(winner, search, run.path, report)
    return Found(
        program=job.ready(winner),
        trials=tuple(search.trials) if search else (),
        report=report,
        text=text,
        run=run.path,
        artifact=artifact,
        at=None if search is None else lambda t: job.ready(search.at(bench.program, t.point)),
    )


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

    @property
    def scorer(self) -> Scorer:
        """What scores an answer: the caller's metric, or running its code."""
        if self.job.metric is not None:
            return OwnMetric(self.job.metric, self.job.threshold)

        def score(task: Task, answer: dspy.Prediction) -> Score:
            return score_code(task, answer.get("code"), answer.get("failure"), self.sandbox)

        return score

    def examples(self, tasks: Sequence[Task]) -> list[dspy.Example]:
        """Return tasks as examples."""
        return [self.job.example(task) for task in tasks]

    def search(self, evaluator: Evaluator, into: tuple[RunDirectory, Progress]) -> JointSearch:
        """Return the joint search, with a pool of demos from the program's own traces."""
        config, data = self.job.config, self.job.data
        source = Source(config, data, evaluator, self.sandbox, self.models)
        if isinstance(self.program, SpecToCode):
            return prepare_search(source, self.program, *into)
        run, progress = into
        progress.begin(POOL, config.pool_tasks)
        rows = evaluator.run(self.job.program, data.train[: config.pool_tasks], POOL)
        pool = traced_pool(list(rows), size=config.demos, seed=config.seed)
        progress.end()
        run.write("pool.json", pool.model_dump_json(indent=2) + "\n")
        space = make_space({DEMOS: pool.names, **config.space}, {})
        return search_over(space, pool, source, *into)

    def told(self, search: JointSearch | None, effort: Effort, report: Report) -> dict[str, Any]:
        """Return what a report says of how its last program was found, by field."""
        config = self.job.config
        if search is None:
            before, after = (result.rate for result in report.results)
            compilation = Compilation(
                optimizer=self.job.optimizer_name,
                preset=type(self.job.program).__name__,
                programs=effort.programs,
                scored=effort.scored,
                tokens=usage_of((), effort.calls).completion_tokens,
                before=before,
                after=after,
            )
            return {"compilation": compilation}
        known = self.job.lm is None and priced(config)
        data = self.job.data.dev
        front = front_of(search, config, data, priced=known) if config.costs else None
        return {"search": summarise_search(search), "front": front}

    def winner(self, search: JointSearch | None, progress: Progress) -> tuple[dspy.Module, Effort]:
        """Return what is found, and what it took beside the rows."""
        if search is not None:
            return compile_winner(search, self.program, self.job.data, progress), Effort(0, 0, ())
        progress.begin(SEARCH)
        optimizer = self._teleprompter()
        train = self.job.data.train[: self.job.config.pool_tasks]
        with dspy.context(lm=self.lm):
            winner = optimizer.compile(
                self.program,
                trainset=self.examples(train),
                valset=self.examples(self.job.data.dev),
            )
        progress.end()
        return winner, optimizer.effort

    def _teleprompter(self) -> Uniform:
        config, data = self.job.config, self.job.data
        metric = self.job.metric or ExecutionMetric([*data.train, *data.dev], self.sandbox)
        if isinstance(self.program, SpecToCode):
            train = data.train[: config.pool_tasks]
            settings = settings_for(config, train, self.program, self.lm)
            settings = replace(settings, threshold=self.job.threshold)
            return build(self.job.optimizer, metric, settings)
        settings = Settings(
            seed=config.seed,
            trials=config.trials,
            demos=config.demos,
            threshold=self.job.threshold,
            threads=concurrency_of(self.lm),
        )
        return build(self.job.optimizer, metric, settings)

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

    def keep(
        self,
        winner: dspy.Module,
        search: JointSearch | None,
        run: Path,
        report: Report | None = None,
    ) -> Path | None:
        """Write the winner and its rivals on the front; return the winner's artifact.

        What no artifact can say is written as DSPy's state, ``program.json`` and
        ``front/trial-N.json``: the caller's class loads it.
        """
        job = self.job
        if search is not None and isinstance(winner, SpecToCode) and job.exportable:
            if job.config.costs:
                save_front(job.config, job.data, winner, search, run)
            made = make_artifact(job.config, job.data, winner, search)
            return save_artifact(made, run / "best.json")
        if report and report.compilation and job.exportable:
            tokens = report.results[-1].usage.completion_tokens
            made = compiled_artifact(job.config, job.data, winner, tokens, report.compilation)
            return save_artifact(made, run / "best.json")
        winner.save(str(run / "program.json"))
        if search is not None and job.config.costs:
            for trial in search.front:
                path = run / artifact_of(trial)
                path.parent.mkdir(exist_ok=True)
                search.at(self.program, trial.point).save(str(path))
        return None


def _paid(lm: dspy.LM, calls: Calls, account: Account) -> dspy.LM:
    """Return a model whose answers are stored and paid for, where it has an engine of its own."""
    engine: Any = getattr(lm, "engine", None)
    if not hasattr(engine, "complete"):
        return lm
    paid = lm.copy(engine=ReplayEngine(engine, describe_model(lm), calls))
    pay_from(account, paid, lm.model, None)
    return paid
