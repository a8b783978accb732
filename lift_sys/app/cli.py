"""The command line: parses, calls, prints, and maps errors to exit codes.

Owns the words and options of ``lift``. Every import that is not needed for ``--help`` happens
inside the command that needs it.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from lift_sys.app import (
    cli_artifact,
    cli_assess,
    cli_measure,
    cli_modal,
    cli_models,
    cli_optimize,
    cli_tasks,
    cli_worker,
)
from lift_sys.app.cli_options import Model, Unsafe, prepare_models, sandbox_for
from lift_sys.errors import LiftError

INTERRUPTED = 130

app = typer.Typer(
    name="lift",
    help="Find, export and run the best program that turns specs into Python functions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would double its time
    add_completion=False,
)
app.add_typer(cli_optimize.app)
app.add_typer(cli_artifact.app)
app.add_typer(cli_assess.app)
app.add_typer(cli_measure.app)
app.add_typer(cli_worker.app)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_tasks.app, name="tasks")
app.add_typer(cli_modal.app, name="modal")


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
