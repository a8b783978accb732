"""Strategy hyperparameters as DSPy parameters.

Owns ``Hyper``, a searchable value that belongs to a module. DSPy's ``Parameter`` is what
``named_parameters``, ``dump_state``, ``load_state`` and every teleprompter's copy pick up, so a
hyper survives save, load and compile, which plain attributes and ``Predict.config`` do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dspy
from dspy.predict.parameter import Parameter

from lift_sys.errors import ConfigError

Value = str | int | float | bool


class Suggests(Protocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """Return one of the choices."""
        ...


def _nothing_else(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class Space:
    """The values a hyper may take, in a fixed order.

    Attributes:
        choices: At least one value. Types may be mixed, e.g. a word that stands for another
            setting beside numbers; no two choices are equal.
        also: Tells of other values that may be taken, though a search does not try them by itself.
    """

    choices: tuple[Value, ...]
    also: Callable[[Any], bool] = _nothing_else

    def check(self, value: Any, name: str) -> Value:
        """Return the value if it may be taken: a choice with exactly its type, or another one.

        Raises:
            ConfigError: It is not.
        """
        for choice in self.choices:
            same_type = type(choice) is type(value) or (
                isinstance(choice, float) and type(value) is int
            )
            if same_type and choice == value:
                return choice
        if self.also(value):
            taken: Value = value
            return taken
        allowed = ", ".join(repr(c) for c in self.choices)
        msg = f"{value!r} is not a value of the hyper {name!r}; choose one of: {allowed}"
        raise ConfigError(msg)

    def suggest(self, trial: Suggests, name: str) -> Value:
        """Ask the trial for one of the choices."""
        suggested: Value = trial.suggest_categorical(name, self.choices)
        return self.check(suggested, name)


class Hyper(Parameter):
    """A searchable value of a module.

    Attributes:
        name: What messages call it.
        space: The values it may take.
        value: The current one.
    """

    def __init__(
        self,
        name: str,
        default: Value,
        *choices: Value,
        also: Callable[[Any], bool] = _nothing_else,
    ) -> None:
        self.name = name
        self.space = Space((default, *choices), also)
        self.value: Value = default

    def set(self, value: Any) -> None:
        """Change the value.

        Raises:
            ConfigError: It is not in the space.
        """
        self.value = self.space.check(value, self.name)

    def reset(self) -> None:
        """Keep the value: teleprompters reset demos, not the strategy."""

    def dump_state(self, json_mode: bool = True) -> dict[str, Value]:  # noqa: ARG002 (DSPy's call)
        """Return what ``load_state`` reads."""
        return {"value": self.value}

    def load_state(self, state: dict[str, Any], **_: object) -> None:
        """Restore a dumped value.

        Raises:
            ConfigError: It is not in the space.
        """
        self.set(state["value"])


def hypers_of(module: dspy.Module) -> dict[str, Hyper]:
    """Return every hyper of a module by its dotted path, in definition order."""
    return {path: p for path, p in module.named_parameters() if isinstance(p, Hyper)}


def set_hypers(module: dspy.Module, values: dict[str, Any]) -> None:
    """Set hypers by path.

    Raises:
        ConfigError: A path does not exist or a value is not in its space; nothing is changed.
    """
    hypers = hypers_of(module)
    for path, value in values.items():
        if path not in hypers:
            msg = f"there is no hyper {path!r}; this program has: {', '.join(hypers)}"
            raise ConfigError(msg)
        hypers[path].space.check(value, path)
    for path, value in values.items():
        hypers[path].set(value)
