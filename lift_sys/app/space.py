"""The space of a job: what its configuration makes of the program's hypers and of the demo sets.

Owns what is refused about space and objectives before anything is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lift_sys.app.models import models_of_job
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.sandbox.base import Sandbox
from optimizers.joint import DEMOS
from optimizers.pools import Pool
from optimizers.space import SearchSpace, make_space
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


def check_costs(config: RunConfig) -> None:
    """Refuse to keep USD low where every model of the job is free.

    Raises:
        ConfigError: It names the models.
        ModelError: One is unknown.
    """
    models = models_of_job(config)
    if "usd" in config.costs and all(catalogue.get(model).price.free for model in models):
        msg = (
            f"{', '.join(models)} costs no USD here, so that tells programs apart by nothing; "
            "keep tokens or seconds low"
        )
        raise ConfigError(msg)


def search_space(config: RunConfig, pool: Pool) -> SearchSpace:
    """Return what a job searches: demo sets first, then hypers in the order of its file.

    What a hyper needs to make a difference is known: chance, or demos to choose from.
    """
    needs: dict[str, dict[str, Sequence[Any]]] = {
        path: {DEMOS: pool.names[1:]} for path in config.space if ".demo_" in path
    }
    if not any(path.endswith(".temperature") for path in config.space):  # no stage samples itself
        needs["n"] = {"temperature": [t for t in config.space["temperature"] if t]}
    choices: dict[str, Sequence[Any]] = {DEMOS: pool.names, **config.space}
    choices.setdefault("select", ("assertions",))
    return make_space(choices, needs)
