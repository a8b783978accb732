"""What the commands do, free of words and options: resolve, choose, answer.

Owns the steps between the command line and the packages, so that they can be called without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
from pydantic import ValidationError

from lift_sys.app import environment
from lift_sys.app.export import build_program, load_artifact
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.lm import build_lm
from lift_sys.inference.usage import Usage, recording
from lift_sys.ir.models import SpecIR
from lift_sys.ir.render import render
from lift_sys.sandbox.base import Sandbox
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

EXPECTED_FULL_TRIALS = 4
"""Trials' worth of tasks that a search runs before its token budget is spent, for the first guess
of the time left."""


def resolve(path: Path | None, overrides: dict[str, Any]) -> RunConfig:
    """Return the job that a file and options describe.

    Raises:
        ConfigError: The file cannot be read, or a field is unknown or has a wrong value.
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
    try:
        config = RunConfig.model_validate({**base, **given})
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(str(part) for part in first["loc"]) if first else "the document"
        why = first["msg"] if first else str(error)
        msg = f"the configuration{f' {path}' if path else ''} is wrong at {where}: {why}"
        raise ConfigError(msg) from error
    catalogue.get(config.model)
    return config


@dataclass(frozen=True)
class Chosen:
    """A program to run.

    Attributes:
        program: With its demos and hypers.
        name: What to call it.
        model: Id of its model.
        path: Of its artifact; ``None`` for a preset.
    """

    program: SpecToCode
    name: str
    model: str
    path: Path | None = None


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


@dataclass(frozen=True)
class Answer:
    """What a program made of one spec.

    Attributes:
        entry_point: Name of the function.
        ir: The IR, if one was made.
        code: The function, if one was written.
        failure: Why there is none.
        agreement: How many executable assertions held, in words.
        usage: Tokens and engine seconds.
    """

    entry_point: str
    ir: SpecIR | None
    code: str | None
    failure: str | None
    agreement: str
    usage: Usage

    def as_text(self) -> str:
        """Return it for a person."""
        parts = ["## IR\n", render(self.ir) if self.ir else "none (this program makes no IR)"]
        parts += ["\n## Code\n"]
        parts += [f"```python\n{self.code}\n```" if self.code else f"no code: {self.failure}"]
        parts += [
            f"\n{self.agreement} {self.usage.completion_tokens} tokens out, "
            f"{self.usage.seconds:.1f} s in the model."
        ]
        return "\n".join(parts) + "\n"

    def as_json(self) -> str:
        """Return it for a machine, as one line."""
        document = {
            "entry_point": self.entry_point,
            "ir": self.ir.model_dump(mode="json") if self.ir else None,
            "code": self.code,
            "failure": self.failure,
            "agreement": self.agreement,
            "usage": self.usage.model_dump(mode="json"),
        }
        return json.dumps(document, ensure_ascii=False) + "\n"


def answer(chosen: Chosen, spec: str, name: str | None) -> Answer:
    """Run a program on one spec.

    Raises:
        ConfigError: The spec or the name cannot be used.
        ModelError: The model cannot be had.
        InfrastructureError: The backend or the sandbox failed.
    """
    if name is not None and not name.isidentifier():
        msg = f"{name!r} is not a Python identifier; give --name a word such as count_words"
        raise ConfigError(msg)
    lm = build_lm(chosen.model, environment.models_dir())
    with recording() as calls, dspy.context(lm=lm):
        prediction = chosen.program(spec=spec, entry_point=name)
    return Answer(
        entry_point=prediction.entry_point,
        ir=prediction.ir,
        code=prediction.code,
        failure=prediction.failure,
        agreement=_agreement(prediction),
        usage=Usage.of(calls),
    )


def _agreement(prediction: dspy.Prediction) -> str:
    chosen = next((a for a in prediction.attempts if a.code == prediction.code), None)
    if chosen is None or chosen.agreement is None or prediction.ir is None:
        return ""
    checked = chosen.agreement.stated_total + chosen.agreement.derived_total
    held = chosen.agreement.stated_held + chosen.agreement.derived_held
    return f"{held} of {checked} executable assertions hold on the code."
