"""What a search is given that it cannot use, and task sets that show nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest

from lift_sys.errors import ConfigError, LiftError, StoreError
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch, SearchConfig
from optimizers.pools import Pool
from optimizers.space import make_space
from programs.hypers import set_hypers
from tests.optimizers.searching import (
    CONFIG,
    EXAMPLES,
    POOL,
    SPACE,
    TASKS,
    Fake,
    Job,
    in_memory,
    journal,
    verdict,
)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def search(
    job: Job,
    config: SearchConfig = CONFIG,
    examples: list[dspy.Example] = EXAMPLES,
    score: Callable[..., Score] | None = None,
    **given: Any,
) -> JointSearch:
    """Run a search with one part of it replaced."""
    study = optuna.create_study(
        study_name="s", storage=job.storage(), direction="maximize", load_if_exists=True
    )
    no_model: Any = None
    evaluator = Evaluator(lambda: no_model, given.get("code", "m"), score or job.score, job)
    joint = JointSearch(config, given.get("pool", POOL), evaluator, study, set_hypers)
    joint.compile(given.get("student", Fake(job.table)), valset=examples)
    return joint


@pytest.mark.parametrize(
    ("config", "examples", "says"),
    [
        (CONFIG, [], "nothing to select on"),
        (CONFIG, [dspy.Example(task_id="t9")], "the task 't9' is not known"),
        (replace(CONFIG, trials=0), EXAMPLES, "at least one trial"),
    ],
)
def test_nothing_to_search_with_is_refused(
    config: SearchConfig, examples: list[dspy.Example], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        search(Job(0, in_memory), config, examples)


def test_a_single_task_is_enough() -> None:
    joint = search(Job(0, in_memory), CONFIG, EXAMPLES[:1])
    assert len(joint.trials) == CONFIG.trials
    assert joint.best.tried == 1


@pytest.mark.parametrize("passed", [True, False])
def test_where_all_or_nothing_passes_the_cheapest_wins(passed: bool) -> None:
    def score(task: Task, answer: dspy.Prediction) -> Score:
        return verdict(passed=passed)

    joint = search(Job(0, in_memory), score=score)
    complete = [trial for trial in joint.trials if trial.complete]
    assert joint.best.passed == (len(TASKS) if passed else 0)
    assert joint.best.tokens == min(trial.tokens for trial in complete)


def _raises(task: Task, answer: dspy.Prediction) -> Score:
    if task.id == "t2":
        raise KeyError("gone")
    return verdict(passed=True)


def _nan(task: Task, answer: dspy.Prediction) -> Score:
    value = math.nan if task.id == "t1" else 1.0
    return verdict(passed=True).model_copy(update={"value": value})


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (_raises, "the metric '_raises' raised an error on the task 't2' (KeyError: 'gone')"),
        (_nan, "the metric '_nan' returned nan for the task 't1', which cannot be compared"),
    ],
)
def test_a_broken_metric_ends_the_search_and_is_named(
    metric: Callable[..., Score], says: str
) -> None:
    job = Job(0, in_memory)
    with pytest.raises(ConfigError) as caught:
        search(job, score=metric)
    assert says in str(caught.value)
    assert len(job.rows) == int(says[says.index("task 't") + 7])


def _with_instructions() -> Fake:
    program = Fake(0)
    program.write.signature = program.write.signature.with_instructions("Be terse.")
    return program


OTHER_SPACE = make_space({"demos": POOL.names, **SPACE, "mode": ("a", "b")}, {})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"config": replace(CONFIG, space=OTHER_SPACE)}, "space"),
        ({"examples": EXAMPLES[1:]}, "tasks"),
        ({"examples": EXAMPLES[::-1]}, "tasks"),
        ({"pool": Pool(sets=POOL.sets[:1])}, "demos"),
        ({"code": "other"}, "code"),
        ({"student": _with_instructions()}, "program"),
        ({"config": replace(CONFIG, seed=6)}, "settings"),
        ({"config": replace(CONFIG, drop_alpha=0.1)}, "settings"),
    ],
)
def test_a_study_of_another_search_is_refused(
    change: dict[str, Any], what: str, tmp_path: Path
) -> None:
    job = Job(0, journal(tmp_path / "journal"))
    short = replace(CONFIG, trials=1)
    search(job, short)
    change = {"config": short, **change}
    with pytest.raises(ConfigError, match=f"'s' was made with different {what}; begin a new"):
        search(job, **change)
    study = optuna.create_study(study_name="s", storage=job.storage(), load_if_exists=True)
    assert len(study.trials) == 1


def test_a_search_may_go_on_for_longer(tmp_path: Path) -> None:
    job = Job(0, journal(tmp_path / "journal"))
    short = search(job, replace(CONFIG, trials=3))
    longer = search(job)
    assert longer.trials[:3] == short.trials
    assert longer.trials == search(Job(0, in_memory)).trials


def test_a_study_with_other_trials_is_refused(tmp_path: Path) -> None:
    job = Job(0, journal(tmp_path / "journal"))
    study = optuna.create_study(study_name="s", storage=job.storage(), direction="maximize")
    study.tell(study.ask(), 1.0)
    with pytest.raises(ConfigError, match="'s' was not made by this release"):
        search(job)


def test_storage_that_fails_is_named_and_nothing_stored_is_lost(tmp_path: Path) -> None:
    class Failing(Job):
        def put(self, row: Any) -> None:
            if len(self.rows) == 6:
                (tmp_path / "journal").unlink()
                (tmp_path / "journal").mkdir()
            super().put(row)

    job = Failing(0, journal(tmp_path / "journal"))
    with pytest.raises(StoreError, match="the storage of the study 's' failed") as caught:
        search(job)
    assert isinstance(caught.value, LiftError)
    assert len(job.rows) >= 7
    (tmp_path / "journal").rmdir()
    executed = job.executed
    again = search(job)
    assert again.trials == search(Job(0, in_memory)).trials
    assert job.executed - executed == len(job.rows) - executed
