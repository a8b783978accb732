"""A caller's own model: how a job keeps and pays for its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy

from lift_sys.app.own_identity import identity_of
from lift_sys.config import Budget
from lift_sys.errors import ConfigError
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.replay import Calls, ReplayEngine


def check_counted(lm: dspy.LM, budget: Budget, costs: Sequence[str]) -> None:
    """Refuse a budget that nobody can keep with this model, and costs that nobody can compare.

    Raises:
        ConfigError: They are in USD, or the model has no engine whose answers are counted.
    """
    counted = _has_engine(lm)
    if budget.usd is not None or (budget != Budget() and not counted):
        msg = (
            f"what {lm.model} costs is not known here, so this budget cannot be kept; "
            "limit the trials"
        )
        raise ConfigError(msg)
    unknown = [cost for cost in costs if cost == "usd" or not counted]
    if unknown:
        msg = (
            f"what {lm.model} takes in {unknown[0]} is not known here, so programs cannot be "
            "compared by it; leave it out of objectives and wish"
        )
        raise ConfigError(msg)


def paid_model(lm: dspy.LM, calls: Calls, account: Account) -> dspy.LM:
    """Return a model whose answers are stored and paid for, where it has an engine of its own."""
    if not _has_engine(lm):
        return lm
    engine: Any = lm.engine
    paid = lm.copy(engine=ReplayEngine(engine, identity_of(lm), calls))
    pay_from(account, paid, lm.model, None)
    return paid


def _has_engine(lm: dspy.LM) -> bool:
    return hasattr(getattr(lm, "engine", None), "complete")
