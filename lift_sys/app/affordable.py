"""The least that a job must be allowed: one evaluation of all its tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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

    The rates are the shipped ones, so that the answer is the same wherever it is asked.

    Args:
        config: The job.
        data: Its task sets.
        start: The program that is evaluated first; ``None`` where nothing is known of it.
        joint: Whether a space is searched.

    Raises:
        ConfigError: It says which limit is too low, and how much is needed at least.
    """
    each = _first(config, start, joint=joint) if start else None
    models = models_of_job(config)
    if joint:
        cost, takes = _evaluation(models, data.dev, each)
        _require("search_tokens", config.search_tokens, cost.tokens_out, takes)
    check_budget(config.budget, models, data.dev, each)


def check_budget(
    budget: Budget, models: Iterable[str], tasks: Sequence[Task], each: Estimate | None = None
) -> None:
    """Refuse a budget below one evaluation.

    Args:
        budget: Of a job.
        models: Ids of all models that it may ask.
        tasks: Those that are evaluated.
        each: Estimate of one of them; without one, or where it is unknown, an answer has at least
            one token, and a prompt the words of its spec.

    Raises:
        ConfigError: It says which limit is too low, and how much is needed at least.
    """
    cost, takes = _evaluation(models, tasks, each)
    if budget.tokens is not None:
        tokens = cost.tokens_out + cost.tokens_in
        _require("the budget in tokens", budget.tokens, tokens, takes)
    if budget.usd is not None and cost.usd > budget.usd:
        msg = (
            f"the budget is {budget.usd:g} USD, and one evaluation of all tasks {takes} "
            f"{_rounded_up(cost.usd)}; give at least that, or fewer tasks"
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


def _evaluation(
    models: Iterable[str], tasks: Sequence[Task], each: Estimate | None
) -> tuple[Cost, str]:
    """Return what one evaluation costs, or less than that, and how that is said."""
    if each and not each.unknown:
        return each.low * len(tasks), "takes about"
    words = sum(len(task.spec.split()) for task in tasks)
    rate = StageRate(calls=1, tokens_out=len(tasks), tokens_in=words, seconds=0.0)
    prices = [cost_of(model_id, rate).usd for model_id in models]
    # Less than an unknown price is nothing.
    usd = min((0.0 if math.isnan(price) else price for price in prices), default=0.0)
    return Cost(tokens_out=rate.tokens_out, tokens_in=rate.tokens_in, usd=usd), "takes at least"


def _rounded_up(usd: float) -> str:
    return f"{math.ceil(usd * 10_000) / 10_000:.4f}"


def _require(name: str, limit: int, needed: float, takes: str) -> None:
    least = math.ceil(needed)
    if limit < least:
        msg = (
            f"{name} is {limit:,}, and one evaluation of all tasks {takes} {least:,}; give"
            " at least that, or fewer tasks"
        )
        raise ConfigError(msg)
