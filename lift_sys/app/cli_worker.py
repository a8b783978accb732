"""The command that helps with a study which other processes work on."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from lift_sys.app.cli_options import Unsafe, prepare_models, sandbox_for

app = typer.Typer()


@app.command()
def worker(
    storage: Annotated[
        str, typer.Option(help="Database, e.g. postgresql://host/name or sqlite:///file.")
    ],
    study: Annotated[str, typer.Option(help="Name given to lift optimize --study.")],
    unsafe: Unsafe = False,
) -> None:
    """Help with a study that lift optimize --storage began, until its search is over.

    Any number of workers may come and go; one that is killed costs the others nothing.
    """
    from rich.console import Console

    from lift_sys.app.models import models_of_job
    from lift_sys.app.progress import Progress
    from lift_sys.app.worker import Meeting, joined_run, work

    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="lift-worker-") as folder,
        joined_run(Meeting(storage, study), Path(folder)) as (run, data),
        closing(sandbox_for(unsafe=unsafe)) as sandbox,
    ):
        prepare_models(models_of_job(run.config))
        with Progress(console, {}) as progress:
            progress.say(f"{run}")
            search = work(run, data, sandbox, progress)
    best = search.best
    console.print(
        f"the search is over: {len(search.trials)} trials, the best is trial {best.number} with "
        f"{best.passed} of {best.tried} tasks; lift optimize makes the table and the artifact",
        highlight=False,
        soft_wrap=True,
    )
