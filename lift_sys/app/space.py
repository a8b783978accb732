"""The space of a job: what its configuration makes of the program's hypers and of the demo sets."""

from __future__ import annotations

from typing import Any

from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.sandbox.base import Sandbox
from optimizers.joint import DEMOS
from optimizers.pools import Pool
from programs.hypers import hypers_of
from programs.presets import make_program


def check_space(config: RunConfig, sandbox: Sandbox) -> None:
    """Refuse a space that the program does not have, before anything is spent.

    Raises:
        ConfigError: It names what is not there, or no temperatures.
    """
    hypers = hypers_of(make_program("single", sandbox))
    for path, choices in config.space.items():
        if path not in hypers:
            msg = f"the space names {path!r}; this program has: {', '.join(hypers)}"
            raise ConfigError(msg)
        for choice in choices:
            hypers[path].space.check(choice, path)
    if "temperature" not in config.space:
        msg = "the space must say which temperatures to try"
        raise ConfigError(msg)


def needs(config: RunConfig, pool: Pool) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Return what each hyper needs to make a difference: chance, or demos to choose from."""
    of_demos = {path: (DEMOS, pool.names[1:]) for path in config.space if ".demo_" in path}
    if any(path.endswith(".temperature") for path in config.space):  # a stage may sample by itself
        return of_demos
    warm = tuple(t for t in config.space["temperature"] if t)
    return {"n": ("temperature", warm), **of_demos}


def first_points(config: RunConfig, pool: Pool) -> tuple[dict[str, Any], ...]:
    """Return the configured first points, completed and kept inside the space."""
    space = {DEMOS: pool.names, **config.space}
    return tuple(
        {
            path: point[path] if point.get(path) in choices else choices[0]
            for path, choices in space.items()
        }
        for point in config.first_points
    )
