"""The composition root of a job: from what is asked to a table and an artifact.

Owns the order of the phases (pool and search, final table, report). ``bench`` ties together
programs, metric, optimizer, engine, sandbox and run directory, which know nothing of each other.
The command line and ``lift_sys.optimize`` run the same function: a ``Job`` says what differs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dspy

from lift_sys.app import environment, gate
from lift_sys.app.assemble import Found, with_test
from lift_sys.app.bench import Bench, open_bench
from lift_sys.app.containers import sent_elsewhere
from lift_sys.app.cost import whole_cost
from lift_sys.app.final import FINAL, Final, close_final, open_final, run_final
from lift_sys.app.finding import find
from lift_sys.app.job import Job
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, build_report
from lift_sys.app.report_files import write_report
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.config import RunConfig
from lift_sys.record import canonical_json
from lift_sys.sandbox.base import Sandbox
from optimizers.joint import JointSearch
from optimizers.rows import Row


@dataclass(frozen=True)
class Outcome:
    """What a job gives back.

    Attributes:
        report: The final table.
        text: The same as Markdown.
        run: The run directory.
        artifact: The exported winner; DSPy's state of one that no artifact can say.
        seconds: Wall time of this invocation, in seconds.
        engine_seconds: Time this invocation spent in the model, in seconds.
        winner: The program that was found; its answers go on being stored in the run.
        search: Finished; ``None`` where one of DSPy's optimizers did the work.
    """

    report: Report
    text: str
    run: Path
    artifact: Path
    seconds: float
    engine_seconds: float
    winner: dspy.Module
    search: JointSearch | None


def optimize(
    job: Job,
    run: RunDirectory,
    sandbox: Sandbox,
    progress: Progress,
    ledger: gate.Ledger | None = None,
) -> Outcome:
    """Run a job, or go on with it where it stopped.

    Args:
        job: What is to be optimized.
        run: Its directory, at ``job.place``, or that of a process of a shared study.
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
    job.check()
    with run.locked(), sent_elsewhere(job.config) as send:
        record_inputs(run, job.config)
        bench = open_bench(job, run, sandbox, progress)
        bench.set_aside(Final.of(job.config, job.data, opened=ledger is not None))
        stored = len(bench.rows)
        progress.say(f"run directory: {run.path}" + (f" ({stored} rows)" if stored else ""))
        if send:
            bench.execute_elsewhere(send)
        found = find(bench)
        report, text, artifact = _finish(bench, found, ledger)
        seconds = time.perf_counter() - started
        run.note_invocation(seconds, progress.engine_seconds)
    spent = (seconds, progress.engine_seconds)
    return Outcome(report, text, run.path, artifact, *spent, found.winner, found.search)


def _finish(bench: Bench, found: Found, ledger: gate.Ledger | None) -> tuple[Report, str, Path]:
    """Make the final table of what was found, write the report, and save the winner."""
    job, run, artifact = bench.job, bench.run, found.artifact
    opening = open_final(artifact, job.config, job.data, ledger)
    final = Final.of(job.config, job.data, opened=opening is not None)
    with bench.spending.final(FINAL, lambda: found.save(run.path)):
        programs = bench.table_of(found.winner)
        tables = run_final(final, programs, bench.evaluator, bench.progress)
    report = _report(bench, found, final, tables)
    text = markdown(report)
    write_report(run, report, text)
    if artifact and final.is_test:
        artifact = with_test(artifact, report, close_final(opening, report, ledger))
    return report, text, replace(found, artifact=artifact).save(run.path)


def _report(
    bench: Bench, found: Found, final: Final, tables: Mapping[str, Sequence[Row]]
) -> Report:
    every = list(bench.rows)
    report = build_report(final.label, final.data_sha256, tables, every)
    told = {
        **found.told,
        **whole_cost(every, found.calls, bench.calls),
        "budget": bench.spending.use(ended_search=found.cut),
    }
    return report.model_copy(update=told)


def record_inputs(run: RunDirectory, config: RunConfig) -> None:
    """Write what is asked, and where."""
    run.write("config.json", config.model_dump_json(indent=2) + "\n")
    run.write("environment.json", canonical_json(environment.describe()) + "\n")
