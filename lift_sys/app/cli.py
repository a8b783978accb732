"""The command line: parses, calls, prints, and maps errors to exit codes.

Owns the words and options of ``lift``. Every import that is not needed for ``--help`` happens
inside the command that needs it.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lift_sys.app import (
    cli_artifact,
    cli_assess,
    cli_measure,
    cli_modal,
    cli_models,
    cli_tasks,
    cli_worker,
)
from lift_sys.app.cli_options import Model, OpenTest, Runs, Unsafe, prepare_models, sandbox_for
from lift_sys.errors import LiftError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130

app = typer.Typer(
    name="lift",
    help="Find, export and run the best program that turns specs into Python functions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would double its time
    add_completion=False,
)
app.add_typer(cli_artifact.app)
app.add_typer(cli_assess.app)
app.add_typer(cli_measure.app)
app.add_typer(cli_worker.app)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_tasks.app, name="tasks")
app.add_typer(cli_modal.app, name="modal")


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
    from rich.console import Console

    from lift_sys.app import environment, gate, jobs
    from lift_sys.app.data import load_data
    from lift_sys.app.explain import explain as explained
    from lift_sys.app.final import FINAL
    from lift_sys.app.models import models_of_job
    from lift_sys.app.pool import POOL
    from lift_sys.app.progress import Progress
    from lift_sys.app.run import check_job, optimize
    from lift_sys.app.searching import SEARCH
    from lift_sys.app.worker import Meeting, opened_run

    overrides = {
        "model": model, "optimizer": optimizer, "preset": preset, "seed": seed, "trials": trials,
        "search_tokens": search_tokens, "pool_tasks": pool_tasks, "dev_tasks": dev_tasks,
        "test_tasks": test_tasks, "budget": jobs.read_budget(budget or ()),
        "objectives": objective or None, "wish": wish,
        "executor": jobs.read_executor(executor, containers, unsafe=unsafe),
    }  # fmt: skip
    job = jobs.resolve(config, overrides)
    meeting = Meeting.of(storage, study, slots)
    data = load_data(job)
    console = Console(file=sys.stdout)  # also while an optimizer's own output is kept away
    if explain:
        environment.prepare()
        _show(console, explained(job, data, runs, open_test=open_test))
        return
    planned = {
        POOL: job.pool_tasks * len(job.teachers),
        SEARCH: len(data.dev) * min(job.trials, jobs.EXPECTED_FULL_TRIALS),
        FINAL: 3 * len(data.test if open_test else data.dev),
    }
    ledger = gate.Ledger(environment.ledger_file()) if open_test else None
    with closing(sandbox_for(unsafe=unsafe)) as sandbox:
        check_job(job, data, sandbox)
        prepare_models(models_of_job(job))
        with opened_run(job, data, runs, meeting) as run, Progress(console, planned) as progress:
            outcome = optimize(job, data, run, sandbox, progress, ledger)
    _show(console, outcome.text)
    outside = 1 - outcome.engine_seconds / outcome.seconds
    told = f", {outside:.1%} outside the model" if outside >= 0 else ""  # calls may overlap
    console.print(f"this invocation: {outcome.seconds:.0f} s{told}", highlight=False)
    console.print(f"run directory: {outcome.run}", soft_wrap=True, highlight=False)
    console.print(f"artifact:      {outcome.artifact}", soft_wrap=True, highlight=False)


def _show(console: Console, text: str) -> None:
    """Print Markdown: set on a terminal, as it is elsewhere."""
    from rich.markdown import Markdown

    console.print(Markdown(text) if console.is_terminal else text, soft_wrap=True)


@app.command()
def run(
    spec: Annotated[str, typer.Argument(help="What the function must do; '-' reads stdin.")],
    program: Annotated[
        Path | None, typer.Option(help="A compiled program; default: the preset.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Used without --program.")] = "single",
    name: Annotated[str | None, typer.Option(help="Name of the function.")] = None,
    model: Model = "qwen2.5-coder-0.5b",
    fill: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: answer an open question of an earlier run; repeatable."),
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the open questions here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    unsafe: Unsafe = False,
) -> None:
    """Turn one spec into an IR and code, and print both."""
    from lift_sys.app import jobs
    from lift_sys.app.answering import Request, answer, ask_on, read_fills, require_terminal
    from programs.requests import refuse_unusable

    text = sys.stdin.read() if spec == "-" else spec
    refuse_unusable(text, name)  # before a model is fetched or loaded
    request = Request(text, name, read_fills(fill or ()))
    if ask:
        require_terminal(sys.stdin)
    with closing(sandbox_for(unsafe=unsafe)) as sandbox:
        chosen = jobs.choose_program(program, None if program else preset, model, sandbox)
        prepare_models(chosen.models)
        made = answer(chosen, request, ask_on(sys.stdin, sys.stderr) if ask else None)
    sys.stdout.write(made.as_json() if as_json else made.as_text())
    if made.code is None:
        raise typer.Exit(1)


@app.command()
def doctor(unsafe: Unsafe = False) -> None:
    """Check this machine: versions, sandbox and model."""
    from lift_sys.app import doctor as checks

    healthy = True
    for line, good in checks.examine(unsafe=unsafe):
        sys.stdout.write(f"{'ok ' if good else '!! '} {line}\n")
        healthy = healthy and good
    if not healthy:
        raise typer.Exit(2)


def main() -> None:
    """Run ``lift`` and exit: 0 done, 1 no answer, 2 bad input, 3 budget spent, 130 interrupted."""
    try:
        app()
    except LiftError as error:
        sys.stderr.write(f"lift: {error}\n")
        sys.exit(error.exit_code)
    except SystemExit as leaving:
        if leaving.code != INTERRUPTED:
            raise
        sys.stderr.write("lift: interrupted\n")
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # a native generation may still be running in a thread


if __name__ == "__main__":
    main()
