"""The end of a job: its winner beside the baselines, on the test set if that may be opened.

Owns which programs and which tasks the final table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dspy

from lift_sys.app import gate
from lift_sys.app.data import Data
from lift_sys.app.export import Artifact, Opening
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, summarise
from lift_sys.config import RunConfig
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from optimizers.evaluate import Evaluator
from optimizers.rows import Row
from programs.presets import make_program

DIRECT, ZERO_SHOT, WINNER = "direct", "zero-shot IR", "compiled winner"
GIVEN = "as given"
"""What the table calls the program that a caller gave."""
FINAL = "final table"


def usual_baselines(sandbox: Sandbox) -> dict[str, dspy.Module]:
    """Return what the table sets beside a winner where no caller gave a program."""
    return {DIRECT: make_program("direct", sandbox), ZERO_SHOT: make_program("single", sandbox)}


def before_final(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of pool and search: what a task has cost so far is theirs."""
    return (row for row in rows if row.label not in {DIRECT, ZERO_SHOT, GIVEN, WINNER})


@dataclass(frozen=True)
class Final:
    """The tasks of the final table and what they are called.

    Attributes:
        label: What the report calls them.
        data_sha256: Of their file.
        tasks: In the order in which they run.
        is_test: Whether they are of a test set.
    """

    label: str
    data_sha256: str
    tasks: Sequence[Task]
    is_test: bool

    @classmethod
    def of(cls, config: RunConfig, data: Data, *, opened: bool) -> Final:
        """Return the test set where it is open or needs no opening, else the dev tasks."""
        if data.test and (opened or not gate.holds_test_tasks(data.test)):
            name = config.test_data
            return cls(name, data.hashes[name], data.test, is_test=True)
        name = config.dev_data
        label = f"{name} (the winner was chosen on it)"
        return cls(label, data.hashes[name], data.dev, is_test=False)

    @property
    def for_winner(self) -> int:
        """How many tasks the winner is still to be run on: on dev tasks it has been run."""
        return len(self.tasks) if self.is_test else 0


def open_final(
    artifact: Artifact | None, config: RunConfig, data: Data, ledger: gate.Ledger | None
) -> Opening | None:
    """Open the test set for a job's winner; the same job again finds it open."""
    if artifact is None or ledger is None or not gate.holds_test_tasks(data.test):
        return None
    sha256 = data.hashes[config.test_data]
    past = gate.known_result(artifact, sha256, ledger)
    return past or gate.open_once(artifact, config.test_data, sha256, ledger)


def close_final(
    opening: Opening | None, report: Report, ledger: gate.Ledger | None
) -> Opening | None:
    """Note what the test set gave, unless that is noted already."""
    if opening is None or ledger is None or opening.passed is not None:
        return opening
    rate = report.results[-1].rate
    return gate.close(opening, rate.passed, rate.total, ledger)


def run_final(
    final: Final,
    programs: Mapping[str, dspy.Module],
    evaluator: Evaluator,
    progress: Progress,
) -> dict[str, Sequence[Row]]:
    """Run the baselines and the winner, and return the rows of each, in the order of the table."""
    progress.begin(FINAL, len(programs) * len(final.tasks))
    tables: dict[str, Sequence[Row]] = {}
    for name, program in programs.items():
        tables[name] = list(evaluator.run(program, final.tasks, name))
        progress.say(f"  {name}: {summarise(name, tables[name]).rate}")
    progress.end()
    return tables
