"""What an application needs: a compiled program from one file with one call.

Owns ``load_program``: the public entry point that ties an artifact to its model and a sandbox.
"""

from __future__ import annotations

from pathlib import Path

from lift_sys.app import environment
from lift_sys.app.artifact_sources import fetch_artifact, shown
from lift_sys.app.export import ModelRef, build_program
from lift_sys.app.models import model_source
from lift_sys.errors import ArtifactError, ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.lm import require_servable
from lift_sys.sandbox import create_sandbox
from programs.ensemble import Program


def load_program(source: str | Path, *, sha256: str | None = None, unsafe: bool = False) -> Program:
    """Load a compiled program, ready to be called.

    Its models are fetched and verified if they are not there yet; each is loaded once per
    process however many programs use it.

    Args:
        source: An artifact: a path, an ``https://`` or ``file://`` URL, or a name that
            ``lift export --name`` gave. ``http://`` is for this machine only.
        sha256: What the artifact's own SHA-256, which ``lift show`` prints, must be: another one
            is refused.
        unsafe: Execute generated code even where no sandbox layer holds.

    Returns:
        A DSPy module. ``program(spec="...")`` returns a prediction with ``code`` and ``ir``, and so
        does ``await program.acall(spec="...")``.

    Raises:
        ArtifactError: The artifact cannot be had or used, or a model is not one of this release's.
        ModelError: A model's file cannot be had.
        SandboxUnavailableError: No sandbox layer holds and ``unsafe`` was not given.
    """
    environment.prepare()
    artifact = fetch_artifact(source, sha256)
    for model in (artifact.model, *artifact.models):
        _require(model, shown(source))
    sandbox = create_sandbox(unsafe=unsafe)
    try:
        models = model_source()
        program = build_program(artifact, sandbox).with_models(models)
        program.set_lm(models(artifact.model.id))
    except BaseException:
        sandbox.close()
        raise
    return program


def _require(model: ModelRef, where: str) -> None:
    """Refuse a model that this release cannot run, or knows with other weights.

    Raises:
        ArtifactError: It is such a model.
    """
    try:
        require_servable(model.id, environment.keys_of(catalogue.all_models()))
    except ModelError as error:
        msg = f"{where} cannot be run here: {error}"
        raise ArtifactError(msg) from error
    if model != ModelRef.of(model.id):
        msg = (
            f"{where} was compiled for other weights of {model.id} than this release knows;"
            " compile it again"
        )
        raise ArtifactError(msg)
