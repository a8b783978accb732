"""A caller's own model: how a job keeps and pays for its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy
from dspy.clients.backend_selection import CLIENT_KEYS
from dspy.lm15 import LM15Error, request_from_openai_chat

from lift_sys.app.own_identity import identity_of
from lift_sys.config import Budget
from lift_sys.errors import ConfigError
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.plain import PlainEngine
from lift_sys.inference.replay import Calls, ReplayEngine
from lift_sys.inference.samples import sampled

NO_REQUEST = CLIENT_KEYS | {"n", "rollout_id", "num_generations", "prompt_cache"}
"""Settings of a model that DSPy itself takes out of a request."""

ANY = [{"role": "user", "content": "any"}]


def check_counted(lm: dspy.LM, budget: Budget, costs: Sequence[str]) -> None:
    """Refuse a budget that nobody can keep with this model, and costs that nobody can compare.

    Raises:
        ConfigError: They are in USD, or no engine can be asked for the model's answers.
    """
    counted = _is_counted(lm)
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
    """Return a model whose answers are stored and paid for, where it can be asked by an engine."""
    if not _is_counted(lm):
        return lm
    engine: Any = lm.engine if _has_engine(lm) else PlainEngine(lm)
    # DSPy refuses settings of a connection beside an engine; cache and retries are those of that.
    left_out = dict.fromkeys(CLIENT_KEYS & lm.kwargs.keys())
    own = ReplayEngine(engine, identity_of(lm), calls)
    paid = sampled(lm, own, cache=False, num_retries=0, **left_out)
    pay_from(account, paid, lm.model, None)
    return paid


def _has_engine(lm: dspy.LM) -> bool:
    return hasattr(getattr(lm, "engine", None), "complete")


def _is_counted(lm: dspy.LM) -> bool:
    """Tell whether a model's answers can be counted: only those that an engine can be asked for."""
    return _has_engine(lm) or (type(lm) is dspy.LM and _takes_requests(lm))


def _takes_requests(lm: dspy.LM) -> bool:
    """Tell whether a request can say all that DSPy sends for a model."""
    settings = {k: value for k, value in lm.kwargs.items() if k not in NO_REQUEST and value}
    try:
        request_from_openai_chat({"model": lm.model, "messages": ANY, **settings})
    except (LM15Error, TypeError, ValueError):
        return False
    return str(lm.model_type) != "text"
