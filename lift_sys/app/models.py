"""The models of a job: which ones its programs name, and getting each of them once.

Owns the way from the id of a model that a stage names to the model itself.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lift_sys.app import environment
from lift_sys.config import RunConfig
from lift_sys.inference import catalogue
from lift_sys.inference.lm import build_lm, chain_lm
from lift_sys.record import digest
from programs.stages import PROGRAM, Models

if TYPE_CHECKING:
    import dspy

    from lift_sys.inference.budget import Account
    from lift_sys.inference.leases import Leases
    from lift_sys.inference.replay import Calls


def model_source(
    calls: Calls | None = None, account: Account | None = None, leases: Leases | None = None
) -> Models:
    """Return what fetches and loads models by id, each when it is first asked for.

    The members of a chain are the models that their own ids give: answers, budget and leases of the
    one are those of the other.

    Args:
        calls: Where answers are kept and looked up; by default nowhere.
        account: What answers that are not there are paid from; by default nothing.
        leases: Of all who share these answers; by default of this process alone.
    """

    @functools.cache
    def give(model_id: str) -> dspy.LM:
        # What is not known is refused by ``build_lm``.
        if catalogue.known(model_id) and (info := catalogue.get(model_id)).members:
            catalogue.get_servable(model_id)
            return chain_lm(info, [give(member) for member in info.members])
        keys = environment.keys_of(catalogue.all_models())
        lm = build_lm(model_id, environment.models_dir(), keys=keys, calls=calls)
        if leases is not None:
            lm.engine.leases = leases
        if account is not None:
            from lift_sys.inference.budget import pay_from  # noqa: PLC0415 - heavy

            pay_from(account, lm, model_id, catalogue.get(model_id).price)
        return lm

    return give


def models_of_job(config: RunConfig) -> tuple[str, ...]:
    """Return the ids of all models that a job may ask, its own first."""
    spaces = (choices for path, choices in config.space.items() if path.endswith(".model"))
    named = (str(choice) for choices in spaces for choice in choices if choice != PROGRAM)
    teachers = (teacher.model for teacher in config.teachers if teacher.model)
    writer = (config.prompt_model,) if config.prompt_model else ()
    return tuple(dict.fromkeys((config.model, *named, *teachers, *writer)))


def priced(config: RunConfig) -> bool:
    """Tell whether the prices of all models that a job may ask are known."""
    infos = (info for model in models_of_job(config) for info in catalogue.answering(model))
    return all(info.price is not None for info in infos)


def weights(model_id: str) -> str:
    """Return what identifies the weights that a program may use: its own model's and named ones.

    Which of them its stages name is part of the program.

    Raises:
        ModelError: There is no such model.
    """
    named = {info.id: catalogue.identity(info.id) for info in catalogue.all_models()}
    return digest([catalogue.identity(model_id), named])
