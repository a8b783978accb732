"""The composition root of a job: from a configuration to a table and an artifact.

Owns the order of the phases (model, pool, search, test) and ties together programs, metric,
optimizer, engine, sandbox and run directory, which know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
import optuna
from optuna.storages.journal import JournalFileBackend

from lift_sys.app import environment, gate
from lift_sys.app.assemble import make_artifact, save_front, summarise_search, with_test
from lift_sys.app.data import Data
from lift_sys.app.estimate import check_search_tokens
from lift_sys.app.export import Artifact, Opening, save_artifact
from lift_sys.app.front import front_of
from lift_sys.app.models import model_source, weights
from lift_sys.app.pool import Source, obtain_pool, teach
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, build_report, summarise
from lift_sys.app.space import check_costs, check_space, search_space
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.config import RunConfig
from lift_sys.record import canonical_json
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from metrics.adapters import to_example
from metrics.execution import score_code
from optimizers.evaluate import Evaluator, Row, Rows
from optimizers.joint import JointSearch, SearchConfig
from optimizers.objectives import directions
from optimizers.pools import Pool
from optimizers.space import SearchSpace
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import Models

DIRECT, ZERO_SHOT, WINNER = "direct", "zero-shot IR", "compiled winner"
SEARCH, FINAL = "search", "final table"


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
    return runs / f"{config.model}-{name}"


def optimize(
    config: RunConfig,
    data: Data,
    runs: Path,
    sandbox: Sandbox,
    progress: Progress,
    ledger: gate.Ledger | None,
) -> Outcome:
    """Run a job, or go on with it where it stopped.

    Args:
        config: The job.
        data: Its task sets, from ``load_data``.
        runs: Where run directories are.
        sandbox: Where generated code runs.
        progress: What shows how it goes.
        ledger: Where the opening of the test set is noted. Without one a set of test tasks stays
            closed and the final table is of the dev tasks.

    Raises:
        ConfigError: The space is not the program's, or the search could pay for no evaluation.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    started = time.perf_counter()
    check_space(config, sandbox)
    for teacher in config.teachers:
        teach(teacher, sandbox)
    check_costs(config)
    check_search_tokens(config, data)
    run = RunDirectory(run_path(config, data, runs))
    with run.locked():
        record_inputs(run, config)
        rows = run.rows()
        progress.say(f"run directory: {run.path}" + (f" ({len(rows)} rows)" if len(rows) else ""))
        models = model_source(run.calls())
        evaluator = make_evaluator(config.model, sandbox, rows, models, progress.row)
        pool = obtain_pool(Source(config, data, evaluator, sandbox, models), run, progress)
        student = make_program("single", sandbox).with_models(models)
        space = search_space(config, pool, student)
        search = search_for(config, data, space, pool, (evaluator, run, progress))
        progress.begin(SEARCH)
        winner = search.compile(student, valset=[to_example(t) for t in data.dev])
        progress.end()
        artifact = make_artifact(config, data, winner, search)
        front = front_of(search, config, data.dev) if config.costs else None
        if front:
            save_front(config, data, student, search, run.path)
        opening = _open(artifact, config, data, ledger)
        final = _Final.of(config, data, opened=opening is not None)
        tables = _run_final(final, winner, evaluator, sandbox, progress)
        report = build_report(final.label, final.data_sha256, tables, list(rows))
        found = {"search": summarise_search(search), "front": front}
        report = report.model_copy(update=found)
        text = markdown(report)
        run.write("report.json", report.model_dump_json(indent=2) + "\n")
        run.write("report.md", text)
        if final.is_test:
            artifact = with_test(artifact, report, _closed(opening, report, ledger))
        saved = save_artifact(artifact, run.path / "best.json")
        seconds = time.perf_counter() - started
        run.note_invocation(seconds, progress.engine_seconds)
        return Outcome(report, text, run.path, saved, seconds, progress.engine_seconds)


def make_evaluator(
    model: str,
    sandbox: Sandbox,
    rows: Rows,
    models: Models,
    on_row: Callable[[Row, bool], None] | None = None,
) -> Evaluator:
    """Return an evaluator whose model is fetched and loaded when it is first needed."""
    identity = weights(model) + environment.source_digest()

    def score(task: Task, answer: dspy.Prediction) -> Any:
        return score_code(task, answer.code, answer.failure, sandbox)

    return Evaluator(lambda: models(model), identity, score, rows, on_row)


def search_for(
    config: RunConfig,
    data: Data,
    space: SearchSpace,
    pool: Pool,
    within: tuple[Evaluator, RunDirectory, Progress],
) -> JointSearch:
    """Return the joint search of a job; the study in its directory makes it resumable."""
    evaluator, run, progress = within
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalFileBackend(str(run.path / "study.journal"))
    study = optuna.create_study(
        study_name="joint",
        storage=optuna.storages.JournalStorage(backend),
        directions=directions(config.costs),
        load_if_exists=True,
    )
    return JointSearch(
        SearchConfig(
            space=space,
            first_points=tuple(space.complete(point) for point in config.first_points),
            trials=config.trials,
            tokens=config.search_tokens,
            seed=config.seed,
            tasks={task.id: task for task in data.dev},
            drop_alpha=config.drop_alpha,
            reevaluate=config.reevaluate,
            costs=config.costs,
            wish=config.wish,
        ),
        pool,
        evaluator,
        study,
        set_hypers,
        progress.trial,
    )


@dataclass(frozen=True)
class _Final:
    """The tasks of the final table and what they are called."""

    label: str
    data_sha256: str
    tasks: Sequence[Task]
    is_test: bool

    @classmethod
    def of(cls, config: RunConfig, data: Data, *, opened: bool) -> _Final:
        if opened or not gate.holds_test_tasks(data.test):
            name = config.test_data
            return cls(name, data.hashes[name], data.test, is_test=True)
        name = config.dev_data
        label = f"{name} (the winner was chosen on it)"
        return cls(label, data.hashes[name], data.dev, is_test=False)


def _open(
    artifact: Artifact, config: RunConfig, data: Data, ledger: gate.Ledger | None
) -> Opening | None:
    """Open the test set for a job's winner; the same job again finds it open."""
    if ledger is None or not gate.holds_test_tasks(data.test):
        return None
    sha256 = data.hashes[config.test_data]
    past = gate.known_result(artifact, sha256, ledger)
    return past or gate.open_once(artifact, config.test_data, sha256, ledger)


def _closed(opening: Opening | None, report: Report, ledger: gate.Ledger | None) -> Opening | None:
    if opening is None or ledger is None or opening.passed is not None:
        return opening
    rate = report.results[-1].rate
    return gate.close(opening, rate.passed, rate.total, ledger)


def _run_final(
    final: _Final,
    winner: SpecToCode,
    evaluator: Evaluator,
    sandbox: Sandbox,
    progress: Progress,
) -> dict[str, Sequence[Row]]:
    programs = {
        DIRECT: make_program("direct", sandbox),
        ZERO_SHOT: make_program("single", sandbox),
        WINNER: winner,
    }
    progress.begin(FINAL, len(programs) * len(final.tasks))
    tables: dict[str, Sequence[Row]] = {}
    for name, program in programs.items():
        tables[name] = list(evaluator.run(program, final.tasks, name))
        progress.say(f"  {name}: {summarise(name, tables[name]).rate}")
    progress.end()
    return tables


def record_inputs(run: RunDirectory, config: RunConfig) -> None:
    """Write what is asked, and where."""
    run.write("config.json", config.model_dump_json(indent=2) + "\n")
    run.write("environment.json", canonical_json(environment.describe()) + "\n")
