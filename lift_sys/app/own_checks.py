"""What a caller of ``lift_sys.optimize`` may give: refused here where it is of the wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.errors import ConfigError
from optimizers.recipes import RECIPES
from programs.spec_to_code import SpecToCode


def check_given(program: Any, metric: Any, model: Any, options: Mapping[str, Any]) -> None:
    """Refuse what is no program, no metric, no model or no optimizer.

    Raises:
        ConfigError: It says what was given in place of what.
    """
    _require("program", program, (dspy.Module, str), "a dspy.Module or the name of a preset")
    _require("model", model, (dspy.BaseLM, str), "a dspy.LM or an id of `lift models list`")
    _require(
        "optimizer", options.get("optimizer", ""), (Teleprompter, str),
        "a name or a dspy.Teleprompter",
    )  # fmt: skip
    if metric is not None and not callable(metric):
        msg = f"metric is {_kind(metric)}; it must be a function of example, prediction and trace"
        raise ConfigError(msg)


def check_own_optimizer(optimizer: str | Teleprompter, program: dspy.Module) -> None:
    """Refuse an optimizer that a caller's program cannot be given to.

    Raises:
        ConfigError: It needs a program that chooses its own demos.
    """
    if optimizer == "knn_few_shot" and not isinstance(program, SpecToCode):
        others = ", ".join(name for name in RECIPES if name != optimizer)
        msg = (
            "knn_few_shot needs a program that shows the demos nearest to a spec, as the presets "
            f"do; for another choose one of: joint, {others}"
        )
        raise ConfigError(msg)


def _require(name: str, given: Any, kinds: tuple[type, ...], wanted: str) -> None:
    if not isinstance(given, kinds):
        msg = f"{name} is {_kind(given)}; it must be {wanted}"
        raise ConfigError(msg)


def _kind(given: Any) -> str:
    return (
        f"the class {given.__name__}"
        if isinstance(given, type)
        else f"of type {type(given).__name__}"
    )
