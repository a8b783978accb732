"""What the commands do, free of words and options: resolve, choose.

Owns the steps between the command line and the packages, so that they can be called without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lift_sys.app.export import build_program, load_artifact
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.sandbox.base import Sandbox
from programs.ensemble import Program
from programs.presets import make_program
from programs.stages import named_models

EXPECTED_FULL_TRIALS = 4
"""Trials' worth of tasks that a search runs before its token budget is spent, for the first guess
of the time left."""


def resolve(path: Path | None, overrides: dict[str, Any]) -> RunConfig:
    """Return the job that a file and options describe.

    Raises:
        ConfigError: The file cannot be read, a field is unknown or has a wrong value, or the
            optimizer cannot do the job.
    """
    base: dict[str, Any] = {}
    if path is not None:
        try:
            base = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"cannot read the configuration {path}: {error.strerror}"
            raise ConfigError(msg) from error
        except ValueError as error:
            msg = f"the configuration {path} is not JSON: {error}"
            raise ConfigError(msg) from error
    given = {key: value for key, value in overrides.items() if value is not None}
    for parts in ("budget", "executor"):
        if isinstance(base, dict) and isinstance(base.get(parts), dict) and parts in given:
            given[parts] = {**base[parts], **given[parts]}
    try:
        config = RunConfig.model_validate({**base, **given})
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(str(part) for part in first["loc"]) if first else "the document"
        why = first["msg"] if first else str(error)
        msg = f"the configuration{f' {path}' if path else ''} is wrong at {where}: {why}"
        raise ConfigError(msg) from error
    catalogue.get(config.model)

    from lift_sys.app.teleprompting import check_optimizer  # noqa: PLC0415 - heavy

    check_optimizer(config)
    return config


def read_budget(options: Sequence[str]) -> dict[str, str] | None:
    """Read ``KEY=VALUE`` options; ``None`` where there are none.

    Raises:
        ConfigError: One names no limit of a budget, or has no value.
    """
    limits = tuple(Budget.model_fields)
    read: dict[str, str] = {}
    for option in options:
        key, _, value = (part.strip() for part in option.partition("="))
        if key not in limits or not value:
            msg = f"--budget {option!r} is not KEY=VALUE with a key of: {', '.join(limits)}"
            raise ConfigError(msg)
        read[key] = value
    return read or None


def make_budget(options: Sequence[str]) -> Budget:
    """Return the budget that ``KEY=VALUE`` options describe; without any there is no limit.

    Raises:
        ConfigError: One names no limit, or its value cannot be one.
    """
    try:
        return Budget.model_validate(read_budget(options) or {})
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"--budget is wrong at {first['loc'][0]}: {first['msg']}"
        raise ConfigError(msg) from error


def read_executor(
    kind: str | None, containers: int | None, *, unsafe: bool
) -> dict[str, Any] | None:
    """Return what options say of the executor; ``None`` where they say nothing."""
    said = {"kind": kind, "containers": containers, "unsafe": unsafe or None}
    return {name: value for name, value in said.items() if value is not None} or None


@dataclass(frozen=True)
class Chosen:
    """A program to run.

    Attributes:
        program: With its demos and hypers.
        name: What to call it.
        model: Id of its model; stages may name others.
        path: Of its artifact; ``None`` for a preset.
    """

    program: Program
    name: str
    model: str
    path: Path | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of all its models."""
        return tuple(dict.fromkeys((self.model, *named_models(self.program))))


def choose_program(
    artifact: Path | None, preset: str | None, model: str, sandbox: Sandbox
) -> Chosen:
    """Return the program of an artifact or a preset.

    Raises:
        ConfigError: Neither or both of artifact and preset, or no such preset.
        ArtifactError: The artifact cannot be used.
    """
    if (artifact is None) == (preset is None):
        msg = "give either an artifact or --preset, not both and not neither"
        raise ConfigError(msg)
    if artifact is not None:
        loaded = load_artifact(artifact)
        program = build_program(loaded, sandbox)
        return Chosen(program, artifact.stem, loaded.model.id, artifact)
    catalogue.get(model)
    return Chosen(make_program(str(preset), sandbox), str(preset), model)
