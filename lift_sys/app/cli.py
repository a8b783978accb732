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

from lift_sys.app import cli_models, cli_tasks
from lift_sys.errors import LiftError

if TYPE_CHECKING:
    from lift_sys.sandbox.base import Sandbox

INTERRUPTED = 130

app = typer.Typer(
    name="lift",
    help="Find, export and run the best program that turns specs into Python functions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would double its time
    add_completion=False,
)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_tasks.app, name="tasks")

Unsafe = Annotated[
    bool, typer.Option("--unsafe", help="Run generated code even where no sandbox layer holds.")
]
Runs = Annotated[Path, typer.Option(help="Folder of the run directories.")]
OpenTest = Annotated[
    bool, typer.Option("--open-test", help="Run on test tasks: once per artifact, on the record.")
]
Model = Annotated[str, typer.Option(help="Model id; see `lift models list`.")]


@app.command()
def optimize(
    config: Annotated[
        Path | None, typer.Option(help="Job as a JSON file; the other options override it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model id.")] = None,
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
    runs: Runs = Path("runs"),
    open_test: OpenTest = False,
    unsafe: Unsafe = False,
) -> None:
    """Search for the best program, test it, and export it.

    The same job started again continues where it stopped.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from lift_sys.app import environment, gate, jobs
    from lift_sys.app.data import load_data
    from lift_sys.app.progress import Progress
    from lift_sys.app.run import FINAL, POOL, SEARCH, optimize

    overrides = {
        "model": model, "seed": seed, "trials": trials, "search_tokens": search_tokens,
        "pool_tasks": pool_tasks, "dev_tasks": dev_tasks, "test_tasks": test_tasks,
    }  # fmt: skip
    job = jobs.resolve(config, overrides)
    data = load_data(job)
    console = Console()
    planned = {
        POOL: job.pool_tasks,
        SEARCH: len(data.dev) * min(job.trials, jobs.EXPECTED_FULL_TRIALS),
        FINAL: 3 * len(data.test if open_test else data.dev),
    }
    ledger = gate.Ledger(environment.ledger_file()) if open_test else None
    with closing(_sandbox(unsafe)) as sandbox:
        _prepare_model(job.model)
        with Progress(console, planned) as progress:
            outcome = optimize(job, data, runs, sandbox, progress, ledger)
    console.print(Markdown(outcome.text) if console.is_terminal else outcome.text, soft_wrap=True)
    outside = 1 - outcome.engine_seconds / outcome.seconds
    console.print(
        f"this invocation: {outcome.seconds:.0f} s, {outside:.1%} outside the model",
        highlight=False,
    )
    console.print(f"run directory: {outcome.run}", soft_wrap=True, highlight=False)
    console.print(f"artifact:      {outcome.artifact}", soft_wrap=True, highlight=False)


@app.command("eval")
def evaluate(
    artifact: Annotated[
        Path | None, typer.Argument(help="A compiled program; or name a --preset, or both.")
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="A strategy, e.g. direct or single; several, or all, are compared."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="A hyper's value, in every preset."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="Also measure every preset with this change."),
    ] = None,
    equal_tokens: Annotated[
        bool,
        typer.Option(
            "--equal-tokens", help="Also measure direct at the generated tokens of each program."
        ),
    ] = False,
    data: Annotated[str, typer.Option(help="A shipped set, e.g. dev, or a task file.")] = "dev",
    limit: Annotated[int | None, typer.Option(min=1, help="Most tasks.")] = None,
    model: Model = "qwen2.5-coder-0.5b",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    runs: Runs = Path("runs"),
    open_test: OpenTest = False,
    unsafe: Unsafe = False,
) -> None:
    """Measure compiled programs and presets on the same tasks, and compare them.

    The same measurement started again continues where it stopped.
    """
    from rich.console import Console

    from lift_sys.app.lineup import Wanted, make_lineup
    from lift_sys.app.measure import Measurement, load_set
    from lift_sys.app.progress import Progress
    from lift_sys.app.tables import markdown

    wanted = Wanted(artifact, preset or (), model, settings or (), vary or (), equal_tokens)
    with closing(_sandbox(unsafe)) as sandbox:
        lineup = make_lineup(wanted, sandbox)
        tasks = load_set(data, limit, open_test=open_test)
        _prepare_model(lineup.model)
        planned = dict.fromkeys(lineup.programs, len(tasks.tasks))
        with Progress(Console(stderr=True), planned) as progress:
            measurement = Measurement(lineup, tasks, sandbox, runs, progress)
            report = measurement.run()
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    else:
        text = markdown(report, detailed=True)
        Console().print(text, soft_wrap=True, highlight=False)


@app.command()
def run(
    spec: Annotated[str, typer.Argument(help="What the function must do; '-' reads stdin.")],
    program: Annotated[
        Path | None, typer.Option(help="A compiled program; default: the preset.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Used without --program.")] = "single",
    name: Annotated[str | None, typer.Option(help="Name of the function.")] = None,
    model: Model = "qwen2.5-coder-0.5b",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    unsafe: Unsafe = False,
) -> None:
    """Turn one spec into an IR and code, and print both."""
    from lift_sys.app import jobs
    from programs.spec_to_code import refuse_unusable

    text = sys.stdin.read() if spec == "-" else spec
    refuse_unusable(text)  # before a model is fetched or loaded
    with closing(_sandbox(unsafe)) as sandbox:
        chosen = jobs.choose_program(program, None if program else preset, model, sandbox)
        _prepare_model(chosen.model)
        answer = jobs.answer(chosen, text, name)
    sys.stdout.write(answer.as_json() if as_json else answer.as_text())
    if answer.code is None:
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A run directory, an artifact, or a report as JSON.")],
    b: Annotated[Path, typer.Argument(help="Likewise, on the same tasks.")],
    program_a: Annotated[
        str | None, typer.Option(help="Which program of A; default: the last, a run's winner.")
    ] = None,
    program_b: Annotated[str | None, typer.Option(help="Likewise, of B.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Compare two measured programs task by task, and say what that shows of B."""
    from lift_sys.app.compare import load_side, markdown, pair

    both = pair(load_side(a, program_a), load_side(b, program_b))
    sys.stdout.write(both.model_dump_json() + "\n" if as_json else markdown(both))


@app.command()
def show(artifact: Annotated[Path, typer.Argument(help="A compiled program.")]) -> None:
    """Print an artifact's prompts, demos and hypers in plain text."""
    from lift_sys.app.export import load_artifact
    from lift_sys.app.show import render_artifact

    sys.stdout.write(render_artifact(load_artifact(artifact)))


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


def _sandbox(unsafe: bool) -> Sandbox:
    from lift_sys.app import environment
    from lift_sys.sandbox import create_sandbox

    environment.quiet_libraries()
    return create_sandbox(unsafe=unsafe)


def _prepare_model(model_id: str) -> None:
    cli_models.pull_with_progress(model_id)


def main() -> None:
    """Run ``lift`` and exit: 0 done, 1 no answer, 2 bad input, 130 interrupted."""
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
