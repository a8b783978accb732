"""Optimizing from Python: one function, and what it gives back.

Owns the words of the API. The work is that of a job, as at the command line (``run``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import dspy
from dspy.teleprompt.teleprompt import Teleprompter
from rich.console import Console

from lift_sys.app import environment, jobs
from lift_sys.app.data import Data
from lift_sys.app.job import Job
from lift_sys.app.own_checks import check_given
from lift_sys.app.own_program import Metric
from lift_sys.app.own_tasks import DEV, TRAIN, Tasks, own_data
from lift_sys.app.progress import Progress
from lift_sys.app.report import Report
from lift_sys.app.run import Outcome
from lift_sys.app.run import optimize as run_job
from lift_sys.app.store import RunDirectory
from lift_sys.config import JOINT, Choice, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.sandbox import Sandbox, create_sandbox
from lift_sys.wish import Cost
from optimizers.trials import Trial
from programs.hypers import hypers_of
from programs.presets import make_program
from programs.spec_to_code import SpecToCode


class Options(TypedDict, total=False):
    """What ``optimize`` may be told beside program, tasks, metric and model.

    All but the first five mean what they mean in a job (``RunConfig``).

    Attributes:
        optimizer: ``joint``, which searches demos and hypers together and is the default; the name
            of one of DSPy's optimizers; or any ``dspy.Teleprompter``.
        threshold: Score of an own metric from which a task passes; 1 by default.
        runs: Folder of the run directories; ``runs`` by default.
        unsafe: Run generated code even where no sandbox layer holds.
        show: Tell on standard error how it goes.
        space: Choices by hyper path; by default those of a job for our programs, and every choice
            of every hyper for others.
        first_points: Points tried first; by default those of a job, or the program as it is.
        seed: Of everything random.
        trials: Most trials.
        search_tokens: Generated tokens after which a search ends; by default no limit.
        pool_tasks: Train tasks that demos are made from; by default all.
        demos: Demos in a demo set.
        drop_alpha: See ``RunConfig``.
        reevaluate: See ``RunConfig``.
        budget: Most that the whole study may spend, e.g. ``{"tokens": 200_000}``; also ``usd`` and
            ``seconds``. A call that ended with ``BudgetSpent`` goes on with a larger one.
        objectives: What is kept low beside passing most tasks: ``tokens``, ``usd``, ``seconds``.
        wish: Which program of the front is the best, e.g. ``cheapest within 2 points``.
    """

    optimizer: str | Teleprompter
    threshold: float
    runs: str | Path
    unsafe: bool
    show: bool
    space: Mapping[str, Sequence[Choice]]
    first_points: Sequence[Mapping[str, Choice]]
    seed: int
    trials: int
    search_tokens: int
    pool_tasks: int
    demos: int
    drop_alpha: float
    reevaluate: int
    budget: Mapping[str, float]
    objectives: Sequence[Cost]
    wish: str


OF_THE_CALL = ("optimizer", "threshold", "runs", "unsafe", "show")
"""Options that are no field of a job."""

NO_LIMIT = 10**12
"""Tokens that no search spends."""


@dataclass(frozen=True)
class Study:
    """What an optimization gives back.

    Attributes:
        program: The best program, ready to be called: its model is set.
        artifact: Its file, for ``load_program`` and ``lift show``; ``None`` where the program, the
            metric or the model is the caller's own.
        trials: Of a joint search, in order; empty for other optimizers.
        report: The best program against the one that was given, on the dev tasks.
        text: The report as Markdown.
        front: Of a joint search with objectives: trials of which none beats another in success
            and every cost, the one that passes most first.
        run: The run directory. The same call goes on with it where it stopped. ``program.json`` in
            it is DSPy's state of a program that is the caller's own.
    """

    program: dspy.Module
    artifact: Path | None
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    report: Report
    text: str
    run: Path
    _at: Callable[[Trial], dspy.Module] | None = field(repr=False)

    @classmethod
    def of(cls, job: Job, outcome: Outcome) -> Study:
        """Return what a finished job gives back."""
        search, report = outcome.search, outcome.report
        trials = tuple(search.trials) if search else ()
        members = report.front.members if report.front else ()
        return cls(
            program=job.ready(outcome.winner),
            artifact=outcome.artifact if job.exportable else None,
            trials=trials,
            front=tuple(trials[member.trial] for member in members),
            report=report,
            text=outcome.text,
            run=outcome.run,
            _at=search and (lambda trial: job.ready(search.at(job.program, trial.point))),
        )

    def at(self, trial: Trial) -> dspy.Module:
        """Return the program of a trial, ready to be called.

        Raises:
            ConfigError: The optimizer has no trials.
        """
        if self._at is None:
            msg = "only a joint search has trials; other optimizers give one program"
            raise ConfigError(msg)
        return self._at(trial)


def optimize(
    program: dspy.Module | str,
    tasks: Tasks,
    *,
    dev: Tasks | None = None,
    metric: Metric | None = None,
    model: str | dspy.LM = "qwen2.5-coder-0.5b",
    **options: Unpack[Options],
) -> Study:
    """Return the best program that can be found, and how it was found.

    The same call with the same code continues after an interruption and answers at once when it
    was finished.

    Args:
        program: Any DSPy module that takes a task's ``spec`` (and, if it likes, ``entry_point``,
            ``visible`` cases and a ``rollout`` number), or the name of a preset. Its hypers are
            those of ``lift_sys.Hyper`` among its attributes. It is never changed, and a model that
            is set on it is not asked.
        tasks: Train tasks: a shipped set, the path of a task file, or tasks. Without ``dev``, train
            and dev tasks together, which are divided in halves.
        dev: Tasks that programs are chosen on.
        metric: DSPy's kind: called with an example, a prediction and a trace. It returns a number
            from 0 to 1, higher is better. By default the prediction's ``code`` is run on the
            hidden cases.
        model: Id of ``lift models list``, or a ``dspy.LM``.
        options: See ``Options``.

    Raises:
        ConfigError: The program, the space, the metric or an option cannot be used.
        DatasetError: The tasks cannot be used.
        BudgetSpent: Before a trial was complete, or in the final table.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    environment.prepare()
    _check_names(options)
    check_given(program, metric, model, options)
    data = own_data(tasks, dev, options.get("seed", 0))
    shown = options.get("show", False)
    with _sandbox(unsafe=options.get("unsafe", False)) as sandbox:
        given = make_program(program, sandbox) if isinstance(program, str) else program.deepcopy()
        given.set_lm(None)
        job = Job.of_caller(
            given,
            _config(given, data, model, options),
            data,
            options.get("optimizer", JOINT),
            (metric, options.get("threshold", 1.0)),
            None if isinstance(model, str) else model,
        )
        run = RunDirectory(job.place(Path(options.get("runs", "runs"))))
        # The stream itself: an optimizer's own output on standard error is kept away.
        with Progress(Console(file=sys.stderr, quiet=not shown), {}) as progress:
            outcome = run_job(job, run, sandbox, progress)
    return Study.of(job, outcome)


