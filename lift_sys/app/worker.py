"""Joining a study: as the process that begins it, or as one of those that help.

Owns how a process comes to its run in a database, and what a helping one does: the whole search,
as all others do it, and nothing of what comes after. The final table and the artifact are made by
the process that began the study.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lift_sys.app.bench import open_bench
from lift_sys.app.data import Data, load_data
from lift_sys.app.database import Database
from lift_sys.app.finding import search_jointly
from lift_sys.app.job import Job
from lift_sys.app.progress import Progress
from lift_sys.app.shared_run import SHARED_SLOTS, SharedRun, basis_of
from lift_sys.app.store import RunDirectory
from lift_sys.config import JOINT
from lift_sys.errors import ConfigError
from lift_sys.record import digest
from lift_sys.sandbox.base import Sandbox
from optimizers.joint import JointSearch


@dataclass(frozen=True)
class Meeting:
    """Where the processes of a study meet.

    Attributes:
        storage: Address of the database.
        study: Name of the study.
        slots: Tasks that all processes together run at the same time; ``None`` leaves it to the
            study.
    """

    storage: str
    study: str
    slots: int | None = None

    @classmethod
    def of(cls, storage: str | None, study: str | None, slots: int | None) -> Meeting | None:
        """Return where to meet, if the options name a place.

        Raises:
            ConfigError: They name half of one.
        """
        if storage and study:
            return cls(storage, study, slots)
        if storage or study or slots:
            msg = "a shared study needs both --storage URL and --study NAME; --slots is for it only"
            raise ConfigError(msg)
        return None


@contextmanager
def opened_run(job: Job, runs: Path, meeting: Meeting | None) -> Iterator[RunDirectory]:
    """Open the run of a job: its directory, or a shared study that is begun or joined.

    Raises:
        ConfigError: The study is of another job, or of other code or data, or the job has what
            belongs to one process: containers, or an optimizer other than the joint search.
        StoreError: Database or disk do not answer.
    """
    config, data = job.config, job.data
    if meeting is None:
        yield RunDirectory(job.place(runs))
        return
    if config.optimizer != JOINT:
        msg = f"the optimizer {config.optimizer!r} works in one process; share a joint search"
        raise ConfigError(msg)
    if config.executor.kind != "local":
        msg = "workers of a shared study execute its tasks; give either containers or --storage"
        raise ConfigError(msg)
    database = Database(meeting.storage)
    # A directory of its own: what the same job left on this machine alone is not this study's.
    place = runs / f"study-{digest([str(database), meeting.study])[:12]}"
    with closing(SharedRun(job.place(place), database, meeting.study)) as run:
        run.begin(config, basis_of(dict(data.hashes)), meeting.slots or SHARED_SLOTS)
        # At once: a worker that joins now would end by the budget of an earlier start.
        run.allow(run.allowance().model_copy(update={"budget": config.budget}))
        yield run


@contextmanager
def joined_run(meeting: Meeting, folder: Path) -> Iterator[tuple[SharedRun, Data]]:
    """Join a study that another process began.

    Args:
        meeting: Where.
        folder: For files of this process alone.

    Raises:
        ConfigError: There is no such study, or it has other code or data.
        StoreError: Database or disk do not answer.
    """
    with closing(SharedRun(folder, Database(meeting.storage), meeting.study)) as run:
        data = load_data(run.config)
        run.begin(run.config, basis_of(dict(data.hashes)))
        yield run, data


def work(run: SharedRun, data: Data, sandbox: Sandbox, progress: Progress) -> JointSearch:
    """Help with a study until its search is over, and return the search.

    Raises:
        BudgetSpent: Before a trial was complete.
        LiftError: A model, database, backend or sandbox failure. What was done is kept.
    """
    job = Job.of(run.config, data, sandbox)
    search, _ = search_jointly(open_bench(job, run, sandbox, progress))
    return search
