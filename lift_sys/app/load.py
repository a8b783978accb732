"""What an application needs: a compiled program from one file with one call.

Owns ``load_program``: the public entry point that ties an artifact to its model and a sandbox.
"""

from __future__ import annotations

from pathlib import Path

from lift_sys.app import environment
from lift_sys.app.export import ModelRef, build_program, load_artifact
from lift_sys.app.models import model_source
from lift_sys.errors import ArtifactError
from lift_sys.sandbox import create_sandbox
from programs.spec_to_code import SpecToCode


def load_program(path: str | Path, *, unsafe: bool = False) -> SpecToCode:
    """Load a compiled program, ready to be called.

    Its models are fetched and verified if they are not there yet; each is loaded once per
    process however many programs use it.

    Args:
        path: An artifact.
        unsafe: Execute generated code even where no sandbox layer holds.

    Returns:
        A DSPy module. ``program(spec="...")`` returns a prediction with ``code`` and ``ir``.

    Raises:
        ArtifactError: The artifact cannot be used, or a model's weights are other ones.
        ModelError: A model cannot be had.
        SandboxUnavailableError: No sandbox layer holds and ``unsafe`` was not given.
    """
    environment.quiet_libraries()
    artifact = load_artifact(Path(path))
    for model in (artifact.model, *artifact.models):
        if model != ModelRef.of(model.id):
            msg = (
                f"{path} was compiled for other weights of {model.id} than this release knows;"
                " compile it again"
            )
            raise ArtifactError(msg)
    models = model_source()
    program = build_program(artifact, create_sandbox(unsafe=unsafe)).with_models(models)
    program.set_lm(models(artifact.model.id))
    return program
