"""``lift assess``: the plan's decision tree as a job that measures, decides and goes on.

Owns the order of the work: what the tree asks for next is measured in the run directory of
``lift eval`` (same rows, same answers), and the tree is asked again. Nothing is kept of the tree
itself: started again, the job comes the same way through stored rows, up to where it stopped. Its
own directory holds the report and what it spent.

A rung whose model cannot be asked, or whose backend fails, is noted with the reason and the climb
goes on; what was executed of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lift_sys.app.affordable import check_budget
from lift_sys.app.assessment_report import (
    Assessment,
    Climbed,
    Question,
    Tried,
    make_assessment,
    shown_better,
)
from lift_sys.app.assessment_tables import markdown
from lift_sys.app.assessment_words import NO_WEIGHTS
from lift_sys.app.bench import make_evaluator
from lift_sys.app.measure import TaskSet, directory_of
from lift_sys.app.models import model_source
from lift_sys.app.progress import Progress
from lift_sys.app.report_files import write_report
from lift_sys.app.rungs import Point, missing, point
from lift_sys.app.spending import BudgetUse, check_prices
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent, ConfigError, ModelError, ProviderError
from lift_sys.files import file_name
from lift_sys.inference.budget import Account
from lift_sys.inference.ledger import Ledger
from lift_sys.record import digest
from lift_sys.sandbox.base import Sandbox
from metrics.stats import Rate
from optimizers.assess import (
    Climb,
    End,
    Reason,
    Rung,
    next_step,
    option,
    prompts_to_keep,
)
from optimizers.rows import Row


@dataclass(frozen=True)
class Site:
    """Where an assessment works.

    Attributes:
        sandbox: Where generated code runs.
        runs: Where run directories are.
        progress: What shows how it goes.
        fetch: Makes the files of models be here, by their ids.
    """

    sandbox: Sandbox
    runs: Path
    progress: Progress
    fetch: Callable[[Iterable[str]], None]


def check_question(question: Question, data: TaskSet, budget: Budget) -> None:
    """Refuse what cannot be assessed, before anything is spent.

    Raises:
        ConfigError: There are no tasks, the thresholds are not in order, two rungs may be the
            same, or the budget cannot be kept.
        ModelError: There is no such model.
    """
    question.ladder.check()
    floor, target = question.thresholds.floor, question.thresholds.target
    if not 0 < floor <= target < 1:
        msg = (
            f"--floor {floor:g} and --target {target:g} are not shares with 0 < floor ≤ target < 1"
        )
        raise ConfigError(msg)
    if not data.tasks:
        msg = f"{data.name} has no tasks to assess on"
        raise ConfigError(msg)
    asked = [model for model in question.ladder.ids if missing(model) is None]
    check_prices(budget, asked)
    check_budget(budget, asked, data.tasks)


class Assessing:
    """One assessment.

    Args:
        question: What is asked.
        data: The tasks.
        budget: Most that it may spend, over all its starts.
        site: Where it works.

    Attributes:
        path: Its directory, which gets the report.
    """

    def __init__(self, question: Question, data: TaskSet, budget: Budget, site: Site) -> None:
        self._question = question
        self._data = data
        self._budget = budget
        self._site = site
        self._tried: dict[Rung, Tried] = {}
        self._at: Rung | None = None
        asked = digest([question.ladder.ids, [task.id for task in data.tasks], data.sha256])
        self.path = site.runs / f"assess-{file_name(question.ladder.small)}-{asked[:12]}"

    def run(self) -> Assessment:
        """Climb, and return what came of it, which the directory keeps too.

        Raises:
            ConfigError: The question cannot be asked.
            BudgetSpent: Before the climb was at its end; the report says how far it came.
            ProviderError: No rung at all could be measured.
            LiftError: A data, disk or sandbox failure.
        """
        check_question(self._question, self._data, self._budget)
        directory = RunDirectory(self.path)
        cut: BudgetSpent | None = None
        with directory.locked():
            ledger = directory.ledger()
            account = Account(lambda: self._budget, ledger)
            try:
                end = self._climb(account)
            except BudgetSpent as spent:
                end, cut = End(Reason.BUDGET, self._at), spent
            made = make_assessment(self._question, self._data, self._climbed(end, ledger))
            write_report(directory, made, markdown(made))
        if cut:
            raise BudgetSpent(f"{cut}; {self.path / 'report.md'} says how far it came") from cut
        if not made.order:
            msg = f"no rung could be measured; {made.rungs[0].rung}: {made.rungs[0].why}"
            raise ProviderError(msg)
        return made

    def _climbed(self, end: End, ledger: Ledger) -> Climbed:
        spent = dict(ledger.by_phase())
        use = None if self._budget == Budget() else BudgetUse(budget=self._budget, phases=spent)
        return Climbed(self._tried, end, self._option(), use)

    def _climb(self, account: Account) -> End:
        while isinstance(step := next_step(self._rates, self._question.thresholds), Climb):
            self._at = step.rung
            self._tried[step.rung] = self._try(step, account)
        return step

    @property
    def _rates(self) -> dict[Rung, Rate | None]:
        return {rung: tried.rate for rung, tried in self._tried.items()}

    def _try(self, step: Climb, account: Account) -> Tried:
        """Measure a rung, or note why that cannot be done."""
        rung, ladder = step.rung, self._question.ladder
        base = ladder.large if self._stands_on() is Rung.LARGER else ladder.small
        runs = point(rung, ladder, prompts_to_keep(self._rates), base)
        if runs is None:
            return Tried(rung, step.reason, None, obstacle=NO_WEIGHTS)
        obstacle = next((why for model in runs.asked if (why := missing(model))), None)
        rows: list[Row] = []
        try:
            rows = [] if obstacle else self._measure(rung, runs, account)
        except (ModelError, ProviderError) as error:
            obstacle = str(error)
        return Tried(rung, step.reason, runs, rows, obstacle)

    def _measure(self, rung: Rung, runs: Point, account: Account) -> list[Row]:
        site, tasks = self._site, self._data.tasks
        site.fetch(runs.asked)
        program = runs.program(site.sandbox)
        directory = RunDirectory(directory_of(runs.model, self._data, site.runs))
        with directory.locked():
            account.enter(rung)
            models = model_source(directory.calls(), account)
            kept, show = directory.rows(), site.progress.row
            evaluator = make_evaluator(runs.model, site.sandbox, kept, models, show)
            site.progress.begin(rung, len(tasks))
            rows = list(evaluator.run(program.with_models(models), tasks, runs.name))
        site.progress.end()
        site.progress.say(f"  {rung}: {Tried(rung, Reason.FIRST, runs, rows).rate}")
        return rows

    def _stands_on(self) -> Rung:
        """Return the rung whose model the hybrid and Claude's code take."""
        measured = {rung: tried for rung, tried in self._tried.items() if tried.rows}
        larger, several = measured.get(Rung.LARGER), measured.get(Rung.BEST_OF_N)
        shown = shown_better(larger, several) if larger and several else False
        costs = {rung: tried.cost for rung, tried in measured.items()}
        return option(self._rates, costs, shown_better=shown)

    def _option(self) -> Rung | None:
        both = all(self._rates.get(rung) for rung in (Rung.LARGER, Rung.BEST_OF_N))
        return self._stands_on() if both else None
