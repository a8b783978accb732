"""Joint search over demo sets and strategy hypers, as an Optuna ask/tell study.

Owns when a trial is given up and which program wins. The study's storage, the evaluator and the
pool are handed in; ``sampling`` owns which point is tried next, ``history`` what the study keeps,
``trials`` what is known of a trial.

Where the backend answers several requests at once, tasks and trials run ahead of the one that is
looked at (``ahead`` says how far). Everything is decided in the order of trials and tasks, as if
they had run one after the other: what was begun in vain is stored, and decides nothing. So the
same seed gives the same trials and the same winner whatever the timing, and after an interruption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dspy
import optuna
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.errors import BudgetSpent, ConfigError
from lift_sys.record import digest
from lift_sys.tasks import Task
from lift_sys.wish import BEST, Cost, Wish
from optimizers.ahead import Ahead
from optimizers.answers import Answers, reevaluation, with_row
from optimizers.evaluate import Evaluator
from optimizers.flights import Flight, begin_tasks
from optimizers.history import History
from optimizers.objectives import cannot_join, finalists, has_lost, joined, preferred
from optimizers.pools import Pool
from optimizers.sampling import PointSampler
from optimizers.space import Point, SearchSpace
from optimizers.trials import Dropped, Reevaluation, Told, Trial, Tried

FRESH = 1
"""The rollout of a re-evaluation; trials run rollout 0."""


@dataclass(frozen=True)
class SearchConfig:
    """What is searched and for how long.

    Attributes:
        space: The pool's dimensions and hypers.
        first_points: Points tried before the sampler proposes any.
        trials: Most finished trials.
        tokens: Generated tokens after which the search ends, passed by one task at most once a
            first trial is complete; tasks that run ahead of that one come on top. An answer that
            several trials share counts once, so the limit does not depend on interruptions.
        seed: Of the sampler.
        tasks: What trials run, by id; a valset names them.
        drop_alpha: Most probability, below 1, that racing gives up a trial that would have passed
            as many tasks as the best one; 0 gives up only what exactly cannot win.
        reevaluate: How many of the best complete trials run every task again, with fresh samples,
            once the search has ended. The best of them then wins. Their tokens come on top. With
            costs, they are the members of the front that the wish prefers, and the best one where
            the wish is measured by it.
        costs: What is kept low beside passing most tasks; the study has a value for each.
        wish: Which program of the front wins.
    """

    space: SearchSpace
    first_points: tuple[Point, ...]
    trials: int
    tokens: int
    seed: int
    tasks: Mapping[str, Task]
    drop_alpha: float = 0.0
    reevaluate: int = 0
    costs: tuple[Cost, ...] = ()
    wish: Wish = BEST


class JointSearch(Teleprompter):
    """Finds the demo set and hyper values that pass most tasks.

    Args:
        config: Space and limits.
        pool: Demo sets and instructions; what the space names is among them.
        evaluator: Runs a program over tasks.
        study: Made with ``directions`` of the costs; its storage makes the search resumable.
        set_hypers: Sets hypers of a program by path.
        on_trial: Called with each finished trial.

    Attributes:
        pool: As given.
        trials: Finished ones, in order.
        front: Complete trials that no other dominates, the one that passes most first; with no
            costs, the best one.
        reevaluations: Of the best ones, best first as the search had them; empty until it ended.
        cut: How the job's budget ended the search; ``None`` where it did not.
        unpaid: Whether that was before all that should have run again had done so.
    """

    def __init__(
        self,
        config: SearchConfig,
        pool: Pool,
        evaluator: Evaluator,
        study: optuna.Study,
        set_hypers: Callable[[dspy.Module, Point], None],
        on_trial: Callable[[Trial], None] | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self.pool = pool
        self._evaluator = evaluator
        self._study = study
        self._set_hypers = set_hypers
        self._on_trial = on_trial
        self.trials: list[Trial] = []
        self.front: tuple[Trial, ...] = ()
        self.reevaluations: tuple[Reevaluation, ...] = ()
        self.cut: BudgetSpent | None = None
        self.unpaid = False
        self._answers = Answers()

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: Sequence[dspy.Example] = (),  # noqa: ARG002 (the pool was made from it)
        teacher: dspy.Module | None = None,  # noqa: ARG002 (likewise)
        valset: Sequence[dspy.Example] = (),
    ) -> dspy.Module:
        """Return the best program found.

        Args:
            student: Copied, never changed.
            trainset: Not used: demos come from the pool.
            teacher: Not used.
            valset: Examples whose ``task_id`` names what is selected on, in the order in which
                trials run it.

        Raises:
            BudgetSpent: The job's budget is spent before any trial is complete.
            ConfigError: There is nothing to select on, the metric is broken, or the study is that
                of another search.
            InfrastructureError: The backend or the sandbox failed. The search can be resumed.
            StoreError: The storage failed. What was stored is kept.
        """
        tasks = self._selected(valset)
        self.trials, self.front, self.reevaluations, self.cut = [], (), (), None
        self._answers = Answers()
        history = History(
            self._study,
            self._config.space,
            self._identity(student, tasks),
            lambda: self._evaluator.slots,
            self._config.costs,
        )
        for told in history.told():
            self._answers.restore(told.answers, told.spent)
            self._finish(told)
        with self._evaluator.settled():
            self._search(student, tasks, history)
        self._reevaluate(student, tasks)
        return self.at(student, self.best.point)

    def _selected(self, valset: Sequence[dspy.Example]) -> list[Task]:
        known = self._config.tasks
        unknown = [e.task_id for e in valset if e.task_id not in known]
        if unknown or not valset or self._config.trials < 1:
            what = f"the task {unknown[0]!r} is not known" if unknown else "nothing to select on"
            msg = f"a search needs at least one trial and one task: {what}"
            raise ConfigError(msg)
        return [known[example.task_id] for example in valset]

    def _identity(self, student: dspy.Module, tasks: Sequence[Task]) -> dict[str, str]:
        config = self._config
        return {
            "demos": self.pool.content_hash,
            "tasks": digest([task.content_hash for task in tasks]),
            "code": self._evaluator.identity,
            "program": digest(student.dump_state()),
            "settings": digest([config.seed, config.first_points, config.drop_alpha, config.costs]),
        }

    @property
    def best(self) -> Trial:
        """The trial that the wish chooses: by default the best one, the earliest among equals.

        Once trials were re-evaluated, it is chosen among them by fresh samples; among equals it is
        the one that the wish preferred before.
        """
        config = self._config
        choice = preferred(config.wish, self.reevaluations or self.front, config.costs)[0]
        return self.trials[choice.number]

    def at(self, student: dspy.Module, point: Point) -> dspy.Module:
        """Return a copy of a program with a point's demos, instructions and hypers."""
        program = student.deepcopy()
        self._set_hypers(program, self.pool.apply(program, point))
        return program

    def _search(self, student: dspy.Module, tasks: Sequence[Task], history: History) -> None:
        """Finish trials until one of the limits is reached."""
        config, ahead = self._config, Ahead(history.slots)
        window = ahead.programs(len(tasks))
        sampler = PointSampler(config.space, config.first_points, config.seed, window, config.costs)
        flights: deque[Flight] = deque()
        while len(self.trials) < config.trials and self.tokens_spent < config.tokens:
            while len(flights) < min(window, config.trials - len(self.trials)):
                number = len(self.trials) + len(flights)
                point = sampler.ask(number, self.trials, [f.point for f in flights])
                program = self._evaluator.prepare(self.at(student, point), f"trial {number}")
                flights.append(Flight(point, program))
            told = self._measure(flights, tasks, ahead)
            if self.cut:
                if told.trial.tried:
                    self._finish(told)
                break  # not stored, as if interrupted: a larger budget begins this trial again
            vain = [*flights.popleft().begun]
            if self.tokens_spent < config.tokens:
                begin_tasks(flights, tasks, ahead)
            else:
                vain += [begun for flight in flights for begun in flight.begun]
            # Once the trial is stored nobody begins these again after an interruption.
            try:
                for begun in vain:
                    begun.take()
            except BudgetSpent as spent:
                self.cut = spent
            history.add(told)
            self._finish(told)
            if self.cut:
                break
        if self.cut and not self.front:
            raise self.cut

    def _measure(self, flights: Sequence[Flight], tasks: Sequence[Task], ahead: Ahead) -> Told:
        """Look at the first trial task by task until there is a reason to give it up."""
        flight, number = flights[0], len(self.trials)
        so_far = Tried(number=number, passed=0, tried=0, tokens=0)
        new, before = list[str](), self.tokens_spent
        dropped: Dropped | None = None
        while so_far.tried < len(tasks) and not dropped:
            begin_tasks(flights, tasks, ahead)
            try:
                row = self._evaluator.take(flight.begun)
            except BudgetSpent as spent:
                self.cut, dropped = spent, "unpaid"
                break
            so_far = with_row(so_far, row)
            new += self._answers.count(row)
            dropped = self._reason_to_drop(so_far, len(tasks))
        complete = so_far.tried == len(tasks)
        trial = Trial(
            **dict(so_far),
            point=flight.point,
            complete=complete,
            dropped=None if complete else dropped,
        )
        return Told(trial=trial, answers=tuple(new), spent=self.tokens_spent - before)

    def _finish(self, told: Told) -> None:
        """Count a trial as finished, and tell whoever wants to know."""
        self.trials.append(told.trial)
        self.front = joined(self.front, told.trial, self._config.costs)
        if self._on_trial:
            self._on_trial(told.trial)

    def _reason_to_drop(self, so_far: Tried, tasks: int) -> Dropped | None:
        """Return why a trial is not worth its other tasks.

        That it is hopeless is exact: even if every remaining task passed at no cost, it would not
        join the front. So giving up a hopeless trial never changes the winner.
        """
        costs = self._config.costs
        if not self.front:
            return None
        if cannot_join(so_far, tasks, self.front, costs):
            return "hopeless"
        if self.tokens_spent >= self._config.tokens:
            return "budget"
        return "racing" if has_lost(so_far, self.front, costs, self._config.drop_alpha) else None

    def _reevaluate(self, student: dspy.Module, tasks: Sequence[Task]) -> None:
        """Run the best trials of different points again, with fresh samples."""
        config, again = self._config, []
        chosen = finalists(self.trials, config.reevaluate, config.wish, config.costs)
        for trial in chosen:
            program, label = self.at(student, trial.point), f"trial {trial.number} again"
            try:
                again.append((trial, list(self._evaluator.run(program, tasks, label, FRESH))))
            except BudgetSpent as spent:
                self.cut = spent
                break
        self.unpaid = len(again) < len(chosen)
        self.reevaluations = tuple(reevaluation(*one, self._answers) for one in again)
        for row in (row for _, rows in again for row in rows):
            self._answers.count(row)

    @property
    def tokens_spent(self) -> int:
        """Generated tokens of all trials, each answer counted once."""
        return self._answers.tokens
