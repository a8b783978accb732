"""Measuring programs on a task set: what ``lift eval`` does, free of words and options.

Owns the task set that is measured on, the gate in front of test sets, and the order of the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lift_sys.app import environment, gate
from lift_sys.app.assemble import with_test
from lift_sys.app.bench import make_evaluator
from lift_sys.app.cost import whole_cost
from lift_sys.app.equal_tokens import match_tokens
from lift_sys.app.export import Artifact, Opening, load_artifact, save_artifact
from lift_sys.app.lineup import Lineup
from lift_sys.app.models import model_source
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report, TokenMatch, build_report
from lift_sys.app.report_files import write_report
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown
from lift_sys.errors import ConfigError
from lift_sys.files import file_name, file_sha256
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task, load_tasks
from metrics.stats import Rate
from optimizers.evaluate import Evaluator
from optimizers.rows import Row
from programs.ensemble import Program
from programs.stages import Models


@dataclass(frozen=True)
class TaskSet:
    """A task set to measure on.

    Attributes:
        name: A shipped set or a path.
        tasks: Its tasks, perhaps fewer than all.
        sha256: Of its file.
        is_test: Whether it was behind the gate.
        limit: Most tasks that were asked for; ``None`` for all.
    """

    name: str
    tasks: tuple[Task, ...]
    sha256: str
    is_test: bool
    limit: int | None = None


def load_set(name: str, limit: int | None, *, open_test: bool) -> TaskSet:
    """Read a task set; one with test tasks only if it is opened on purpose, and whole.

    Raises:
        ConfigError: It holds test tasks, and the flag was not given or a limit was.
        DatasetError: It is missing or broken.
    """
    path = environment.data_file(name)
    tasks = load_tasks(path)
    gate.require_flag(name, tasks, given=open_test)
    is_test = gate.holds_test_tasks(tasks)
    if is_test and limit is not None:
        msg = f"{name!r} is a test set, which is opened whole: leave --limit out"
        raise ConfigError(msg)
    return TaskSet(name, tuple(tasks[:limit]), file_sha256(path), is_test, limit)


def directory_of(model: str, data: TaskSet, runs: Path) -> Path:
    """Return the run directory that all measurements with one model on one set share."""
    return runs / f"eval-{file_name(model)}-{data.sha256[:12]}"


class Measurement:
    """One measurement of a lineup.

    Args:
        lineup: The programs.
        data: The task set.
        sandbox: Where generated code runs.
        runs: Where run directories are; measurements with one model on one set share one.
        progress: What shows how it goes.
    """

    def __init__(
        self, lineup: Lineup, data: TaskSet, sandbox: Sandbox, runs: Path, progress: Progress
    ) -> None:
        self._lineup = lineup
        self._data = data
        self._sandbox = sandbox
        self._directory = directory_of(lineup.model, data, runs)
        self._progress = progress
        self._every: dict[str, Row] = {}

    def run(self) -> Report:
        """Run the programs and return their figures, which the run directory keeps too.

        Executed tasks are kept, so that an interrupted measurement goes on where it stopped. An
        artifact on a test set is noted in the ledger, and in the artifact, before and after.

        Raises:
            ConfigError: The artifact has been run on this test set before.
            LiftError: A data, model, disk, backend or sandbox failure.
        """
        opened = self._open()
        directory = RunDirectory(self._directory)
        with directory.locked():
            calls = directory.calls()
            models = model_source(calls)
            evaluator = make_evaluator(
                self._lineup.model, self._sandbox, directory.rows(), models, self._progress.row
            )
            report = self._measure(evaluator, models)
            every = list(self._every.values())
            report = report.model_copy(update=whole_cost(every, kept=calls))
            write_report(directory, report, markdown(report, detailed=True))
        self._close(opened, report)
        return report

    def _measure(self, evaluator: Evaluator, models: Models) -> Report:
        lineup, data = self._lineup, self._data

        def run(name: str, program: Program) -> Sequence[Row]:
            self._progress.begin(name, len(data.tasks))
            rows = list(evaluator.run(program.with_models(models), data.tasks, name))
            self._progress.end()
            self._every |= {row.key: row for row in rows}
            if len(lineup.programs) > 1 or lineup.spenders:
                passed = Rate.of(sum(row.score.passed for row in rows), len(rows))
                self._progress.say(f"  {name}: {passed}")
            return rows

        tables = {name: run(name, program) for name, program in lineup.programs.items()}
        pairs, matches = list(lineup.pairs), list[TokenMatch]()
        for name in lineup.spenders:
            match, rows = match_tokens(
                name, lineup.programs[name], tables[name], run, self._sandbox
            )
            matches.append(match)
            tables.setdefault(match.direct, rows)
            pairs.append((match.direct, name))
        if lineup.artifact is not None:
            last = list(lineup.programs)[-1]
            tables[last] = tables.pop(last)
        every = list(self._every.values())
        pairs = list(dict.fromkeys(pairs))
        return build_report(data.name, data.sha256, tables, every, pairs, matches)

    def _open(self) -> tuple[Path, Artifact, Opening] | None:
        """Note that the artifact is about to be run on a test set, if that is so."""
        path = self._lineup.artifact if self._data.is_test else None
        if path is None:
            return None
        artifact = load_artifact(path)
        opening = gate.open_once(artifact, self._data.name, self._data.sha256, _ledger())
        opened = artifact.model_copy(update={"openings": (*artifact.openings, opening)})
        save_artifact(opened, path)
        return path, artifact, opening

    def _close(self, opened: tuple[Path, Artifact, Opening] | None, report: Report) -> None:
        if opened is None:
            return
        path, artifact, opening = opened
        rate = report.results[-1].rate
        closed = gate.close(opening, rate.passed, rate.total, _ledger())
        save_artifact(with_test(artifact, report, closed), path)


def _ledger() -> gate.Ledger:
    return gate.Ledger(environment.ledger_file())
