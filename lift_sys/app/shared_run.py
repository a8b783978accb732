"""A job that many processes work on: where they meet, and on what they must agree.

Owns joining a study in a database. Its processes run one and the same search, each of them whole,
and share what is expensive: rows, answers, the pool and the finished trials. A lease says who
makes which of them; studies share those on answers alone, so that none waits for another's rows.
So no trial belongs to a process: one that dies leaves leases that run out, and the trials are
those of a search in a single process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import optuna
import sqlalchemy as sa
from optuna.exceptions import OptunaError
from optuna.trial import TrialState
from pydantic import ValidationError

from lift_sys.app import environment
from lift_sys.app.database import CALLS, ROWS, Database
from lift_sys.app.ledger_file import Allowance
from lift_sys.app.sql_ledger import SqlLedger
from lift_sys.app.sql_store import LEASE_SECONDS, SqlEntries, SqlFiles, SqlLeases
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError, StoreError
from lift_sys.inference.leases import once
from lift_sys.inference.replay import StoredCall
from lift_sys.record import Versioned
from optimizers.objectives import Direction
from optimizers.rows import Row
from optimizers.sharing import Sharing
from optimizers.trials import Trial

Text = TypeVar("Text", RunConfig, Allowance)
CONFIG, BASIS, SLOTS, ALLOWANCE = "config.json", "basis.json", "slots", "allowance.json"
SHARED_SLOTS = 8
"""Tasks that all processes of a study together run at the same time, where a job does not say."""


class Basis(Versioned):
    """What the processes of a study must have in common.

    Attributes:
        code: SHA-256 of the code and data of lift-sys.
        data: SHA-256 of each task file, by name.
        versions: Of Python and of the libraries that decide what is tried, by name.
    """

    current_version: ClassVar[int] = 1

    code: str
    data: dict[str, str]
    versions: dict[str, str]

    def refuse_other(self, mine: Basis, where: str) -> None:
        """Refuse a process that would do something else.

        Raises:
            ConfigError: The sentence says what is different.
        """
        names = ("code", "data", "versions")
        other = [name for name in names if getattr(self, name) != getattr(mine, name)]
        if other:
            what = " and ".join(f"other {name}" for name in other)
            msg = f"{where} was begun with {what} than are here; use the same, or another study"
            raise ConfigError(msg)


class SharedRun(RunDirectory):
    """A run whose rows, answers, pool and trials are in a database.

    Args:
        path: Where this process writes its report and artifact.
        database: Where all processes meet.
        study: Name of the study.
        lease_seconds: After how many seconds without a sign of life others take over.

    Raises:
        StoreError: The directory cannot be made, or the database does not answer.
    """

    def __init__(
        self,
        path: Path,
        database: Database,
        study: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        super().__init__(path)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._database = database
        self._study = study
        self._lease_seconds = lease_seconds
        self._files = SqlFiles(database, study)
        self._opened = ExitStack()
        self._leases = self.call_leases = self.leases()
        self._storage: optuna.storages.RDBStorage | None = None
        self._told = 0

    def __str__(self) -> str:
        return f"the study {self._study!r} in {self._database}"

    def begin(self, config: RunConfig, basis: Basis, slots: int = SHARED_SLOTS) -> None:
        """Begin the study, or go on with it, also for another wish.

        Args:
            config: The job.
            basis: What is here.
            slots: Tasks that all processes together run at the same time, at least 1. The order
                of trials depends on it, so that of the beginning stays.

        Raises:
            ConfigError: It is of another job, or of other code or data.
            StoreError: The database does not answer, or a newer release began the study.
        """
        first_allowance = Allowance(budget=config.budget)
        config = config.model_copy(update={"budget": Budget()})
        self._files.settle(ALLOWANCE, first_allowance.model_dump_json())
        self._files.settle(CONFIG, config.model_dump_json(indent=2))
        self._files.settle(SLOTS, str(slots))
        mine, other = (c.searched() for c in (config, self.config))
        if mine != other:
            fields = ", ".join(name for name in mine if mine[name] != other[name])
            msg = f"{self} is of another job (it differs in {fields}); give it another name"
            raise ConfigError(msg)
        first = Basis.model_validate_json(self._files.settle(BASIS, basis.model_dump_json()))
        first.refuse_other(basis, str(self))

    @property
    def config(self) -> RunConfig:
        """The job that the study was begun with, without its budget, which may change as the wish.

        Raises:
            ConfigError: There is no such study.
            StoreError: A newer release wrote it.
        """
        text = self._files.read(CONFIG)
        if text is None:
            msg = f"there is no study {self._study!r} in {self._database}; begin it with: "
            msg += "lift optimize --storage URL --study NAME"
            raise ConfigError(msg)
        return self._read(RunConfig, text)

    def rows(self) -> SqlEntries[Row]:
        """Open the rows."""
        return SqlEntries(self._database, ROWS, self._study, Row)

    def calls(self) -> SqlEntries[StoredCall]:
        """Open the generated answers."""
        return SqlEntries(self._database, CALLS, self._study, StoredCall)

    def ledger(self) -> SqlLedger:
        """Open what the answers cost, whoever asked for them."""
        ledger = SqlLedger(self._database, self._study, self._leases)
        return self._opened.enter_context(closing(ledger))

    def allow(self, allowance: Allowance) -> None:
        """Set what the study may spend; all its processes heed it from their next call on."""
        self._files.replace(ALLOWANCE, allowance.model_dump_json())

    def allowance(self) -> Allowance:
        """Return what the study may spend.

        Raises:
            StoreError: The database does not answer, or a newer release wrote it.
        """
        text = self._files.read(ALLOWANCE)
        return self._read(Allowance, text) if text else Allowance()

    def leases(self, most: int | None = None, scope: str = "") -> SqlLeases:
        """Return leases in the database; see ``SqlLeases``.

        Args:
            most: How many this process holds at the same time; by default any number.
            scope: Of their keys.
        """
        leases = SqlLeases(self._database, scope=scope, most=most, seconds=self._lease_seconds)
        return self._opened.enter_context(closing(leases))

    def sharing(self, most: Callable[[], int]) -> Sharing:
        """Return how tasks are shared with the other processes of the study.

        Args:
            most: Tells how many this one executes at the same time.
        """
        slots = self._files.read(SLOTS) or str(SHARED_SLOTS)
        return Sharing(self.leases(most(), scope=f"{self._study}/"), int(slots))

    def agree(self, name: str, make: Callable[[], str]) -> str:
        """Return a text that one process made for all, and keep it as a file here.

        Raises:
            StoreError: The database does not answer, or the disk refused.
        """
        text = once(
            self._leases,
            f"file/{self._study}/{name}",
            lambda: self._files.read(name),
            lambda: self._files.settle(name, make()),
        )
        self.write(name, text)
        return text

    def study(self, directions: Sequence[Direction]) -> optuna.Study:
        """Return this process's own copy of the study, with the trials that are finished.

        Raises:
            StoreError: The database does not answer.
        """
        self._stored = self._open_study(directions)
        self._replica = optuna.create_study(study_name=self._study, directions=directions)
        with self._storing():
            finished = self._finished()
            for name, value in self._stored.user_attrs.items():
                self._replica.set_user_attr(name, value)
        self._replica.add_trials(finished)
        self._told = len(finished)
        return self._replica

    def tell(self, trial: Trial) -> None:
        """Add a finished trial of this process's copy to the study, once among all processes.

        Raises:
            StoreError: The database does not answer.
        """
        number = trial.number
        if number >= self._told:
            name = f"trial/{self._study}/{number}"
            once(self._leases, name, lambda: self._known(number), lambda: self._add(number))
            self._told = number + 1

    def close(self) -> None:
        """Give back what is held."""
        self._opened.close()
        if self._storage is not None:
            self._storage.engine.dispose()
        self._database.close()

    def _read(self, kind: type[Text], text: str) -> Text:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            msg = f"{self} was not begun by this release; install the one that did"
            raise StoreError(msg) from error

    def _known(self, number: int) -> bool | None:
        with self._storing():
            return len(self._finished()) > number or None

    def _add(self, number: int) -> bool:
        replica = self._replica
        own = [t for t in replica.get_trials(deepcopy=False) if t.state.is_finished()]
        with self._storing():
            for name, value in replica.user_attrs.items():
                self._stored.set_user_attr(name, value)
            self._stored.add_trial(own[number])
        return True

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return self._stored.get_trials(deepcopy=False, states=states)

    def _open_study(self, directions: Sequence[Direction]) -> optuna.Study:
        while True:  # tables that two processes make at the same moment are an error to both
            with self._leases.hold("tables") as held, self._storing():
                if held:
                    self._storage = optuna.storages.RDBStorage(
                        self._database.url, engine_kwargs={"pool_pre_ping": True}
                    )
                    return optuna.create_study(
                        study_name=self._study,
                        storage=self._storage,
                        directions=directions,
                        load_if_exists=True,
                    )

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise self._database.lost(error) from error
        except OptunaError as error:
            cause = error.__cause__
            raise self._database.lost(cause if isinstance(cause, Exception) else error) from error


def basis_of(data_hashes: dict[str, str]) -> Basis:
    """Return what this process would work with."""
    return Basis(
        code=environment.whole_digest(), data=data_hashes, versions=environment.search_versions()
    )
