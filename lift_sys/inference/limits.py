"""A budget against what is taken of it."""

from __future__ import annotations

from lift_sys.config import Budget
from lift_sys.inference.ledger import Spend


def reached(budget: Budget, taken: Spend) -> str | None:
    """Return the name of a limit that is reached."""
    for name, limit in budget.model_dump().items():
        if limit is not None and getattr(taken, name) >= limit:
            return str(name)
    return None


def share_of(budget: Budget, taken: Spend, tokens: int) -> Budget:
    """Return what is left of a budget, with at most so many tokens where those are limited.

    Args:
        budget: The limits, of which none is reached.
        taken: What is spent and reserved.
        tokens: At least 1 where tokens are limited.
    """
    left: dict[str, float] = {
        name: limit - getattr(taken, name)
        for name, limit in budget.model_dump().items()
        if limit is not None
    }
    if "tokens" in left:
        left["tokens"] = min(left["tokens"], tokens)
    return Budget.model_validate(left)
