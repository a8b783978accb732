"""What a job works with while its run is open: its models, an evaluator, and what it may spend.

Owns how these are tied together, for the process that runs a job and for those that help with it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

from lift_sys.app import environment
from lift_sys.app.containers import ContainerExecutor, Send
from lift_sys.app.final import WINNER, Final, before_final
from lift_sys.app.job import Job, with_models
from lift_sys.app.ledger_file import Allowance
from lift_sys.app.lines import Kept
from lift_sys.app.models import model_source, weights
from lift_sys.app.own_model import paid_model
from lift_sys.app.own_program import OwnEvaluator, OwnMetric, own_execution
from lift_sys.app.pool import Source
from lift_sys.app.progress import Progress
from lift_sys.app.spending import Aside, Spending
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.replay import StoredCall
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from metrics.execution import score_code
from optimizers.evaluate import Evaluator, Scorer
from optimizers.rows import Row, Rows
from programs.stages import Models


@dataclass(frozen=True)
class Bench:
    """What a job works with.

    Attributes:
        job: What is to be optimized.
        run: Keeps what was done.
        sandbox: Where generated code runs.
        progress: What shows how it goes.
        rows: Of the run.
        calls: Answers of the run.
        spending: What is spent.
        models: Gives the models, whose answers are kept and paid for.
    """

    job: Job
    run: RunDirectory
    sandbox: Sandbox
    progress: Progress
    rows: Kept[Row]
    calls: Kept[StoredCall]
    spending: Spending
    models: Models

    @functools.cached_property
    def lm(self) -> dspy.LM:
        """The job's model, loaded when it is first needed."""
        given = self.job.lm
        if given is None:
            return self.models(self.job.config.model)
        return paid_model(given, self.calls, self.spending.account)

    @property
    def student(self) -> dspy.Module:
        """The program that the optimizer starts from."""
        return with_models(self.job.program, self.models)

    @property
    def baselines(self) -> dict[str, dspy.Module]:
        """What the final table sets beside the winner."""
        return {name: with_models(p, self.models) for name, p in self.job.baselines.items()}

    def table_of(self, winner: dspy.Module) -> dict[str, dspy.Module]:
        """Return the programs of the final table, in its order."""
        return self.baselines | {WINNER: winner}

    def set_aside(self, final: Final) -> None:
        """Let the search leave what a final table will cost beyond the rows that are stored."""
        budget = self.job.config.budget
        if budget == Budget():
            self.run.allow(Allowance())
            return
        prepared = [self.evaluator.prepare(p, name) for name, p in self.baselines.items()]
        keys = {program.key(task) for program in prepared for task in final.tasks}
        missing = keys - self.rows.known(keys)
        self.spending.set_aside(Aside(budget, missing, final.for_winner, self.run.allow))

    @functools.cached_property
    def evaluator(self) -> Evaluator:
        """What runs programs, as the run keeps and shares their rows."""
        kind = OwnEvaluator if self.job.own else Evaluator
        sharing = self.run.sharing(lambda: concurrency_of(self.lm))
        watch = self.spending.watch(self.progress.row)
        return kind(lambda: self.lm, self.job.identity, self._score, self.rows, watch, sharing)

    @property
    def source(self) -> Source:
        """What a pool is made with."""
        job = self.job
        return Source(job.config, job.data, self.evaluator, self.sandbox, self.models)

    def execute_elsewhere(self, send: Send) -> None:
        """Let containers execute tasks from now on."""
        executor = ContainerExecutor(self.job.config, send, self.calls, self.spending.account)
        self.evaluator.execute_elsewhere(executor)

    @property
    def _score(self) -> Scorer:
        if self.job.metric is None:
            run = execution(self.sandbox)
            return own_execution(run) if self.job.own else run
        return OwnMetric(self.job.metric, self.job.threshold)


def open_bench(
    job: Job,
    run: RunDirectory,
    sandbox: Sandbox,
    progress: Progress,
) -> Bench:
    """Open what a run keeps, each file once: who writes to it must be the only one.

    Args:
        job: What is to be optimized.
        run: Its run.
        sandbox: Where generated code runs.
        progress: What shows how it goes.

    Raises:
        StoreError: A file or the database cannot be read.
    """
    rows, calls = run.rows(), run.calls()
    spending = Spending(run.allowance, run.ledger(), before_final(rows))
    models = model_source(calls, spending.account, run.call_leases)
    return Bench(job, run, sandbox, progress, rows, calls, spending, models)


def make_evaluator(
    model: str,
    sandbox: Sandbox,
    rows: Rows,
    models: Models,
    on_row: Callable[[Row, bool], None] | None = None,
) -> Evaluator:
    """Return an evaluator whose model is fetched and loaded when it is first needed."""
    identity = weights(model) + environment.source_digest()
    return Evaluator(lambda: models(model), identity, execution(sandbox), rows, on_row)


def execution(sandbox: Sandbox) -> Scorer:
    """Return the metric that runs an answer's code on the hidden cases."""

    def execution(task: Task, answer: dspy.Prediction) -> Score:
        code: Any = answer.get("code")
        return score_code(task, code, answer.get("failure"), sandbox)

    return execution
