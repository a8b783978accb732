"""What ``lift optimize`` does with a job: explain it, or run it and tell how it went."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from lift_sys.app import environment, gate
from lift_sys.app.cli_options import prepare_models, sandbox_for
from lift_sys.app.data import load_data
from lift_sys.app.explain import explain
from lift_sys.app.final import FINAL
from lift_sys.app.job import Job
from lift_sys.app.jobs import EXPECTED_FULL_TRIALS
from lift_sys.app.models import models_of_job
from lift_sys.app.pool import POOL
from lift_sys.app.progress import Progress
from lift_sys.app.run import Outcome, optimize
from lift_sys.app.searching import SEARCH
from lift_sys.app.worker import Meeting, opened_run
from lift_sys.config import RunConfig


@dataclass(frozen=True)
class Wanted:
    """A job as it is asked for at the command line.

    Attributes:
        config: The job.
        runs: Folder of the run directories.
        open_test: Whether the final table is of the test set.
        unsafe: Whether generated code may run where no sandbox layer holds.
    """

    config: RunConfig
    runs: Path
    open_test: bool
    unsafe: bool


def explain_job(wanted: Wanted) -> None:
    """Print the space of a job and what it will cost.

    Raises:
        ConfigError: The job would be refused.
        DatasetError: A task file is missing or broken.
        StoreError: The stored pool of the run cannot be read.
    """
    data = load_data(wanted.config)
    text = explain(wanted.config, data, wanted.runs, open_test=wanted.open_test)
    _show(_console(), text)


def optimize_job(wanted: Wanted, meeting: Meeting | None) -> None:
    """Run a job, alone or as the one that begins a shared study, and print its table.

    Args:
        wanted: The job.
        meeting: Where a shared study meets.

    Raises:
        LiftError: As ``run.optimize``.
    """
    config = wanted.config
    data, console = load_data(config), _console()
    planned = {
        POOL: config.pool_tasks * len(config.teachers),
        SEARCH: len(data.dev) * min(config.trials, EXPECTED_FULL_TRIALS),
        FINAL: 3 * len(data.test if wanted.open_test else data.dev),
    }
    ledger = gate.Ledger(environment.ledger_file()) if wanted.open_test else None
    with closing(sandbox_for(unsafe=wanted.unsafe)) as sandbox:
        job = Job.of(config, data, sandbox)
        job.check()
        prepare_models(models_of_job(config))
        with (
            opened_run(job, wanted.runs, meeting) as run,
            Progress(console, planned) as progress,
        ):
            outcome = optimize(job, run, sandbox, progress, ledger)
    _tell(console, outcome)


def _console() -> Console:
    """Return standard output, also while an optimizer's own output is kept away."""
    return Console(file=sys.stdout)


def _tell(console: Console, outcome: Outcome) -> None:
    _show(console, outcome.text)
    outside = 1 - outcome.engine_seconds / outcome.seconds
    told = f", {outside:.1%} outside the model" if outside >= 0 else ""  # calls may overlap
    console.print(f"this invocation: {outcome.seconds:.0f} s{told}", highlight=False)
    console.print(f"run directory: {outcome.run}", soft_wrap=True, highlight=False)
    console.print(f"artifact:      {outcome.artifact}", soft_wrap=True, highlight=False)


def _show(console: Console, text: str) -> None:
    """Print Markdown: set on a terminal, as it is elsewhere."""
    console.print(Markdown(text) if console.is_terminal else text, soft_wrap=True)
