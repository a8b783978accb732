"""The composition root of a job: from a configuration to a table and an artifact.

Owns the order of the phases (model, pool, search, test) and ties together programs, metric,
optimizer, engine, sandbox and run directory, which know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from lift_sys.app import environment, gate
from lift_sys.app.assemble import (
    Found,
    make_artifact,
    save_front,
    summarise_search,
    with_test,
)
from lift_sys.app.containers import ContainerExecutor, check_executor, sent_elsewhere
from lift_sys.app.data import Data
from lift_sys.app.estimate import check_evaluation
from lift_sys.app.export import save_artifact
from lift_sys.app.final import (
    DIRECT,
    FINAL,
    WINNER,
    ZERO_SHOT,
    Final,
    close_final,
    open_final,
    run_final,
)
from lift_sys.app.front import front_of
from lift_sys.app.ledger_file import Allowance
from lift_sys.app.models import model_source, models_of_job, priced, weights
from lift_sys.app.pool import POOL, Source, teach
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, build_report, whole_cost
from lift_sys.app.searching import SEARCH, compile_winner, prepare_search
from lift_sys.app.space import check_costs, check_space
from lift_sys.app.spending import Spending, check_budget
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.app.teleprompting import check_optimizer, compile_job
from lift_sys.config import JOINT, RunConfig
from lift_sys.errors import BudgetSpent
from lift_sys.files import file_name
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.replay import Calls
from lift_sys.record import canonical_json
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from metrics.execution import score_code
from optimizers.evaluate import Evaluator
from optimizers.rows import Row, Rows
from optimizers.sharing import Sharing
from programs.presets import make_program
from programs.stages import Models


@dataclass(frozen=True)
class Outcome:
    """What a job gives back.

    Attributes:
        report: The final table.
        text: The same as Markdown.
        run: The run directory.
        artifact: The exported winner.
        seconds: Wall time of this invocation, in seconds.
        engine_seconds: Time this invocation spent in the model, in seconds.
    """

    report: Report
    text: str
    run: Path
    artifact: Path
    seconds: float
    engine_seconds: float


def run_path(config: RunConfig, data: Data, runs: Path) -> Path:
    """Return where this job's files are: the same job on the same data has the same place."""
    name = config.content_hash(dict(data.hashes))[:12]
    return runs / f"{file_name(config.model)}-{name}"


def run_directory(config: RunConfig, data: Data, runs: Path) -> RunDirectory:
    """Make the directory of this job, where there is none."""
    return RunDirectory(run_path(config, data, runs))


