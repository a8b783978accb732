"""The space of a job: what its configuration makes of the program's hypers and of the demo sets.

Owns what is refused about space and objectives before anything is spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from lift_sys.app.models import models_of_job
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.sandbox.base import Sandbox
from optimizers.pools import DEMOS, Pool, stage_of
from optimizers.space import SearchSpace, make_space
from programs.conditions import idle_with
from programs.hypers import hypers_of
from programs.presets import make_program


def check_space(config: RunConfig, sandbox: Sandbox) -> None:
    """Refuse a space that the program does not have, before anything is spent.

    Raises:
        ConfigError: It names what is not there, or no temperatures.
    """
    hypers = hypers_of(make_program("single", sandbox))
    for path, choices in config.space.items():
        if path not in hypers:
            msg = f"the space names {path!r}; this program has: {', '.join(hypers)}"
            raise ConfigError(msg)
        for choice in choices:
            hypers[path].space.check(choice, path)
    if "temperature" not in config.space:
        msg = "the space must say which temperatures to try"
        raise ConfigError(msg)


def check_costs(config: RunConfig) -> None:
    """Refuse to keep USD low where every model of the job is free, or a price is not known.

    Raises:
        ConfigError: It names the models.
        ModelError: One is unknown.
    """
    if "usd" not in config.costs:
        return
    models = models_of_job(config)
    asked = [info for model in models for info in catalogue.answering(model)]
    unknown = [info.id for info in asked if info.price is None]
    if unknown:
        msg = f"what {unknown[0]} costs is not known; write its price into your models.toml"
        raise ConfigError(msg)
    if all(info.price and info.price.free for info in asked):
        msg = (
            f"{', '.join(models)} costs no USD here, so that tells programs apart by nothing; "
            "keep tokens or seconds low"
        )
        raise ConfigError(msg)


def search_space(config: RunConfig, pool: Pool, program: dspy.Module) -> SearchSpace:
    """Return what a job searches: the pool first, then hypers in the order of its file.

    What needs others to make a difference comes after them. Of what can make none, because other
    hypers have values of the program that are not searched, only the first choice is left.

    Args:
        config: The job.
        pool: Demo sets and instructions.
        program: Has the values of hypers that are not searched.
    """
    of_pool = pool.dimensions(per_predictor=config.demos_for == "predictor")
    choices: dict[str, Sequence[Any]] = {**of_pool, **config.space}
    choices.setdefault("select", ("assertions",))
    needs: dict[str, dict[str, Sequence[Any]]] = {}
    for path, offered in choices.items():
        needed = _needed(_idle_with(path, config, pool), {**_own(program), **choices})
        if needed is None:
            choices[path] = offered[:1]
        elif len(offered) > 1:
            needs[path] = needed
    return make_space(choices, needs)


def asked_predictors(config: RunConfig, program: dspy.Module) -> tuple[str, ...]:
    """Return the paths of the predictors that some program of a job's space asks, in order."""
    offers = {**_own(program), **config.space}
    paths = [path for path, _ in program.named_predictors()]
    return tuple(
        path
        for path in paths
        if _needed(idle_with(stage_of(path), config.space), offers) is not None
    )


def _own(program: dspy.Module) -> dict[str, Sequence[Any]]:
    return {path: (hyper.value,) for path, hyper in hypers_of(program).items()}


def _idle_with(path: str, config: RunConfig, pool: Pool) -> dict[str, Sequence[Any]]:
    """Return the values of other dimensions with which this one makes no difference."""
    idle: dict[str, Sequence[Any]] = dict(idle_with(path, config.space))
    stage, _, own = path.partition(".")
    if own.startswith("demo_"):
        demos = DEMOS if config.demos_for == "program" else f"{stage}.{DEMOS}"
        shown = pool.names_for(stage)[1:]
        idle[demos] = [name for name in pool.names if name not in shown]
    return idle


def _needed(
    idle: Mapping[str, Sequence[Any]], offers: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]] | None:
    """Return the values of others with which something matters, where they can have others.

    Returns:
        ``None`` where it never matters.
    """
    needed: dict[str, Sequence[Any]] = {}
    for path, values in idle.items():
        # A stage that no demo set has demos for has no dimension of its own.
        offered = offers.get(path, ())
        left = [value for value in offered if value not in values]
        if not left:
            return None
        if len(left) < len(offered):
            needed[path] = left
    return needed
