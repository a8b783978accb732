"""The least that a job must be allowed: one evaluation of all dev tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lift_sys.app.data import Data
from lift_sys.app.estimate import NO_DEMOS, Cost, Estimate, Estimator, cost_of, sampled
from lift_sys.app.models import models_of_job
from lift_sys.app.rates import StageRate, shipped_rates
from lift_sys.app.space import search_space
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.tasks import Task
from programs.spec_to_code import SpecToCode


def check_evaluation(
    config: RunConfig, data: Data, start: SpecToCode | None, *, joint: bool
) -> None:
    """Refuse a job that could not pay for its first evaluation of all dev tasks.

    The rates are the shipped ones, so that the answer is the same wherever it is asked. Where there
    are none, an answer has at least one token, and a prompt the words of its spec.

    Args:
        config: The job.
        data: Its task sets.
        start: The program that is evaluated first; ``None`` where nothing is known of it.
        joint: Whether a space is searched.

    Raises:
        ConfigError: It says which limit is too low, and how much is needed at least.
    """
    each = _first(config, start, joint=joint) if start else None
    if each and not each.unknown:
        trial, takes = each.low * len(data.dev), "takes about"
    else:
        trial, takes = _least(models_of_job(config), data.dev), "takes at least"
    if joint:
        _require("search_tokens", config.search_tokens, trial.tokens_out, takes)
    _check(config.budget, trial, takes)


def check_least(budget: Budget, models: Sequence[str], tasks: Sequence[Task]) -> None:
    """Refuse a budget in which no model could give one answer to each task.

    Raises:
        ConfigError: It says which limit is too low, and how much is needed at least.
    """
    _check(budget, _least(models, tasks), "takes at least")


def _check(budget: Budget, trial: Cost, takes: str) -> None:
    if budget.tokens is not None:
        tokens = trial.tokens_out + trial.tokens_in
        _require("the budget in tokens", budget.tokens, tokens, takes)
    if budget.usd is not None and trial.usd > budget.usd:
        msg = (
            f"the budget is {budget.usd:g} USD, and one evaluation of all dev tasks {takes} "
            f"{_rounded_up(trial.usd)}; give at least that, or fewer dev tasks"
        )
        raise ConfigError(msg)


def _first(config: RunConfig, start: SpecToCode, *, joint: bool) -> Estimate:
    """Estimate one task of the first evaluation; the cheapest there may be."""
    estimator = Estimator(config.model, shipped_rates(), start)
    if not joint:
        return estimator.program(start)
    space = search_space(config, NO_DEMOS, start)
    points = [space.complete(point) for point in config.first_points[:1]]
    costs = [estimator.point(point) for point in points or sampled(space, config.seed)]
    return min(costs, key=lambda cost: cost.low.tokens_out)


def _least(models: Sequence[str], tasks: Sequence[Task]) -> Cost:
    """Return less than what one answer to each task costs, whoever gives it."""
    words = sum(len(task.spec.split()) for task in tasks)
    rate = StageRate(calls=1, tokens_out=len(tasks), tokens_in=words, seconds=0.0)
    costs = [cost_of(model_id, rate) for model_id in models]
    return min(costs, key=lambda cost: 0.0 if math.isnan(cost.usd) else cost.usd)


def _rounded_up(usd: float) -> str:
    return f"{math.ceil(usd * 10_000) / 10_000:.4f}"


def _require(name: str, limit: int, needed: float, takes: str) -> None:
    least = math.ceil(needed)
    if limit < least:
        msg = (
            f"{name} is {limit:,}, and one evaluation of all dev tasks {takes} {least:,}; give"
            " at least that, or fewer dev tasks"
        )
        raise ConfigError(msg)
