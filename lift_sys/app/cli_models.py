"""``lift models``: list, fetch and verify model files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="List, fetch and verify models.", no_args_is_help=True)

ModelId = Annotated[str, typer.Argument(help="Model id; see `lift models list`.")]


@app.command("list")
def list_models() -> None:
    """Print every known model and whether it is here."""
    from lift_sys.app import environment
    from lift_sys.inference import catalogue, fetch

    environment.prepare()
    folder = environment.models_dir()
    sys.stdout.write(f"model folder: {folder}\n")
    for info in catalogue.all_models():
        here = "here" if fetch.locate(info.id, folder) else "not here"
        served = ", then ".join(info.members) or f"served by {info.backend}"
        state = here if info.embedded else served
        size = f"{info.bytes / 1e6:,.0f} MB" if info.bytes else ""
        sys.stdout.write(f"{info.id:<28} {size:>10}  {state:<24} {info.licence}\n")


@app.command()
def pull(model: ModelId) -> None:
    """Fetch a model and verify it."""
    from lift_sys.app import environment

    environment.prepare()
    path = pull_with_progress(model)
    sys.stdout.write(f"{path}\n")


@app.command()
def check(model: ModelId) -> None:
    """Hash a model's file again and compare."""
    from lift_sys.app import environment
    from lift_sys.errors import ModelError
    from lift_sys.inference import catalogue, fetch

    environment.prepare()
    info = catalogue.get(model)
    path = fetch.locate(model, environment.models_dir())
    if path is None:
        msg = (
            f"{model} is not in {environment.models_dir()}; fetch it with: lift models pull {model}"
        )
        raise ModelError(msg)
    fetch.check_model(path, info)
    sys.stdout.write(f"{path}: SHA-256 matches ({info.sha256})\n")


def pull_with_progress(model: str) -> Path:
    """Fetch a model if it is missing, showing bytes on a terminal.

    Raises:
        ModelError: It cannot be had.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from lift_sys.app import environment
    from lift_sys.inference import fetch

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    console = Console(stderr=True)
    quiet = not console.is_terminal  # a log gets an empty line instead of a bar
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        bar = progress.add_task(f"fetching {model}", total=None, visible=False)

        def show(source: str, done: int, total: int) -> None:
            text = f"fetching {model} ({source})"
            progress.update(bar, description=text, completed=done, total=total, visible=True)

        return fetch.ensure_model(model, environment.models_dir(), progress=show)
