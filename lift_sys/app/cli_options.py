"""What several commands share: options, and what stands before a job can begin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lift_sys.app import cli_models

if TYPE_CHECKING:
    from lift_sys.sandbox.base import Sandbox

Unsafe = Annotated[
    bool, typer.Option("--unsafe", help="Run generated code even where no sandbox layer holds.")
]
Runs = Annotated[Path, typer.Option(help="Folder of the run directories.")]
OpenTest = Annotated[
    bool, typer.Option("--open-test", help="Run on test tasks: once per artifact, on the record.")
]
Model = Annotated[str, typer.Option(help="Model id; see `lift models list`.")]


def sandbox_for(*, unsafe: bool) -> Sandbox:
    """Return the sandbox of this machine.

    Raises:
        SandboxError: There is none, and it was not asked to go without.
    """
    from lift_sys.app import environment
    from lift_sys.sandbox import create_sandbox

    environment.prepare()
    return create_sandbox(unsafe=unsafe)


def prepare_models(model_ids: Iterable[str]) -> None:
    """Fetch the embedded models that are not here, after all ids were checked.

    Raises:
        ModelError: One is unknown, not servable here, or cannot be had.
    """
    from lift_sys.app import environment
    from lift_sys.inference import catalogue
    from lift_sys.inference.lm import require_servable

    keys = environment.keys_of(catalogue.all_models())
    asked = [require_servable(model_id, keys).id for model_id in model_ids]
    for info in dict.fromkeys(info for each in asked for info in catalogue.answering(each)):
        if info.embedded:
            cli_models.pull_with_progress(info.id)
