"""The pool and the joint search of a job: what every process of it does.

Owns how a configuration becomes a pool of demo sets, a study and a search.
"""

from __future__ import annotations

from typing import TypeVar

import dspy
import optuna

from lift_sys.app.data import Data
from lift_sys.app.own_pool import obtain_traced
from lift_sys.app.pool import Source, obtain_pool
from lift_sys.app.progress import Progress
from lift_sys.app.space import search_space
from lift_sys.app.store import RunDirectory
from metrics.adapters import to_example
from optimizers.joint import JointSearch, SearchConfig
from optimizers.objectives import directions
from optimizers.pools import DEMOS, Pool
from optimizers.space import SearchSpace, make_space
from optimizers.trials import Trial
from programs.hypers import set_hypers
from programs.spec_to_code import SpecToCode

SEARCH = "search"

Program = TypeVar("Program", bound=dspy.Module)


def prepare_search(
    source: Source, student: dspy.Module, run: RunDirectory, progress: Progress
) -> JointSearch:
    """Return the search of a job, with its pool.

    Args:
        source: What the pool is made with.
        student: What is searched; demos of one that is not ours come from its traces.
        run: Keeps pool and trials.
        progress: What shows how it goes.
    """
    if isinstance(student, SpecToCode):
        pool = obtain_pool(source, run, progress)
        space = search_space(source.config, pool, student)
    else:
        pool = obtain_traced(source, student, run, progress)
        space = make_space({DEMOS: pool.names, **source.config.space}, {})
    return _search_over(space, pool, source, run, progress)


def _search_over(
    space: SearchSpace, pool: Pool, source: Source, run: RunDirectory, progress: Progress
) -> JointSearch:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config, data = source.config, source.data

    def tell(trial: Trial) -> None:
        run.tell(trial)
        progress.trial(trial)

    return JointSearch(
        SearchConfig(
            space=space,
            first_points=tuple(space.complete(point) for point in config.first_points),
            trials=config.trials,
            tokens=config.search_tokens,
            seed=config.seed,
            tasks={task.id: task for task in data.dev},
            drop_alpha=config.drop_alpha,
            reevaluate=config.reevaluate,
            costs=config.costs,
            wish=config.wish,
        ),
        pool,
        source.evaluator,
        run.study(directions(config.costs)),
        set_hypers,
        tell,
    )


def compile_winner(
    search: JointSearch, student: Program, data: Data, progress: Progress
) -> Program:
    """Run a search on the dev tasks, and return the program that won."""
    progress.begin(SEARCH)
    winner: Program = search.compile(student, valset=[to_example(t) for t in data.dev])
    progress.end()
    return winner
