"""Artifacts: a compiled program as one small, readable, versioned file.

Owns the format. An artifact is JSON: hypers, instructions and demos in plain text, the model it
was compiled for, scores with intervals and where they come from, and a SHA-256 over all of it.
Nothing in it is executed when it is loaded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import dspy
from pydantic import ValidationError

from lift_sys.errors import ArtifactError, ConfigError
from lift_sys.files import write_atomically
from lift_sys.inference import catalogue
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.record import Record, Versioned, canonical_json, digest
from lift_sys.sandbox.base import Sandbox
from programs.ensemble import Ensemble, Program
from programs.hypers import hypers_of, set_hypers
from programs.spec_to_code import SpecToCode

Kind = Literal["SpecToCode", "Ensemble"]
"""Name of a program's class. An ensemble's hypers and predictors are its members', each with the
member's path, ``programs[0]`` and so on, before its own."""

_MEMBER = re.compile(r"programs\[(\d+)\]\.")


class PredictorState(Record):
    """One predictor: what it is told and shown.

    Attributes:
        instructions: The prompt's constant text.
        fields: Names of its inputs and outputs, which must match the program's.
        demos: Examples, as field values.
    """

    instructions: str
    fields: tuple[str, ...]
    demos: tuple[dict[str, Any], ...] = ()


class ModelRef(Record):
    """A model of an artifact."""

    id: str
    sha256: str

    @classmethod
    def of(cls, model_id: str) -> Self:
        """Return the reference to a model of this release's catalogue.

        Raises:
            ModelError: There is no such model.
        """
        return cls(id=model_id, sha256=catalogue.identity(model_id))


class Measured(Record):
    """A score and where it was measured.

    Attributes:
        data: Name of the task set.
        data_sha256: Of its file.
        passed: Tasks that passed every hidden case.
        total: Tasks.
        low: Lower end of the 95 % Wilson interval.
        high: Upper end.
        tokens: Generated tokens spent on all tasks.
        seconds: Wall time of all tasks, in seconds; ``None`` where it is not kept.
        outcomes: Pass or fail by task id; empty where only the totals are kept.
        categories: Category of each task in ``outcomes``.
    """

    data: str
    data_sha256: str
    passed: int
    total: int
    low: float
    high: float
    tokens: int
    seconds: float | None = None
    outcomes: dict[str, bool] = {}  # noqa: RUF012 (pydantic copies defaults)
    categories: dict[str, str] = {}  # noqa: RUF012 (likewise)


class Opening(Record):
    """One run of an artifact on a test set.

    Attributes:
        artifact: Its identity.
        data: Name of the test set.
        data_sha256: Of its file.
        opened_at: When, in UTC (ISO 8601).
        passed: Tasks that passed; ``None`` until the run has ended.
        total: Tasks, likewise.
    """

    artifact: str
    data: str
    data_sha256: str
    opened_at: str
    passed: int | None = None
    total: int | None = None


class Artifact(Versioned):
    """A compiled program.

    Attributes:
        kind: Always ``lift-sys program``.
        program: Name of the program class.
        wire_version: Of the IR's wire form.
        model: What it was compiled for.
        models: Others that its stages name.
        hypers: By path.
        predictors: By path.
        scores: On ``dev`` when it was chosen, on ``dev_again`` with fresh samples if it was run
            again and samples anything, and on ``test``.
        provenance: Versions, seed, run, data hashes, spend.
        openings: Test sets that it was run on.
        sha256: Over everything else; empty only while an artifact is being made.
    """

    current_version: ClassVar[int] = 1

    kind: Literal["lift-sys program"] = "lift-sys program"
    program: Kind = "SpecToCode"
    wire_version: int
    model: ModelRef
    models: tuple[ModelRef, ...] = ()
    hypers: dict[str, Any]
    predictors: dict[str, PredictorState]
    scores: dict[str, Measured] = {}  # noqa: RUF012 (pydantic copies defaults)
    provenance: dict[str, Any] = {}  # noqa: RUF012 (likewise)
    openings: tuple[Opening, ...] = ()
    sha256: str = ""

    def sealed(self) -> Artifact:
        """Return a copy that carries its hash."""
        return self.model_copy(update={"sha256": self._hash()})

    def _hash(self) -> str:
        return digest(self.model_dump(mode="json", exclude={"sha256"}))

    @property
    def identity(self) -> str:
        """SHA-256 of what makes it this artifact: the program, its models and the job behind it.

        It stays the same when scores and openings are added.
        """
        program = {"program", "wire_version", "model", "models", "hypers", "predictors"}
        job = {key: self.provenance.get(key) for key in ("config", "data_sha256")}
        return digest([self.model_dump(mode="json", include=program), job])

    @property
    def intact(self) -> bool:
        """Whether the content is what was sealed."""
        return self.sha256 == self._hash()


