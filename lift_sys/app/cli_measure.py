"""The commands that measure: what they are called and which options they take.

Owns the words of ``lift eval``, ``compare`` and ``blame``.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from lift_sys.app.cli_options import Model, OpenTest, Runs, Unsafe, prepare_models, sandbox_for

app = typer.Typer()


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
        typer.Option(
            "--set", metavar="PATH=VALUE", help="A hyper's value, or demos, in every preset."
        ),
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
    with closing(sandbox_for(unsafe=unsafe)) as sandbox:
        lineup = make_lineup(wanted, sandbox)
        tasks = load_set(data, limit, open_test=open_test)
        prepare_models(lineup.models)
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
def blame(
    artifact: Annotated[
        Path | None, typer.Argument(help="A compiled program; or name a --preset.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A strategy that makes an IR.")] = None,
    data: Annotated[str, typer.Option(help="Train, dev, or a task file.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="Most tasks.")] = None,
    model: Model = "qwen2.5-coder-0.5b",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    runs: Runs = Path("runs"),
    unsafe: Unsafe = False,
) -> None:
    """Tell whose fault a program's failures are: the IR's, the code's, both, or the spec's.

    Failed tasks that have a gold IR run once more, with it in place of the IR stage.
    """
    from rich.console import Console

    from lift_sys.app import jobs
    from lift_sys.app.blame import blame, markdown, refuse_pointless
    from lift_sys.app.measure import load_set
    from lift_sys.app.progress import Progress

    with closing(sandbox_for(unsafe=unsafe)) as sandbox:
        chosen = jobs.choose_program(artifact, preset, model, sandbox)
        tasks = load_set(data, limit, open_test=True)  # refused below, in its own words
        refuse_pointless(chosen, tasks)
        prepare_models(chosen.models)
        with Progress(Console(stderr=True), {chosen.name: len(tasks.tasks)}) as progress:
            progress.begin(chosen.name)
            report = blame(chosen, tasks, sandbox, runs, progress.row)
    sys.stdout.write(report.model_dump_json() + "\n" if as_json else markdown(report))
