"""The pool and the joint search of a job: what every process of it does.

Owns how a configuration becomes a pool of demo sets, a study and a search.
"""

from __future__ import annotations

import optuna

from lift_sys.app.data import Data
from lift_sys.app.progress import Progress
from lift_sys.app.space import search_space
from lift_sys.app.store import RunDirectory
from lift_sys.config import RunConfig
from lift_sys.sandbox.base import Sandbox
from metrics.adapters import to_example
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch, SearchConfig
from optimizers.objectives import directions
from optimizers.pools import Pool, build_pool
from optimizers.trials import Trial
from programs.demos import make_demos
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

POOL, SEARCH = "demo pool", "search"


def prepare_search(
    config: RunConfig,
    data: Data,
    evaluator: Evaluator,
    sandbox: Sandbox,
    into: tuple[RunDirectory, Progress],
) -> JointSearch:
    """Return the search of a job, with its pool."""
    run, progress = into
    text = run.agree("pool.json", lambda: _pool(config, data, evaluator, sandbox, progress))
    return _search(config, data, Pool.model_validate_json(text), evaluator, into)


def compile_winner(
    search: JointSearch, student: SpecToCode, data: Data, progress: Progress
) -> SpecToCode:
    """Run a search on the dev tasks, and return the program that won."""
    progress.begin(SEARCH)
    winner: SpecToCode = search.compile(student, valset=[to_example(t) for t in data.dev])
    progress.end()
    return winner


def _pool(
    config: RunConfig,
    data: Data,
    evaluator: Evaluator,
    sandbox: Sandbox,
    progress: Progress,
) -> str:
    teacher = make_program("single", sandbox)
    progress.begin(POOL, config.pool_tasks)
    rows = list(evaluator.run(teacher, data.train[: config.pool_tasks], POOL))
    progress.end()
    pool = build_pool(
        data.train,
        rows,
        make_demos,
        size=config.demos,
        seed=config.seed,
        kinds=config.demo_sets,
    )
    passed = sum(r.score.passed for r in rows)
    progress.say(
        f"demo pool: {passed} of {len(rows)} train tasks passed zero-shot; "
        f"demo sets: {', '.join(pool.names)}"
    )
    return pool.model_dump_json(indent=2) + "\n"


def _search(
    config: RunConfig,
    data: Data,
    pool: Pool,
    evaluator: Evaluator,
    into: tuple[RunDirectory, Progress],
) -> JointSearch:
    run, progress = into
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = run.study(directions(config.costs))

    def tell(trial: Trial) -> None:
        run.tell(trial)
        progress.trial(trial)

    space = search_space(config, pool)
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
        evaluator,
        study,
        set_hypers,
        tell,
    )