def _check_names(options: Options) -> None:
    unknown = [name for name in options if name not in Options.__annotations__]
    if unknown:
        known = ", ".join(Options.__annotations__)
        msg = f"optimize has no option {unknown[0]!r}; it has: {known}"
        raise ConfigError(msg)


def _config(program: dspy.Module, data: Data, model: str | dspy.LM, options: Options) -> RunConfig:
    """Return the job that the options describe.

    Raises:
        ConfigError: An option has a wrong value, or there is no such model.
    """
    fields: dict[str, Any] = {k: v for k, v in options.items() if k not in OF_THE_CALL}
    if not isinstance(program, SpecToCode):
        hypers = hypers_of(program)
        own = {path: hyper.space.choices for path, hyper in hypers.items()}
        fields.setdefault("space", own)
        fields.setdefault("first_points", [{path: h.value for path, h in hypers.items()}])
    fields = {
        "train_data": TRAIN,
        "dev_data": DEV,
        "test_data": DEV,
        "dev_tasks": len(data.dev),
        "pool_tasks": len(data.train),
        "search_tokens": NO_LIMIT,
        **fields,
    }
    if isinstance(model, str):
        fields["model"] = model
    return jobs.resolve(None, fields)


@contextmanager
def _sandbox(*, unsafe: bool) -> Iterator[Sandbox]:
    """Give a sandbox that stays open for the program that was found, and closes otherwise."""
    sandbox = create_sandbox(unsafe=unsafe)
    try:
        yield sandbox
    except BaseException:
        sandbox.close()
        raise
