"""Joint search over demo sets and strategy hypers, as an Optuna ask/tell study.

Owns which point is tried next, when a trial is given up, and which program wins. The study's
storage, the evaluator and the pool are handed in; ``trials`` owns what is known of a trial.

Resuming needs no sampler state: before trial *k* (counting finished trials only) the sampler is
made anew from (seed, k), so with the same history it asks for the same point again. A trial that
an interruption left running is marked failed and asked again; its tasks come from stored rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dspy
import optuna
from dspy.teleprompt.teleprompt import Teleprompter
from optuna.trial import FrozenTrial, TrialState

from lift_sys.record import canonical_json
from lift_sys.tasks import Task
from optimizers.evaluate import Evaluator, Row
from optimizers.pools import Pool
from optimizers.racing import is_lost
from optimizers.space import Point, SearchSpace
from optimizers.trials import Dropped, Reevaluation, Trial, worth

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
            first trial is complete. An answer that several trials share counts once, so the limit
            does not depend on interruptions.
        seed: Of the sampler.
        tasks: What trials run, by id; a valset names them.
        drop_alpha: Most probability, below 1, that racing gives up a trial that would have passed
            as many tasks as the best one; 0 gives up only what exactly cannot win.
        reevaluate: How many of the best complete trials run every task again, with fresh samples,
            once the search has ended. The best of them then wins. Their tokens come on top.
    """

    space: SearchSpace
    first_points: tuple[Point, ...]
    trials: int
    tokens: int
    seed: int
    tasks: Mapping[str, Task]
    drop_alpha: float = 0.0
    reevaluate: int = 0


