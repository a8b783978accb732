"""Joint search over demo sets and strategy hypers, as an Optuna ask/tell study.

Owns which point is tried next, when a trial is given up, and which program wins. The study's
storage, the evaluator and the pool are handed in.

Resuming needs no sampler state: before trial *k* (counting finished trials only) the sampler is
made anew from (seed, k), so with the same history it asks for the same point again. A trial that
an interruption left running is marked failed and asked again; its tasks come from stored rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import optuna
from dspy.teleprompt.teleprompt import Teleprompter
from optuna.trial import FrozenTrial, TrialState

from lift_sys.record import Record
from lift_sys.tasks import Task
from optimizers.evaluate import Evaluator, Row
from optimizers.pools import Pool

Point = dict[str, Any]
"""A value for ``demos`` and for each searched hyper."""

DEMOS = "demos"
TOKEN_WEIGHT = 1e-7
"""Success a trial gives up per generated token and task: only a tie-break, since even 10,000 tokens
weigh less than one task in 900."""


@dataclass(frozen=True)
class SearchConfig:
    """What is searched and for how long.

    Attributes:
        space: Choices per hyper path, in a fixed order.
        needs: For a path, the condition (path, values) without which it is not searched and keeps
            its first choice, e.g. ``n`` needs a temperature above 0.
        first_points: Points tried before the sampler proposes any.
        trials: Most finished trials.
        tokens: Generated tokens after which the search ends, passed by one task at most once a
            first trial is complete. An answer that several trials share counts once, so the limit
            does not depend on interruptions.
        seed: Of the sampler.
        tasks: What trials run, by id; a valset names them.
    """

    space: Mapping[str, tuple[Any, ...]]
    needs: Mapping[str, tuple[str, tuple[Any, ...]]]
    first_points: tuple[Point, ...]
    trials: int
    tokens: int
    seed: int
    tasks: Mapping[str, Task]


class Trial(Record):
    """A finished trial.

    Attributes:
        number: Position among the finished trials, from 0.
        point: What was tried.
        passed: Tasks that passed.
        tried: Tasks that were executed; fewer than all when the trial was given up.
        tokens: Generated tokens of the tried tasks, shared with other trials or not.
        complete: Whether every task was executed.
    """

    number: int
    point: dict[str, Any]
    passed: int
    tried: int
    tokens: int
    complete: bool


class JointSearch(Teleprompter):
    """Finds the demo set and hyper values that pass most tasks.

    Args:
        config: Space and limits.
        pool: Demo sets; ``none`` is always among them.
        evaluator: Runs a program over tasks.
        study: Maximizes; its storage makes the search resumable.
        set_hypers: Sets hypers of a program by path.
        on_trial: Called with each finished trial.

    Attributes:
        pool: As given.
        trials: Finished ones, in order.
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
        self.trials = []
        self._tokens_of = {}
        for stale in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(stale.number, state=TrialState.FAIL)
        while len(self.trials) < self._config.trials and self.tokens_spent < self._config.tokens:
            self._run_trial(student, tasks)
        return self.at(student, self.best.point)

    @property
    def best(self) -> Trial:
        """The complete trial with the highest value; the earliest among equals."""
        complete = [t for t in self.trials if t.complete]
        return max(complete, key=lambda t: (_value(t), -t.number))

    def at(self, student: dspy.Module, point: Point) -> dspy.Module:
        """Return a copy of a program with a point's demos and hypers."""
        program = student.deepcopy()
        self.pool[point[DEMOS]].apply(program)
        self._set_hypers(program, {k: v for k, v in point.items() if k != DEMOS})
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
            for step, value in enumerate((trial.passed / len(tasks), _value(trial))):
                optuna_trial.report(value, step)
            state = TrialState.COMPLETE if trial.complete else TrialState.PRUNED
            self._study.tell(optuna_trial, _value(trial) if trial.complete else None, state=state)
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
        point: Point = {}
        for path, choices in {DEMOS: self.pool.names, **self._config.space}.items():
            condition = self._config.needs.get(path)
            if condition and point[condition[0]] not in condition[1]:
                point[path] = choices[0]
            else:
                point[path] = trial.suggest_categorical(path, choices)
        trial.set_user_attr("point", point)
        return trial, point

    def _measure(
        self, program: dspy.Module, tasks: Sequence[Task], number: int, point: Point
    ) -> Trial:
        """Run a trial task by task; give it up once it cannot win or the tokens are spent.

        The bound is exact: even if every remaining task passed at no cost, the value would stay
        below the best one. So giving up a hopeless trial never changes the winner.
        """
        rows: list[Row] = []
        complete = [_value(t) for t in self.trials if t.complete]
        best_is_known, best = bool(complete), max(complete, default=float("-inf"))
        for row in self._evaluator.run(program, tasks, f"trial {number}"):
            rows.append(row)
            for i, call in enumerate(row.calls):
                self._tokens_of[call.key or f"{row.key}/{i}"] = call.completion_tokens
            passed = sum(r.score.passed for r in rows)
            tokens = sum(r.usage.completion_tokens for r in rows)
            reachable = passed + len(tasks) - len(rows)
            hopeless = _worth(reachable, tokens, len(tasks)) < best
            if hopeless or (best_is_known and self.tokens_spent >= self._config.tokens):
                break
        return Trial(
            number=number,
            point=point,
            passed=sum(r.score.passed for r in rows),
            tried=len(rows),
            tokens=sum(r.usage.completion_tokens for r in rows),
            complete=len(rows) == len(tasks),
        )

    def _finished(self) -> list[FrozenTrial]:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return self._study.get_trials(states=states)

    def _point_of(self, trial: FrozenTrial) -> Point:
        return dict(trial.user_attrs["point"])

    @property
    def tokens_spent(self) -> int:
        """Generated tokens of all trials, each answer counted once."""
        return sum(self._tokens_of.values())


def _worth(passed: int, tokens: int, tasks: int) -> float:
    return passed / tasks - TOKEN_WEIGHT * tokens / tasks


def _value(trial: Trial) -> float:
    return _worth(trial.passed, trial.tokens, trial.tried)