def kind_of(program: Program) -> Kind:
    """Return what an artifact calls a program's class."""
    return "Ensemble" if isinstance(program, Ensemble) else "SpecToCode"


def describe_program(program: Program) -> tuple[dict[str, Any], dict[str, PredictorState]]:
    """Return a program's hypers and predictors in the form that an artifact keeps."""
    hypers = {path: hyper.value for path, hyper in hypers_of(program).items()}
    predictors = {
        path: PredictorState(
            instructions=predictor.signature.instructions,
            fields=tuple(predictor.signature.fields),
            demos=tuple(json.loads(canonical_json(dict(d))) for d in predictor.demos),
        )
        for path, predictor in program.named_predictors()
    }
    return hypers, predictors


def save_artifact(artifact: Artifact, path: Path) -> Path:
    """Write a sealed artifact and return its path."""
    return write_atomically(path, artifact.sealed().model_dump_json(indent=2) + "\n")


def load_artifact(path: Path) -> Artifact:
    """Read an artifact and check that nobody changed it.

    Raises:
        ArtifactError: Missing, truncated, changed, or written by a newer release.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"cannot read the artifact {path}: {error.strerror}"
        raise ArtifactError(msg) from error
    return parse_artifact(content, str(path))


def parse_artifact(content: bytes, where: str) -> Artifact:
    """Read an artifact's content and check that nobody changed it.

    Args:
        content: Of the file.
        where: What messages call it.

    Raises:
        ArtifactError: Truncated, changed, or written by a newer release.
    """
    try:
        data = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        msg = f"{where} is truncated or not an artifact (not valid JSON); export it again"
        raise ArtifactError(msg) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > Artifact.current_version:
        msg = (
            f"{where} has format version {version} and this release reads up to "
            f"{Artifact.current_version}; upgrade lift-sys"
        )
        raise ArtifactError(msg)
    try:
        artifact = Artifact.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        msg = f"{where} is not an artifact of this release: {field}: {first['msg']}"
        raise ArtifactError(msg) from error
    if not artifact.intact:
        msg = f"{where} was changed after it was exported (its SHA-256 differs); export it again"
        raise ArtifactError(msg)
    return artifact


def build_program(artifact: Artifact, sandbox: Sandbox) -> Program:
    """Return the program an artifact describes.

    Raises:
        ArtifactError: It was made for other signatures, hypers or wire forms than this release's.
    """
    program = _blank(artifact, sandbox)
    if artifact.wire_version != WIRE_VERSION:
        msg = f"the artifact's IR wire version is {artifact.wire_version}, ours is {WIRE_VERSION}"
        raise ArtifactError(f"{msg}; compile it again with this release")
    try:
        set_hypers(program, artifact.hypers)
    except ConfigError as error:
        msg = f"the artifact does not fit this release's program: {error}"
        raise ArtifactError(msg) from error
    missing = hypers_of(program).keys() - artifact.hypers.keys()
    if missing:
        msg = f"the artifact lacks the hyper {min(missing)!r} of this release; compile it again"
        raise ArtifactError(msg)
    predictors = dict(program.named_predictors())
    if predictors.keys() != artifact.predictors.keys():
        msg = "the artifact was made for other stages than this release's; compile it again"
        raise ArtifactError(msg)
    for path, state in artifact.predictors.items():
        _restore(predictors[path], path, state)
    return program


def _blank(artifact: Artifact, sandbox: Sandbox) -> Program:
    if artifact.program == "SpecToCode":
        return SpecToCode(sandbox)
    members = {found[1] for path in artifact.predictors if (found := _MEMBER.match(path))}
    return Ensemble([SpecToCode(sandbox) for _ in members] or [SpecToCode(sandbox)])


def _restore(predictor: dspy.Predict, path: str, state: PredictorState) -> None:
    fields = tuple(predictor.signature.fields)
    if fields != state.fields:
        msg = (
            f"the artifact was made for another signature of {path}: it has "
            f"{', '.join(state.fields)}; this release has {', '.join(fields)}; compile it again"
        )
        raise ArtifactError(msg)
    predictor.signature = predictor.signature.with_instructions(state.instructions)
    predictor.demos = [dict(demo) for demo in state.demos]
