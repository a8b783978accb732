from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from lift_sys.app.database import Database
from lift_sys.app.ledger_file import Allowance
from lift_sys.app.shared_run import Basis, SharedRun
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError, StoreError
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch
from optimizers.sharing import Sharing
from programs.hypers import set_hypers
from tests.optimizers.searching import CONFIG, EXAMPLES, POOL, Fake, Job, in_memory
from tests.postgres import PostgresServer

CODE = Basis(code="c", data={"train": "d"}, versions={"python": "3.11"})
Join = Callable[..., SharedRun]


@pytest.fixture
def join(storage: str, tmp_path: Path) -> Iterator[Join]:
    """Joins a study, as another process would."""
    opened: list[SharedRun] = []

    def one(study: str = "s", *, lease_seconds: float = 60.0) -> SharedRun:
        path = tmp_path / f"run{len(opened)}"
        opened.append(SharedRun(path, Database(storage), study, lease_seconds=lease_seconds))
        return opened[-1]

    yield one
    for run in opened:
        run.close()


def search_in(run: SharedRun, score: Any = None, slots: int = 4) -> JointSearch:
    """Run the whole search as one process of a study."""
    no_model: Any = None
    sharing = Sharing(run.leases(most=1), slots)
    evaluator = Evaluator(
        lambda: no_model, "m", score or Job(0, in_memory).score, run.rows(), sharing=sharing
    )
    search = JointSearch(CONFIG, POOL, evaluator, run.study(["maximize"]), set_hypers, run.tell)
    search.compile(Fake(0), valset=EXAMPLES)
    return search


def told(url: str) -> list[optuna.trial.FrozenTrial]:
    """Return all trials of the study that Optuna itself finds in a storage."""
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    storage.engine.dispose()
    return trials


def test_a_second_process_gets_the_job_of_the_first(join: Join) -> None:
    config = RunConfig(trials=3)
    join().begin(config, CODE)

    assert join().config == config


def test_a_budget_is_no_part_of_a_study_and_all_heed_the_last_one(join: Join) -> None:
    first, helper = join(), join()
    first.begin(RunConfig(trials=3, budget=Budget(tokens=5)), CODE)
    assert helper.config == RunConfig(trials=3)
    assert helper.allowance().budget == Budget(tokens=5)

    again = join()
    again.begin(RunConfig(trials=3, budget=Budget(tokens=7)), CODE)
    again.allow(Allowance(budget=Budget(tokens=7), final_tasks=6))
    told = Allowance(budget=Budget(tokens=7), final_tasks=6)
    assert again.allowance() == helper.allowance() == told


def test_a_study_that_nobody_began_is_told(join: Join) -> None:
    with pytest.raises(ConfigError, match=r"there is no study 'other'.*lift optimize --storage"):
        _ = join("other").config


def test_another_job_is_refused_by_what_differs(join: Join) -> None:
    join().begin(RunConfig(trials=3), CODE)

    with pytest.raises(ConfigError, match=r"it differs in seed, trials"):
        join().begin(RunConfig(trials=4, seed=1), CODE)


def test_another_wish_is_the_same_study_unless_the_search_keeps_something_else_low(
    join: Join,
) -> None:
    join().begin(RunConfig(objectives=("tokens",)), CODE)

    join().begin(wishing("cheapest within 2 points", objectives=("tokens",)), CODE)
    join().begin(wishing("cheapest within 2 points"), CODE)
    with pytest.raises(ConfigError, match=r"it differs in objectives"):
        join().begin(wishing("cheapest within 2 points in usd", objectives=("tokens",)), CODE)


def wishing(wish: str, **fields: Any) -> RunConfig:
    return RunConfig.model_validate({"wish": wish, **fields})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"code": "x"}, "other code than"),
        ({"data": {"train": "x"}}, "other data than"),
        ({"versions": {"python": "3.12"}}, "other versions than"),
        ({"code": "x", "data": {}}, "other code and other data than"),
    ],
)
def test_a_process_with_something_else_is_refused(
    join: Join, change: dict[str, Any], what: str
) -> None:
    join().begin(RunConfig(), CODE)

    with pytest.raises(ConfigError, match=what):
        join().begin(RunConfig(), CODE.model_copy(update=change))


def test_what_all_need_is_made_by_one(join: Join) -> None:
    made: list[int] = []

    def make() -> str:
        made.append(1)
        return f"pool {len(made)}"

    runs = [join() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda run: run.agree("pool.json", make), runs))

    assert texts == ["pool 1"] * 4


def test_many_run_one_search_and_tell_each_trial_once(join: Join, storage: str) -> None:
    runs = [join() for _ in range(4)]
    job = Job(0, in_memory)
    with ThreadPoolExecutor(4) as pool:
        searches = list(pool.map(lambda run: search_in(run, job.score), runs))
    executed = job.executed
    alone = search_in(join("alone"), job.score)

    assert [search.trials for search in searches] == [alone.trials] * 4
    assert executed == len(runs[0].rows())  # no task by two of them
    assert job.executed == executed  # another study finds what this one has paid for
    finished = told(storage)
    assert [t.number for t in finished] == list(range(CONFIG.trials))
    assert all(t.state.is_finished() for t in finished)


def test_who_joins_late_runs_nothing_again(join: Join) -> None:
    first = search_in(join())
    job = Job(0, in_memory)
    late = search_in(join(), job.score)

    assert late.trials == first.trials
    assert job.executed == 0


def test_the_space_of_a_study_is_checked(join: Join) -> None:
    search_in(join())
    run = join()
    no_model: Any = None
    evaluator = Evaluator(lambda: no_model, "other weights", Job(0, in_memory).score, run.rows())
    search = JointSearch(CONFIG, POOL, evaluator, run.study(["maximize"]), set_hypers, run.tell)

    with pytest.raises(ConfigError, match="was made with different code"):
        search.compile(Fake(0), valset=EXAMPLES)


@pytest.mark.postgres
def test_a_search_whose_server_stops_goes_on_later(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.new_database()
    job, stop_at = Job(0, in_memory), 7

    def score(*asked: Any) -> Any:
        if job.executed + 1 == stop_at:
            postgres.stop()
        return job.score(*asked)

    def join() -> closing[SharedRun]:
        return closing(SharedRun(tmp_path / "run", Database(url), "s", lease_seconds=1.0))

    with join() as run:
        try:
            with pytest.raises(StoreError, match="does not answer"):
                search_in(run, score, slots=1)
        finally:
            postgres.start()
    with join() as run:
        search = search_in(run, job.score, slots=1)
        kept = len(run.rows())

    assert len(search.trials) == CONFIG.trials
    assert job.executed == kept + 1  # what was being executed when the server stopped
