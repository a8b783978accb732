"""What an application needs: a compiled program from one file with one call.

Owns ``load_program``: the public entry point that ties an artifact to its model and a sandbox.
"""

from __future__ import annotations

from pathlib import Path

from lift_sys.app import environment
from lift_sys.app.export import build_program, load_artifact
from lift_sys.errors import ArtifactError
from lift_sys.inference import catalogue
from lift_sys.inference.lm import build_lm
from lift_sys.sandbox import create_sandbox
from programs.spec_to_code import SpecToCode


def load_program(path: str | Path, *, unsafe: bool = False) -> SpecToCode:
    """Load a compiled program, ready to be called.

    The model is fetched and verified if it is not there yet; one model is loaded per process
    however many programs use it.

    Args:
        path: An artifact.
        unsafe: Execute generated code even where no sandbox layer holds.

    Returns:
        A DSPy module. ``program(spec="...")`` returns a prediction with ``code`` and ``ir``.

    Raises:
        ArtifactError: The artifact cannot be used, or its model's weights are other ones.
        ModelError: The model cannot be had.
        SandboxUnavailableError: No sandbox layer holds and ``unsafe`` was not given.
    """
    environment.quiet_libraries()
    artifact = load_artifact(Path(path))
    info = catalogue.get(artifact.model.id)
    if info.sha256 != artifact.model.sha256:
        msg = (
            f"{path} was compiled for other weights of {artifact.model.id} than this release knows;"
            " compile it again"
        )
        raise ArtifactError(msg)
    program = build_program(artifact, create_sandbox(unsafe=unsafe))
    program.set_lm(build_lm(artifact.model.id, environment.models_dir()))
    return program
