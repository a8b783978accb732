"""Which settings of a job one of DSPy's optimizers takes, and what of them is refused."""

from __future__ import annotations

from lift_sys.app.space import asked_predictors
from lift_sys.config import JOINT, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.sandbox.base import ClosedSandbox
from optimizers.recipes import RECIPES, Settings
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

ONLY_JOINT = (
    "demo_sets",
    "teachers",
    "demos_for",
    "instructions",
    "search_tokens",
    "drop_alpha",
    "reevaluate",
    "space",
    "first_points",
    "objectives",
    "wish",
)
"""Fields of a job that only the joint search reads."""


def check_optimizer(config: RunConfig) -> None:
    """Refuse an optimizer that there is not, and fields that mean nothing to the one there is.

    Raises:
        ConfigError: It says which, or that the optimizer needs more trials or demos.
    """
    name = config.optimizer
    if name not in (JOINT, *RECIPES):
        msg = f"there is no optimizer {name!r}; choose one of: {', '.join((JOINT, *RECIPES))}"
        raise ConfigError(msg)
    idle = ("preset",) if name == JOINT else ONLY_JOINT
    for field in idle:
        default = RunConfig.model_fields[field].get_default(call_default_factory=True)
        if getattr(config, field) != default:
            msg = f"the optimizer {name!r} does not use {field!r}; leave it out of the job"
            raise ConfigError(msg)
    if config.prompt_model and not _writes(config):
        msg = (
            f"nothing asks the prompt_model {config.prompt_model!r} for instructions; leave it out"
        )
        raise ConfigError(msg)
    if name == JOINT:
        return
    if not config.pool_tasks:
        msg = f"{name} works on train tasks: pool_tasks must be at least 1"
        raise ConfigError(msg)
    predictors = predictors_of(config, make_program(config.preset, ClosedSandbox()))
    settings = Settings(trials=config.trials, demos=config.demos)
    RECIPES[name].check(name, settings, len(predictors))


def _writes(config: RunConfig) -> bool:
    """Tell whether instructions are written in a job."""
    joint = config.optimizer == JOINT
    return bool(config.instructions) if joint else RECIPES[config.optimizer].writes


def predictors_of(config: RunConfig, program: SpecToCode) -> tuple[str, ...]:
    """Return the paths of the predictors that a program asks: its hypers stay as they are."""
    return asked_predictors(config.model_copy(update={"space": {}}), program)
