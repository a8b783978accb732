"""Processes that work on one study: forked from one that has imported everything already.

    python -m tests.app.fleet URL FOLDER PROCESSES VICTIMS

Each runs the whole search, once all have joined. The first ones are victims: in their second task
they write ``stuck`` and wait to be killed. FOLDER/log gets a line for every process that joined,
every task begun and every row kept.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import dspy
import optuna

from lift_sys.app.database import ROWS, Database
from lift_sys.app.shared_run import SharedRun
from lift_sys.app.sql_store import SqlEntries
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch
from optimizers.rows import Row
from programs.hypers import set_hypers
from tests.optimizers.searching import CONFIG, EXAMPLES, POOL, Fake, Job, in_memory

LEASE_SECONDS = 2.0
STUCK_IN = 2


class Worker:
    """One process.

    Args:
        folder: Where its log is.
        victim: Whether it gets stuck.
    """

    def __init__(self, folder: Path, *, victim: bool) -> None:
        self._log = folder / "log"
        self._victim = victim
        self._job = Job(0, in_memory)

    def note(self, what: str, code: str, task_id: str) -> None:
        line = f"{what}\t{os.getpid()}\t{task_id}\t{code}\n"
        with self._log.open("ab", buffering=0) as log:
            log.write(line.encode())

    def score(self, task: Task, answer: dspy.Prediction) -> Score:
        self.note("begun", str(answer.code), task.id)
        if self._victim and self._job.executed + 1 == STUCK_IN:
            self.note("stuck", str(answer.code), task.id)
            time.sleep(600)
        if not self._victim:
            time.sleep(0.2)  # so that the victims come to have a task
        return self._job.score(task, answer)

    def wait_for(self, processes: int) -> None:
        self.note("joined", "", "")
        while self._log.read_text().count("joined") < processes:
            time.sleep(0.02)

    def run(self, url: str, folder: Path, processes: int) -> None:
        path = folder / str(os.getpid())
        with closing(SharedRun(path, Database(url), "s", lease_seconds=LEASE_SECONDS)) as run:
            no_model: Any = None
            rows = NotedRows(Database(url), ROWS, "s", Row)
            rows.worker = self
            evaluator = Evaluator(
                lambda: no_model, "m", self.score, rows, sharing=run.sharing(lambda: 1)
            )
            search = JointSearch(
                CONFIG, POOL, evaluator, run.study(["maximize"]), set_hypers, run.tell
            )
            self.wait_for(processes)
            search.compile(Fake(0), valset=EXAMPLES)


class NotedRows(SqlEntries[Row]):
    """Rows that tell when one is kept."""

    worker: Worker

    def put(self, entry: Row) -> None:
        super().put(entry)
        self.worker.note("kept", str(entry.code), entry.task_id)


def main(url: str, folder: Path, processes: int, victims: int) -> int:
    """Run the processes to their end, and return how many failed other than by being killed."""
    optuna.storages.RDBStorage(f"sqlite:///{folder}/warm.db").engine.dispose()  # imports much
    started = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                Worker(folder, victim=number < victims).run(url, folder, processes)
            except BaseException as error:  # noqa: BLE001 (a forked child must not return)
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        started.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
    return sum(code > 0 for code in codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
