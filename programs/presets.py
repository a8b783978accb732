"""Named points of the strategy space.

Owns the table of presets. To add one: a line here.
"""

from __future__ import annotations

from lift_sys.errors import ConfigError
from lift_sys.sandbox.base import Sandbox
from programs.hypers import Value, set_hypers
from programs.spec_to_code import SpecToCode

PRESETS: dict[str, dict[str, Value]] = {
    "direct": {"ir_detail": "none", "code_sees": "spec"},
    "single": {},
    "chain_of_thought": {"reason": True},
    "best_of_n": {"n": 3, "temperature": 0.5, "select": "quality"},
    "self_consistency": {"n": 5, "temperature": 0.7, "select": "agreement"},
    "refine": {"temperature": 0.3, "refine_iterations": 2},
    "hybrid": {"reason": True, "n": 3, "temperature": 0.5, "select": "quality"},
    "adaptive": {
        "n": 6,
        "temperature": 0.7,
        "greedy_first": True,
        "ir_from": 4,
        "extract_assertions": "on",
        "select": "assertions",
        "weights": "calibrated",
        "stop_at": 0.6,
    },
}
"""Hyper values that differ from the defaults, by preset."""


def make_program(preset: str, sandbox: Sandbox) -> SpecToCode:
    """Return a fresh program with the preset's hypers.

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in PRESETS:
        msg = f"there is no preset {preset!r}; choose one of: {', '.join(PRESETS)}"
        raise ConfigError(msg)
    program = SpecToCode(sandbox)
    set_hypers(program, PRESETS[preset])
    return program
