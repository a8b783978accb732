"""The command that runs a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lift_sys.app.cli_options import OpenTest, Runs, Unsafe

app = typer.Typer()


@app.command()
def optimize(
    config: Annotated[
        Path | None, typer.Option(help="Job as a JSON file; the other options override it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model id.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="joint (the default), or one of DSPy's, such as gepa.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="What one of DSPy's optimizers starts from.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Most trials.")] = None,
    search_tokens: Annotated[
        int | None, typer.Option(min=1, help="Generated tokens after which the search ends.")
    ] = None,
    pool_tasks: Annotated[
        int | None, typer.Option(min=0, help="Train tasks run to bootstrap demos.")
    ] = None,
    dev_tasks: Annotated[int | None, typer.Option(min=1, help="Dev tasks per trial.")] = None,
    test_tasks: Annotated[int | None, typer.Option(min=1, help="Most test tasks.")] = None,
    drop_alpha: Annotated[
        float | None,
        typer.Option(min=0, help="Chance to give up a trial that would draw level."),
    ] = None,
    reevaluate: Annotated[
        int | None, typer.Option(min=0, help="Best trials to run again with fresh samples.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE: most tokens, usd or seconds of the whole job; repeatable."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Also keep tokens, usd or seconds per task low; repeatable."),
    ] = None,
    wish: Annotated[
        str | None,
        typer.Option(help="Which program to end with, e.g. 'cheapest within 2 points'."),
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="Where tasks are executed: local, or modal (containers).")
    ] = None,
    containers: Annotated[
        int | None, typer.Option(min=1, help="Most Modal containers at the same time.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database that workers share, e.g. postgresql://host/name."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the shared study.")] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks that all workers together run at the same time."),
    ] = None,
    runs: Runs = Path("runs"),
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the space and what the job will cost; end.")
    ] = False,
    open_test: OpenTest = False,
    unsafe: Unsafe = False,
) -> None:
    """Search for the best program, test it, and export it.

    The same job started again continues where it stopped.
    """
    from lift_sys.app import environment, jobs
    from lift_sys.app.optimizing import Wanted, explain_job, optimize_job
    from lift_sys.app.worker import Meeting

    environment.prepare()  # a job may name a model of the user's own
    overrides = {
        "model": model, "optimizer": optimizer, "preset": preset, "seed": seed, "trials": trials,
        "search_tokens": search_tokens, "pool_tasks": pool_tasks, "dev_tasks": dev_tasks,
        "test_tasks": test_tasks, "drop_alpha": drop_alpha, "reevaluate": reevaluate,
        "budget": jobs.read_budget(budget or ()),
        "objectives": objective or None, "wish": wish,
        "executor": jobs.read_executor(executor, containers, unsafe=unsafe),
    }  # fmt: skip
    job = jobs.resolve(config, overrides)
    wanted = Wanted(job, runs, open_test=open_test, unsafe=unsafe)
    meeting = Meeting.of(storage, study, slots)
    if explain:
        explain_job(wanted)
    else:
        optimize_job(wanted, meeting)