def optimize(
    config: RunConfig,
    data: Data,
    run: RunDirectory,
    sandbox: Sandbox,
    progress: Progress,
    ledger: gate.Ledger | None,
) -> Outcome:
    """Run a job, or go on with it where it stopped.

    Args:
        config: The job.
        data: Its task sets, from ``load_data``.
        run: Its directory, from ``run_directory``, or that of a process of a shared study.
        sandbox: Where generated code runs.
        progress: What shows how it goes.
        ledger: Where the opening of the test set is noted. Without one a set of test tasks stays
            closed and the final table is of the dev tasks.

    Raises:
        ConfigError: The job is not one that can be run, or could not pay for one evaluation.
        BudgetSpent: Before there was a winner, or in the final table; then the winner is saved.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    started = time.perf_counter()
    check_job(config, data, sandbox)
    with run.locked(), sent_elsewhere(config) as send:
        record_inputs(run, config)
        rows, calls = run.rows(), run.calls()
        progress.say(f"run directory: {run.path}" + (f" ({len(rows)} rows)" if len(rows) else ""))
        spending = _spending(config, data, (run, rows), opened=ledger is not None)
        kept = (rows, calls)
        models, evaluator = models_and_evaluator(config, run, kept, sandbox, spending, progress)
        if send:
            executor = ContainerExecutor(config, send, calls, spending.account)
            evaluator.execute_elsewhere(executor)
        source = Source(config, data, evaluator, sandbox, models)
        found = _find(source, spending, run, progress)
        artifact = found.artifact
        opening = open_final(artifact, config, data, ledger)
        final = Final.of(config, data, opened=opening is not None)
        with spending.final(FINAL, lambda: save_artifact(artifact, run.path / "best.json")):
            tables = run_final(final, found.winner, evaluator, sandbox, progress)
        report = build_report(final.label, final.data_sha256, tables, list(rows))
        told = {
            **found.told,
            **whole_cost(list(rows), found.calls),
            "budget": spending.use(ended_search=found.cut),
        }
        report = report.model_copy(update=told)
        text = markdown(report)
        run.write("report.json", report.model_dump_json(indent=2) + "\n")
        run.write("report.md", text)
        if final.is_test:
            artifact = with_test(artifact, report, close_final(opening, report, ledger))
        saved = save_artifact(artifact, run.path / "best.json")
        seconds = time.perf_counter() - started
        run.note_invocation(seconds, progress.engine_seconds)
        return Outcome(report, text, run.path, saved, seconds, progress.engine_seconds)


def _find(source: Source, spending: Spending, run: RunDirectory, progress: Progress) -> Found:
    """Let the optimizer of a job find its program."""
    config = source.config
    if config.optimizer == JOINT:
        return _find_jointly(source, spending, run, progress)
    spending.account.enter(SEARCH)
    progress.begin(SEARCH)
    try:
        found = compile_job(source, progress)
    except BudgetSpent as refused:
        msg = f"{refused}; {config.optimizer} was not done, and there is no winner yet"
        raise BudgetSpent(msg) from refused
    progress.end()
    return found


def _find_jointly(
    source: Source, spending: Spending, run: RunDirectory, progress: Progress
) -> Found:
    config, data = source.config, source.data
    spending.account.enter(POOL)
    student = make_program("single", source.sandbox).with_models(source.models)
    search = prepare_search(source, student, run, progress)
    with spending.search(SEARCH, len(data.dev)):
        winner = compile_winner(search, student, data, progress)
    artifact = make_artifact(config, data, winner, search)
    front = front_of(search, config, data.dev, priced=priced(config)) if config.costs else None
    if front:
        save_front(config, data, student, search, run.path)
    told = {"search": summarise_search(search), "front": front}
    return Found(winner, artifact, told, cut=search.cut is not None)


def make_evaluator(
    model: str,
    sandbox: Sandbox,
    rows: Rows,
    models: Models,
    on_row: Callable[[Row, bool], None] | None = None,
    sharing: Sharing | None = None,
) -> Evaluator:
    """Return an evaluator whose model is fetched and loaded when it is first needed."""
    identity = weights(model) + environment.source_digest()

    def execution(task: Task, answer: dspy.Prediction) -> Any:
        return score_code(task, answer.code, answer.failure, sandbox)

    return Evaluator(lambda: models(model), identity, execution, rows, on_row, sharing)


def models_and_evaluator(
    config: RunConfig,
    run: RunDirectory,
    kept: tuple[Rows, Calls],
    sandbox: Sandbox,
    spending: Spending,
    progress: Progress,
) -> tuple[Models, Evaluator]:
    """Return the models of a job and what runs its programs, as its run keeps and shares them.

    Args:
        config: The job.
        run: Shares them.
        kept: Its rows and answers, each opened once: who writes to a file must be the only one.
        sandbox: Where generated code runs.
        spending: Pays for the answers, and takes note of the rows.
        progress: Shows the rows.
    """
    rows, calls = kept
    models = model_source(calls, spending.account, run.call_leases)
    sharing = run.sharing(lambda: concurrency_of(models(config.model)))
    watch = spending.watch(progress.row)
    return models, make_evaluator(config.model, sandbox, rows, models, watch, sharing)


def check_job(config: RunConfig, data: Data, sandbox: Sandbox) -> None:
    """Refuse what cannot be run, before anything is made or spent.

    Raises:
        ConfigError: It says what and why.
    """
    check_executor(config)
    check_optimizer(config)
    check_space(config, sandbox)
    for teacher in config.teachers:
        teach(teacher, sandbox)
    check_costs(config)
    check_budget(config.budget, models_of_job(config), data.dev)
    check_evaluation(config, data)


def _spending(
    config: RunConfig, data: Data, kept: tuple[RunDirectory, Iterable[Row]], *, opened: bool
) -> Spending:
    """Return what the job spends; on dev tasks the winner of its final table has been run."""
    final, (run, rows) = Final.of(config, data, opened=opened), kept
    final_tasks = (3 if final.is_test else 2) * len(final.tasks)
    allowance = Allowance(budget=config.budget, final_tasks=final_tasks)
    return Spending(run.allow(allowance), run.ledger(), before_final(rows))


def before_final(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of pool and search: what a task has cost so far is theirs."""
    return [row for row in rows if row.label not in {DIRECT, ZERO_SHOT, WINNER}]


def record_inputs(run: RunDirectory, config: RunConfig) -> None:
    """Write what is asked, and where."""
    run.write("config.json", config.model_dump_json(indent=2) + "\n")
    run.write("environment.json", canonical_json(environment.describe()) + "\n")
