"""The figures of an assessment: what each rung of the plan's ladder passed and cost.

Owns the record that ``lift assess --json`` prints and how it is made of executed tasks; pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

from lift_sys.app.assessment_words import (
    floor_doubt,
    next_step,
    tasks_needed,
    too_few,
    why_run,
    why_untried,
)
from lift_sys.app.measure import TaskSet
from lift_sys.app.report import PairedComparison, Result, paired, summarise
from lift_sys.app.rungs import Ladder, Point
from lift_sys.app.spending import BudgetUse
from lift_sys.inference import catalogue
from lift_sys.record import Record, Versioned
from metrics.stats import ALPHA, Difference, Rate, compare
from optimizers.assess import Cost, End, Reason, Rung, Thresholds
from optimizers.rows import Row


@dataclass(frozen=True)
class Tried:
    """A rung that the climb came to.

    Attributes:
        rung: The rung.
        reason: Why it was run.
        point: What it runs; ``None`` where the ladder has no model for it.
        rows: One for each task; none where it could not be run.
        obstacle: Why it could not be run.
    """

    rung: Rung
    reason: Reason
    point: Point | None
    rows: Sequence[Row] = ()
    obstacle: str | None = None

    @property
    def rate(self) -> Rate | None:
        """What it passed; ``None`` where it was not run."""
        if self.obstacle is not None:
            return None
        return Rate.of(sum(row.score.passed for row in self.rows), len(self.rows))

    @property
    def outcomes(self) -> dict[str, bool]:
        """Pass or fail by task id."""
        return {row.task_id: row.score.passed for row in self.rows}

    @property
    def cost(self) -> Cost:
        """What it costs per task."""
        usd, tasks = usd_of(self.rows), max(1, len(self.rows))
        each = None if usd is None else usd / tasks
        return Cost(each, sum(row.seconds for row in self.rows) / tasks)


class RungReport(Record):
    """One rung.

    Attributes:
        rung: Its name.
        state: Whether it was measured.
        why: Why it was, or why not.
        program: What it runs, as ``lift eval`` calls it; empty where the climb did not come to it.
        model: Ids of the models that it asks; likewise.
        command: The command that measures the same; likewise.
        result: Its figures; ``None`` where it was not measured.
        usd: Of all tasks; ``None`` where it was not measured or a price is not known.
        against_first: Difference of its rate to that of the first rung that was measured.
    """

    rung: Rung
    state: Literal["measured", "not run"]
    why: str
    program: str = ""
    model: str = ""
    command: str = ""
    result: Result | None = None
    usd: float | None = None
    against_first: Difference | None = None

    @property
    def tasks(self) -> int:
        """Tasks that were run."""
        return self.result.rate.total if self.result else 0

    @property
    def seconds(self) -> float:
        """Wall time per task, in seconds."""
        return self.result.seconds / self.tasks if self.result and self.tasks else 0.0

    @property
    def tokens_out(self) -> float:
        """Generated tokens per task."""
        return self.result.usage.completion_tokens / self.tasks if self.result else 0.0

    @property
    def tokens_in(self) -> float:
        """Prompt tokens per task, cached ones included."""
        return self.result.usage.prompt_tokens / self.tasks if self.result else 0.0

    @property
    def usd_each(self) -> float | None:
        """USD per task; ``None`` where that is not known."""
        return None if self.usd is None else self.usd / self.tasks

    def stage_seconds(self, *stages: str) -> float:
        """Return the time in the model that some stages take per task, in seconds."""
        made = self.result.stages if self.result else ()
        return sum(s.usage.seconds for s in made if s.stage in stages) / max(1, self.tasks)


class Assessment(Versioned):
    """The plan's decision tree, decided by measurement.

    Attributes:
        data: Name of the task set.
        data_sha256: Of its file.
        tasks: How many were run.
        target: Share of tasks that a rung must show.
        floor: Share below which the plan skips to Claude.
        uses: Expected in production a month; ``None`` where nobody said.
        models: The ladder's, by the name of their option.
        rungs: All of them, in the order of the ladder.
        order: Those that were measured, in the order in which they were.
        comparisons: Each measured rung with the one before it; corrected together.
        option: What the plan's choice between a larger model (A) and best-of-N (B) came to;
            ``None`` where not both were measured.
        verdict: Why the climb ended.
        stopped_at: At which rung; with ``exhausted`` the best one.
        tasks_needed: Tasks that would show the rate of ``stopped_at`` above the target, with
            ``more tasks``.
        next_step: What to do, in one sentence.
        doubts: What these tasks cannot tell.
        budget: What was spent of it; ``None`` where there was none.
    """

    current_version: ClassVar[int] = 1

    data: str
    data_sha256: str
    tasks: int
    target: float
    floor: float
    uses: int | None
    models: dict[str, str | None]
    rungs: tuple[RungReport, ...]
    order: tuple[Rung, ...]
    comparisons: tuple[PairedComparison, ...]
    option: Rung | None
    verdict: Reason
    stopped_at: Rung | None
    tasks_needed: int | None
    next_step: str
    doubts: tuple[str, ...]
    budget: BudgetUse | None = None

    def rung(self, name: Rung) -> RungReport:
        """Return the report of a rung."""
        return next(r for r in self.rungs if r.rung is name)


@dataclass(frozen=True)
class Question:
    """What an assessment is asked.

    Attributes:
        ladder: The models.
        thresholds: What is decided by.
        uses: Expected in production a month; ``None`` where nobody said.
    """

    ladder: Ladder
    thresholds: Thresholds
    uses: int | None = None


def usd_of(rows: Sequence[Row]) -> float | None:
    """Return what some tasks cost, in USD; ``None`` where the price of a model is not known."""
    costs = [catalogue.usd(call) for row in rows for call in row.calls]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def shown_better(first: Tried, second: Tried) -> bool:
    """Tell whether a paired test shows the second better than the first."""
    found = compare(first.outcomes, second.outcomes)
    return found.p_value <= ALPHA and len(found.only_second) > len(found.only_first)


@dataclass(frozen=True)
class Climbed:
    """How far a climb came.

    Attributes:
        tried: The rungs that it came to, in order.
        end: Why it ended, and where.
        option: What Option A or B came to.
        budget: What was spent of it.
    """

    tried: Mapping[Rung, Tried]
    end: End
    option: Rung | None
    budget: BudgetUse | None

    @property
    def rates(self) -> dict[Rung, Rate | None]:
        """What each rung passed, in order; ``None`` where it could not be run."""
        return {rung: tried.rate for rung, tried in self.tried.items()}

    @property
    def obstacles(self) -> dict[Rung, str]:
        """Why rungs could not be run."""
        return {r: t.obstacle for r, t in self.tried.items() if t.obstacle is not None}


def make_assessment(question: Question, data: TaskSet, climbed: Climbed) -> Assessment:
    """Return the report of a climb.

    Args:
        question: What was asked.
        data: The tasks.
        climbed: What came of it.
    """
    thresholds, end, rates = question.thresholds, climbed.end, climbed.rates
    measured = [tried for tried in climbed.tried.values() if tried.obstacle is None]
    results = [summarise(tried.rung, tried.rows) for tried in measured]
    stopped = rates.get(end.rung) if end.rung and end.reason is Reason.MORE_TASKS else None
    doubts = (too_few(len(data.tasks), thresholds), floor_doubt(rates, thresholds))
    return Assessment(
        data=data.name,
        data_sha256=data.sha256,
        tasks=len(data.tasks),
        target=thresholds.target,
        floor=thresholds.floor,
        uses=question.uses,
        models=asdict(question.ladder),
        rungs=_rungs(climbed, results, data, thresholds),
        order=tuple(tried.rung for tried in measured),
        comparisons=paired(list(itertools.pairwise(results))),
        option=climbed.option,
        verdict=end.reason,
        stopped_at=end.rung,
        tasks_needed=tasks_needed(stopped, thresholds) if stopped else None,
        next_step=next_step(end, rates, climbed.obstacles, thresholds, question.uses),
        doubts=tuple(doubt for doubt in doubts if doubt),
        budget=climbed.budget,
    )


def _rungs(
    climbed: Climbed, results: Sequence[Result], data: TaskSet, thresholds: Thresholds
) -> tuple[RungReport, ...]:
    """Return every rung, whether or not the climb came to it."""
    found = {Rung(result.name): result for result in results}

    def report(rung: Rung) -> RungReport:
        tried, result = climbed.tried.get(rung), found.get(rung)
        if tried is None:
            why = why_untried(rung, climbed.end, climbed.rates, thresholds)
            return RungReport(rung=rung, state="not run", why=why)
        point = tried.point
        first = results[0] if result and result is not results[0] else None
        return RungReport(
            rung=rung,
            state="measured" if result else "not run",
            why=tried.obstacle or why_run(tried.reason, thresholds),
            program=point.name if point else "",
            model=" and ".join(point.asked) if point else "",
            command=point.command(data) if point else "",
            result=result,
            usd=usd_of(tried.rows) if result else None,
            against_first=compare(first.outcomes, result.outcomes).difference
            if first and result
            else None,
        )

    return tuple(map(report, Rung))
