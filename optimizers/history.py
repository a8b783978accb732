"""What a search keeps in its Optuna study, and whether a study is that of this search.

Owns the study's attributes. A trial is added once, when it is finished, so the storage never holds
half of one. It carries all that the trials after it depend on, so a search goes on without running
or reading anything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.exceptions import StorageInternalError

from lift_sys.errors import ConfigError, StoreError
from lift_sys.wish import Cost
from optimizers.sampling import frozen_trial
from optimizers.space import SearchSpace
from optimizers.trials import Told

_SEARCH = "search"
_TOLD = "told"


class History:
    """The finished trials of a study.

    Args:
        study: Made with ``directions`` of the costs; its storage makes the search resumable.
        space: What is searched.
        identity: What decides the trials besides, by name: equal for every part of one search.
        slots: Asked, when the study is new, how many slots the search is planned for.
        costs: What the search keeps low.

    Attributes:
        slots: How many slots the search was planned for when it began. The order of its trials
            depends on it, so it stays on a machine that has another number.

    Raises:
        ConfigError: The study is of another search.
        StoreError: The storage failed.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        identity: Mapping[str, str],
        slots: Callable[[], int],
        costs: Sequence[Cost] = (),
    ) -> None:
        self._study = study
        self._space = space
        self._costs = costs
        mine = {"space": space.fingerprint, **identity}
        with _storing(study):
            kept = study.user_attrs.get(_SEARCH)
            if kept is None and study.get_trials(deepcopy=False):
                msg = f"the study {study.study_name!r} was not made by this release; {_REMEDY}"
                raise ConfigError(msg)
            if kept is None:
                kept = {**mine, "slots": slots()}
                study.set_user_attr(_SEARCH, kept)
        other = [name for name in mine if kept.get(name) != mine[name]]
        if other:
            what = " and ".join(other)
            msg = f"the study {study.study_name!r} was made with different {what}; {_REMEDY}"
            raise ConfigError(msg)
        self.slots = int(kept["slots"])

    def told(self) -> list[Told]:
        """Return the finished trials, in order.

        Raises:
            StoreError: The storage failed.
        """
        with _storing(self._study):
            trials = self._study.get_trials(deepcopy=False)
        told = [Told.model_validate_json(trial.user_attrs[_TOLD]) for trial in trials]
        return sorted(told, key=lambda t: t.trial.number)

    def add(self, told: Told) -> None:
        """Keep a finished trial; it is stored when this returns.

        Raises:
            StoreError: The storage failed.
        """
        trial = frozen_trial(
            told.trial, self._space, self._costs, **{_TOLD: told.model_dump_json()}
        )
        with _storing(self._study):
            self._study.add_trial(trial)


_REMEDY = "begin a new study, or move the run directory away"


@contextmanager
def _storing(study: optuna.Study) -> Iterator[None]:
    try:
        yield
    except (OSError, StorageInternalError) as error:
        msg = (
            f"the storage of the study {study.study_name!r} failed ({error}); "
            "what was stored is kept: see to the storage and run again"
        )
        raise StoreError(msg) from error
