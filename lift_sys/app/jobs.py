"""What the commands do, free of words and options: resolve, choose, evaluate.

Owns the steps between the command line and the packages, so that they can be called without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lift_sys.app import environment, gate
from lift_sys.app.assemble import with_test
from lift_sys.app.export import build_program, load_artifact, save_artifact
from lift_sys.app.models import model_source
from lift_sys.app.report import Report, build_report
from lift_sys.app.run import make_evaluator
from lift_sys.app.store import RunDirectory
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.files import file_sha256
from lift_sys.inference import catalogue
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task, load_tasks
from optimizers.evaluate import Row
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import named_models

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
        model: Id of its model; stages may name others.
        path: Of its artifact; ``None`` for a preset.
    """

    program: SpecToCode
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


@dataclass(frozen=True)
class TaskSet:
    """A task set to measure on.

    Attributes:
        name: A shipped set or a path.
        tasks: Its tasks, perhaps fewer than all.
        sha256: Of its file.
        is_test: Whether it was behind the gate.
    """

    name: str
    tasks: tuple[Task, ...]
    sha256: str
    is_test: bool


def load_set(name: str, limit: int | None, *, open_test: bool) -> TaskSet:
    """Read a task set; one with test tasks only if it is opened on purpose, and whole.

    Raises:
        ConfigError: It holds test tasks, and the flag was not given or a limit was.
        DatasetError: It is missing or broken.
    """
    path = environment.data_file(name)
    tasks = load_tasks(path)
    gate.require_flag(name, tasks, given=open_test)
    is_test = gate.holds_test_tasks(tasks)
    if is_test and limit is not None:
        msg = f"{name!r} is a test set, which is opened whole: leave --limit out"
        raise ConfigError(msg)
    return TaskSet(name, tuple(tasks[:limit]), file_sha256(path), is_test)


def evaluate(
    chosen: Chosen,
    data: TaskSet,
    sandbox: Sandbox,
    runs: Path,
    on_row: Callable[[Row, bool], None] | None = None,
) -> Report:
    """Run a program over a task set and return its figures.

    Executed tasks are kept, so that an interrupted measurement goes on where it stopped. An
    artifact on a test set is noted in the ledger, and in the artifact, before and after.

    Args:
        chosen: The program.
        data: The task set.
        sandbox: Where generated code runs.
        runs: Where run directories are; measurements with one model on one set share one.
        on_row: Called with each executed task and whether it was reused.

    Raises:
        ConfigError: The artifact has been run on this test set before.
        LiftError: A data, model, disk, backend or sandbox failure.
    """
    ledger = gate.Ledger(environment.ledger_file())
    gated = chosen.path if data.is_test else None
    if gated is not None:
        artifact = load_artifact(gated)
        opening = gate.open_once(artifact, data.name, data.sha256, ledger)
        opened = artifact.model_copy(update={"openings": (*artifact.openings, opening)})
        save_artifact(opened, gated)
    run = RunDirectory(runs / f"eval-{chosen.model}-{data.sha256[:12]}")
    with run.locked():
        models = model_source(run.calls())
        evaluator = make_evaluator(chosen.model, sandbox, run.rows(), models, on_row)
        program = chosen.program.with_models(models)
        rows = list(evaluator.run(program, data.tasks, chosen.name))
    report = build_report(data.name, data.sha256, {chosen.name: rows}, rows)
    if gated is not None:
        rate = report.results[0].rate
        closed = gate.close(opening, rate.passed, rate.total, ledger)
        save_artifact(with_test(artifact, report, closed), gated)
    return report