class JointSearch(Teleprompter):
    """Finds the demo set and hyper values that pass most tasks.

    Args:
        config: Space and limits.
        pool: Demo sets and instructions; what the space names is among them.
        evaluator: Runs a program over tasks.
        study: Maximizes; its storage makes the search resumable.
        set_hypers: Sets hypers of a program by path.
        on_trial: Called with each finished trial.

    Attributes:
        pool: As given.
        trials: Finished ones, in order.
        reevaluations: Of the best ones, best first as the search had them; empty until it ended.
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
        self.reevaluations: tuple[Reevaluation, ...] = ()
        self._incumbent: tuple[bool, ...] = ()
        self._tokens_of: dict[str, int] = {}

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
            InfrastructureError: The backend or the sandbox failed. The search can be resumed.
        """
        tasks = [self._config.tasks[example.task_id] for example in valset]
        self.trials, self.reevaluations = [], ()
        self._incumbent = ()
        self._tokens_of = {}
        for stale in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(stale.number, state=TrialState.FAIL)
        while len(self.trials) < self._config.trials and self.tokens_spent < self._config.tokens:
            self._run_trial(student, tasks)
        self._reevaluate(student, tasks)
        return self.at(student, self.best.point)

    @property
    def best(self) -> Trial:
        """The complete trial with the highest value; the earliest among equals.

        Once trials were re-evaluated, it is the one of them with the highest value on fresh
        samples; among equals the one that was better before.
        """
        if self.reevaluations:
            return self.trials[max(self.reevaluations, key=lambda r: r.value).number]
        return self._ranked()[0]

    def _ranked(self) -> list[Trial]:
        complete = [trial for trial in self.trials if trial.complete]
        return sorted(complete, key=lambda t: (-t.value, t.number))

    def at(self, student: dspy.Module, point: Point) -> dspy.Module:
        """Return a copy of a program with a point's demos, instructions and hypers."""
        program = student.deepcopy()
        self._set_hypers(program, self.pool.apply(program, point))
        return program

    def _run_trial(self, student: dspy.Module, tasks: Sequence[Task]) -> None:
        number = len(self.trials)
        stored = self._finished()
        optuna_trial = None
        if number < len(stored):
            point: Point = self._point_of(stored[number])
        else:
            optuna_trial, point = self._ask(number)
        trial = self._measure(self.at(student, point), tasks, number, point)
        if optuna_trial is not None:
            for step, value in enumerate((trial.passed / len(tasks), trial.value)):
                optuna_trial.report(value, step)
            state = TrialState.COMPLETE if trial.complete else TrialState.PRUNED
            self._study.tell(optuna_trial, trial.value if trial.complete else None, state=state)
        self.trials.append(trial)
        if self._on_trial:
            self._on_trial(trial)

    def _ask(self, number: int) -> tuple[optuna.Trial, Point]:
        """Ask for the point of trial ``number``, the same one whenever it is asked."""
        text = f"{self._config.seed}/{number}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)
        first = self._config.first_points
        waiting = self._study.get_trials(states=(TrialState.WAITING,))
        if number < len(first) and not waiting:
            self._study.enqueue_trial(first[number])
        trial = self._study.ask()
        point = self._config.space.suggest(trial)
        trial.set_user_attr("point", point)
        return trial, point

    def _measure(
        self, program: dspy.Module, tasks: Sequence[Task], number: int, point: Point
    ) -> Trial:
        """Run a trial task by task until there is a reason to give it up."""
        best = max((t.value for t in self.trials if t.complete), default=None)
        rows: list[Row] = []
        dropped: Dropped | None = None
        for row in self._evaluator.run(program, tasks, f"trial {number}"):
            rows.append(row)
            self._count(row)
            dropped = None if best is None else self._reason_to_drop(rows, len(tasks), best)
            if dropped:
                break
        complete = len(rows) == len(tasks)
        trial = Trial(
            number=number,
            point=point,
            passed=sum(r.score.passed for r in rows),
            tried=len(rows),
            tokens=sum(r.usage.completion_tokens for r in rows),
            complete=complete,
            dropped=None if complete else dropped,
        )
        if complete and (best is None or trial.value > best):
            self._incumbent = tuple(r.score.passed for r in rows)
        return trial

    def _reason_to_drop(self, rows: Sequence[Row], tasks: int, best: float) -> Dropped | None:
        """Return why a trial is not worth its other tasks.

        That it is hopeless is exact: even if every remaining task passed at no cost, the value
        would stay below the best one. So giving up a hopeless trial never changes the winner.
        """
        outcomes = [r.score.passed for r in rows]
        tokens = sum(r.usage.completion_tokens for r in rows)
        if worth(sum(outcomes) + tasks - len(rows), tokens, tasks) < best:
            return "hopeless"
        if self.tokens_spent >= self._config.tokens:
            return "budget"
        alpha = self._config.drop_alpha
        return "racing" if alpha > 0 and is_lost(outcomes, self._incumbent, alpha) else None

    def _reevaluate(self, student: dspy.Module, tasks: Sequence[Task]) -> None:
        """Run the best trials of different points again, with fresh samples."""
        distinct: dict[str, Trial] = {}
        for trial in self._ranked():
            distinct.setdefault(canonical_json(trial.point), trial)
        known = set(self._tokens_of)
        done = []
        for trial in list(distinct.values())[: self._config.reevaluate]:
            program, label = self.at(student, trial.point), f"trial {trial.number} again"
            rows = list(self._evaluator.run(program, tasks, label, FRESH))
            answers = [answer for row in rows for answer in self._count(row)]
            done.append(
                Reevaluation(
                    number=trial.number,
                    passed=sum(r.score.passed for r in rows),
                    tried=len(rows),
                    tokens=sum(r.usage.completion_tokens for r in rows),
                    repeated=known.issuperset(answers),
                )
            )
        self.reevaluations = tuple(done)

    def _count(self, row: Row) -> list[str]:
        """Count a row's answers as spent, and return what they are known by."""
        tokens = {c.key or f"{row.key}/{i}": c.completion_tokens for i, c in enumerate(row.calls)}
        self._tokens_of.update(tokens)
        return list(tokens)

    def _finished(self) -> list[FrozenTrial]:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return self._study.get_trials(states=states)

    def _point_of(self, trial: FrozenTrial) -> Point:
        return dict(trial.user_attrs["point"])

    @property
    def tokens_spent(self) -> int:
        """Generated tokens of all trials, each answer counted once."""
        return sum(self._tokens_of.values())
