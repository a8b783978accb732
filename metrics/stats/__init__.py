"""Statistics that every printed figure passes through: intervals, paired tests, and their power."""

from __future__ import annotations

from metrics.stats.bootstrap import BootstrapComparison, compare_rollouts
from metrics.stats.calibration import Bin, Calibration
from metrics.stats.paired import Comparison, compare, correct, holm, p_text
from metrics.stats.power import (
    POWER,
    minimum_detectable,
    passes_to_clear,
    power,
    tasks_needed,
    tasks_to_clear,
)
from metrics.stats.rates import ALPHA, Difference, Rate, pass_at_k, pass_hat_k

__all__ = [
    "ALPHA",
    "POWER",
    "Bin",
    "BootstrapComparison",
    "Calibration",
    "Comparison",
    "Difference",
    "Rate",
    "compare",
    "compare_rollouts",
    "correct",
    "holm",
    "minimum_detectable",
    "p_text",
    "pass_at_k",
    "pass_hat_k",
    "passes_to_clear",
    "power",
    "tasks_needed",
    "tasks_to_clear",
]
