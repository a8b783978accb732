"""The commands about artifacts: what they are called and which options they take.

Owns the words of ``lift show``, ``export`` and ``diff``. Each takes a path, a URL or a name.
"""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lift_sys.errors import ConfigError

if TYPE_CHECKING:
    from lift_sys.app.export import Artifact

app = typer.Typer()

Source = Annotated[str, typer.Argument(help="A compiled program: a path, a URL or a name.")]


class Form(enum.StrEnum):
    """What an artifact is exported as."""

    JSON = "json"
    PROMPTS = "prompts"
    DSPY = "dspy"


@app.command()
def show(artifact: Source) -> None:
    """Print an artifact's prompts, demos and hypers in plain text."""
    from lift_sys.app.artifact_sources import fetch_artifact
    from lift_sys.app.show import render_artifact

    sys.stdout.write(render_artifact(fetch_artifact(artifact)))


@app.command()
def export(
    artifact: Source,
    out: Annotated[Path | None, typer.Option(help="File to write.")] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="The artifact itself; its prompts as Markdown; or a state that DSPy alone loads.",
        ),
    ] = Form.JSON,
    name: Annotated[
        str | None, typer.Option(help="Keep the artifact under this name, for load_program.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What its SHA-256 must be.")] = None,
) -> None:
    """Check an artifact and write it as a file, or keep it under a name."""
    from lift_sys.app.artifact_sources import fetch_artifact, save_named
    from lift_sys.app.export import save_artifact
    from lift_sys.files import write_atomically

    if (out is None) == (name is None):
        msg = "give either --out FILE or --name NAME, not both and not neither"
        raise ConfigError(msg)
    if name is not None and form is not Form.JSON:
        msg = f"only the artifact itself has a name; leave --as {form} out, or give --out"
        raise ConfigError(msg)
    found = fetch_artifact(artifact, sha256)
    if name is not None:
        made = save_named(found, name)
    elif out is not None and form is Form.JSON:
        made = save_artifact(found, out)
    elif out is not None:
        made = write_atomically(out, _as_text(found, form))
    sys.stdout.write(f"{made}\n")


@app.command()
def diff(
    a: Source,
    b: Source,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell in what two artifacts differ; exits with 0 if in nothing, with 1 otherwise."""
    from lift_sys.app.artifact_sources import fetch_artifact
    from lift_sys.app.diff import diff_artifacts, render_diff

    difference = diff_artifacts(fetch_artifact(a), fetch_artifact(b))
    if as_json:
        sys.stdout.write(difference.model_dump_json() + "\n")
    else:
        sys.stdout.write(render_diff(difference))
    if not difference.same:
        raise typer.Exit(1)


def _as_text(artifact: Artifact, form: Form) -> str:
    from lift_sys.app import environment
    from lift_sys.app.bundle import render_bundle
    from lift_sys.app.export import build_program
    from lift_sys.app.plain_dspy import plain_state
    from lift_sys.sandbox.base import ClosedSandbox

    environment.prepare()
    write = render_bundle if form is Form.PROMPTS else plain_state
    return write(artifact, build_program(artifact, ClosedSandbox()))
