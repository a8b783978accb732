"""What is to be optimized: a program, tasks, a metric, limits.

Owns what a job of the command line and one of ``lift_sys.optimize`` have in common and in what they
differ, what identifies a job, and what of it is refused before anything is spent.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dspy
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.app import environment
from lift_sys.app.affordable import check_evaluation
from lift_sys.app.containers import check_executor
from lift_sys.app.data import Data
from lift_sys.app.final import GIVEN, usual_baselines
from lift_sys.app.models import model_source, models_of_job, weights
from lift_sys.app.own_checks import check_own_optimizer
from lift_sys.app.own_identity import identity_of
from lift_sys.app.own_model import check_counted
from lift_sys.app.own_program import Metric, taken_fields
from lift_sys.app.pool import teach
from lift_sys.app.space import check_costs, check_own_hypers, check_space, check_temperatures
from lift_sys.app.spending import check_prices
from lift_sys.app.teleprompting import check_optimizer
from lift_sys.config import JOINT, RunConfig
from lift_sys.files import file_name
from lift_sys.record import digest
from lift_sys.sandbox.base import ClosedSandbox, Sandbox
from lift_sys.tasks import Task
from metrics.adapters import to_example
from programs.ensemble import Ensemble
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import Models


@dataclass(frozen=True)
class Job:
    """What is to be optimized.

    Attributes:
        config: Limits and space.
        data: The tasks.
        program: What the optimizer starts from; never changed.
        start: What a report calls it.
        optimizer: ``joint``, a name in ``RECIPES``, or a teleprompter.
        baselines: What the final table sets beside the winner, by name.
        own: Whether the program, or something else of it, is what a caller gave.
        metric: Scores an answer; ``None`` runs its ``code`` on the hidden cases.
        threshold: A task passes an own metric from this score on.
        lm: The model; ``None`` for the one that the configuration names.
    """

    config: RunConfig
    data: Data
    program: dspy.Module
    start: str
    optimizer: str | Teleprompter
    baselines: Mapping[str, dspy.Module]
    own: bool = False
    metric: Metric | None = None
    threshold: float = 1.0
    lm: dspy.LM | None = None

    @classmethod
    def of(cls, config: RunConfig, data: Data, sandbox: Sandbox) -> Job:
        """Return the job that a configuration alone describes.

        Raises:
            ConfigError: There is no such preset.
        """
        start = "single" if config.optimizer == JOINT else config.preset
        program = make_program(start, sandbox)
        return cls(config, data, program, start, config.optimizer, usual_baselines(sandbox))

    @classmethod
    def of_caller(
        cls,
        program: dspy.Module,
        config: RunConfig,
        data: Data,
        optimizer: str | Teleprompter,
        metric: tuple[Metric | None, float],
        lm: dspy.LM | None,
    ) -> Job:
        """Return a job on what a caller gives; its metric comes with a threshold."""
        start, given = type(program).__name__, {GIVEN: program}
        return cls(config, data, program, start, optimizer, given, True, *metric, lm)

    @functools.cached_property
    def identity(self) -> str:
        """SHA-256 of everything beside the configuration that decides what an answer is worth."""
        if not self.own:
            return weights(self.config.model) + environment.source_digest()
        return digest(
            [
                identity_of(self.program, *([self.metric] if self.metric else [])),
                self.program.dump_state(),
                self.threshold,
                self.optimizer_name,
                identity_of(self.lm) if self.lm else weights(self.config.model),
                environment.source_digest(),
            ]
        )

    @property
    def optimizer_name(self) -> str:
        """What the optimizer is called: by its name, or that of its class."""
        own = isinstance(self.optimizer, Teleprompter)
        return type(self.optimizer).__name__ if own else str(self.optimizer)

    @property
    def exportable(self) -> bool:
        """Whether an artifact can say all of it: the program, the metric and the model are ours."""
        ours = isinstance(self.program, SpecToCode)
        return ours and self.metric is None and self.lm is None

    def place(self, runs: Path) -> Path:
        """Return where this job's files are: the same job on the same data has the same place."""
        asked = self.config.content_hash(dict(self.data.hashes))
        if self.own:
            return runs / f"own-{digest([asked, self.identity])[:12]}"
        return runs / f"{file_name(self.config.model)}-{asked[:12]}"

    def ready(self, winner: dspy.Module) -> dspy.Module:
        """Return a program that can be called, whose answers are not stored in the run any more."""
        models = model_source()
        ready = with_models(winner, models)
        ready = winner.deepcopy() if ready is winner else ready
        ready.set_lm(self.lm or models(self.config.model))
        return ready

    def check(self) -> None:
        """Refuse what cannot be run, before anything is spent.

        Raises:
            ConfigError: It says what and why.
        """
        config = self.config
        check_executor(config)
        check_optimizer(config)
        if self.own:
            taken_fields(self.program)
            check_own_hypers(self.program)
            check_own_optimizer(self.optimizer, self.program)
        check_space(config, self.program)
        if not self.own:
            check_temperatures(config)
        for teacher in config.teachers:
            teach(teacher, ClosedSandbox())
        if self.lm is None:
            check_costs(config)
            check_prices(config.budget, models_of_job(config))
        else:
            check_counted(self.lm, config.budget, config.costs)
        known = isinstance(self.program, SpecToCode) and self.lm is None
        start = self.program if known else None
        check_evaluation(config, self.data, start, joint=self.optimizer == JOINT)

    def example(self, task: Task) -> dspy.Example:
        """Return a task as an example with the inputs that the program takes."""
        example = to_example(task)
        known = set(example.keys())
        return example.with_inputs(*(f for f in taken_fields(self.program) if f in known))


def with_models(program: dspy.Module, models: Models) -> dspy.Module:
    """Return a program with the models that its stages may name; a caller's own as it is."""
    ours = isinstance(program, SpecToCode | Ensemble)
    return program.with_models(models) if ours else program
