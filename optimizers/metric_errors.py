"""What is told of a metric that raised: one sentence, in a search and in any other optimizer.

Owns its words. A metric is the caller's code, so nothing can be scored until they mend it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lift_sys.errors import ConfigError


def name_of(metric: Callable[..., Any]) -> str:
    """Return what messages call a metric: its name, or that of its class."""
    return getattr(metric, "__name__", type(metric).__name__)


def metric_raised(metric: Callable[..., Any], task_id: str, error: Exception) -> ConfigError:
    """Return what to raise where a metric raised on a task."""
    what = f"{type(error).__name__}: {error}"
    return ConfigError(
        f"the metric {name_of(metric)!r} raised an error on the task {task_id!r} ({what})"
    )
