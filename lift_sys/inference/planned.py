"""What the project's plan expects models to cost and to take.

Owns the figures, which reports show beside measured ones; nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Mapping

SOURCE = "the plan's Part 8, secondary metrics 5 and 6"
"""Where the figures are from."""

USD_PER_TASK: Mapping[str, float] = {
    "qwen2.5-coder-7b": 0.005,
    "qwen2.5-coder-32b": 0.015,
    "claude": 0.035,
}
"""By model; that of ``claude`` is with Claude for the IR stage."""

IR_SECONDS = (2.0, 5.0)
"""What writing an IR takes, in seconds, from and to."""

MOST_IR_SECONDS = 10.0
"""What writing an IR may take, in seconds."""
