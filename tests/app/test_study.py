"""Optimizing from Python: a caller's own program, metric, tasks, model and optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.teleprompt.teleprompt import Teleprompter

import lift_sys
from lift_sys.app import models
from lift_sys.errors import BudgetSpent, ConfigError, DatasetError, ProviderError
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from optimizers.recipes import RECIPES
from optimizers.trials import Trial
from tests.app.own_study import (
    TASKS,
    Own,
    is_short,
    scripted,
    study,
)
from tests.optimizers.half_known import answer as answer_ours


def test_hypers_of_a_program_of_ones_own_are_searched(tmp_path: Path) -> None:
    found = study(tmp_path)

    assert found.program.care.value is True
    assert [(r.name, r.rate.passed) for r in found.report.results][1:] == [("compiled winner", 3)]
    assert found.trials[0].point == {"demos": "none", "care": False}
    assert found.artifact is None
    assert found.report.search is not None
    assert found.text == (found.run / "report.md").read_text()
    assert "5 * 9" in found.program(spec="Multiply by 9.").code


def test_the_program_given_is_not_changed(tmp_path: Path) -> None:
    program = Own()
    before = program.dump_state()
    study(tmp_path, program)

    assert program.dump_state() == before


def test_the_same_call_asks_nothing_again(tmp_path: Path) -> None:
    lm, engine = scripted()
    first = study(tmp_path, model=lm)
    asked = len(engine.requests)
    again = study(tmp_path, model=lm)

    assert len(engine.requests) == asked
    assert (again.trials, again.text, again.run) == (first.trials, first.text, first.run)


def test_another_metric_is_another_run(tmp_path: Path) -> None:
    first = study(tmp_path)
    other = study(tmp_path, metric=is_short, threshold=0.5)

    assert other.run != first.run
    assert all(trial.passed == trial.tried for trial in other.trials)


def test_a_metric_of_ones_own_decides(tmp_path: Path) -> None:
    found = study(tmp_path, metric=is_short)

    assert found.program.care.value is True
    assert (found.run / "rows.jsonl").read_text().count('"value":0.5') > 0


def test_demos_come_from_the_programs_own_traces(tmp_path: Path) -> None:
    found = study(tmp_path, space={}, demos=1, trials=2)
    points = [trial.point["demos"] for trial in found.trials]

    assert set(points) <= {"none", "traced-1"}
    assert '"name": "traced-1"' in (found.run / "pool.json").read_text()


OWN_OPTIMIZER = dspy.BootstrapFewShot(
    metric=is_short, metric_threshold=1.0, max_bootstrapped_demos=1, max_labeled_demos=0
)


@pytest.mark.parametrize("optimizer", ["bootstrap_few_shot", OWN_OPTIMIZER])
def test_any_teleprompter_may_be_the_optimizer(
    tmp_path: Path, optimizer: str | Teleprompter
) -> None:
    found = study(tmp_path, optimizer=optimizer)

    assert (found.trials, found.artifact) == ((), None)
    assert [r.name for r in found.report.results] == ["as given", "compiled winner"]
    assert len(found.program.write.demos) >= 1
    with pytest.raises(ConfigError, match="only a joint search"):
        found.at(Trial(number=0, point={}, passed=0, tried=1, tokens=0, complete=True))


def test_a_front_is_kept_and_a_wish_chooses_from_it(tmp_path: Path) -> None:
    found = study(tmp_path, objectives=("tokens",), wish="cheapest within 70 points")
    cheapest = min(found.front, key=lambda trial: trial.tokens)

    assert found.report.front is not None
    assert found.report.front.answer.trial == cheapest.number
    assert found.at(cheapest).care.value == found.program.care.value
    for member in found.report.front.members:
        loaded = Own()
        loaded.load(found.run / member.artifact)
        assert loaded.care.value == found.trials[member.trial].point["care"]


def test_a_program_that_was_found_can_be_optimized_further(tmp_path: Path) -> None:
    found = study(tmp_path, trials=1)
    again = study(tmp_path, found.program, trials=2)

    assert again.program.care.value is True


def test_a_program_of_ones_own_is_kept_as_a_state(tmp_path: Path) -> None:
    found = study(tmp_path)
    loaded = Own()
    loaded.load(found.run / "program.json")

    assert loaded.care.value is True
    assert loaded.write.demos == found.program.write.demos


def test_a_program_of_ours_is_named_and_searched_as_in_a_job(tmp_path: Path) -> None:
    found = study(tmp_path, "single", model=scripted(answer_ours)[0], trials=1)

    assert found.trials[0].point["code_sees"] == "ir"
    assert found.artifact is None


def test_a_budget_ends_the_search_and_the_report_says_so(tmp_path: Path) -> None:
    found = study(tmp_path, trials=6, budget={"tokens": 2_500})

    assert found.report.budget is not None
    assert sum(s.tokens for s in found.report.budget.phases.values()) <= 2_500
    with pytest.raises(BudgetSpent):
        study(tmp_path / "small", budget={"tokens": 60})


def test_a_hyper_may_not_be_called_as_a_dimension_of_the_search(tmp_path: Path) -> None:
    program = Own()
    program.demos = lift_sys.Hyper("demos", 0, 1)
    with pytest.raises(ConfigError, match="called 'demos'; rename the hyper"):
        study(tmp_path, program)


@pytest.mark.parametrize("optimizer", ["joint", "bootstrap_few_shot"])
def test_a_program_of_ours_has_an_artifact(
    tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: Any, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine: Any = ScriptedEngine(answer_ours)
        engine = ReplayEngine(engine, "script", calls) if calls is not None else engine
        return dspy.LM("local/script", engine=engine, cache=False, num_retries=0)

    monkeypatch.setattr(models, "build_lm", build)
    found = lift_sys.optimize(
        "single", TASKS, runs=tmp_path, trials=1, demos=1, optimizer=optimizer
    )

    assert found.artifact is not None
    loaded = lift_sys.load_artifact(found.artifact)
    assert loaded.scores["dev"].total == 3
    assert loaded.provenance["data_sha256"].keys() == {"given train tasks", "given dev tasks"}


def test_a_program_that_fails_scores_nothing(tmp_path: Path) -> None:
    program = dspy.Predict("spec -> code, more")
    found = study(tmp_path, program, model=scripted(lambda _: "[[ ## code ## ]]\nx")[0], trials=1)

    assert found.trials[0].passed == 0
    assert all("AdapterParseError" in f for f in found.report.results[0].failures.values())


# The script proposes no instructions to COPRO; a KNN needs a program that shows the nearest demos.
@pytest.mark.parametrize(
    "optimizer", ["joint", *sorted(RECIPES.keys() - {"copro", "knn_few_shot"})]
)
def test_a_metric_that_raises_ends_the_study_in_one_sentence(
    tmp_path: Path, optimizer: str
) -> None:
    def broken(*_: Any) -> float:
        msg = "no such column"
        raise KeyError(msg)

    says = r"the metric 'broken' raised an error on the task '\w+' \(KeyError: 'no such column'\)"
    with pytest.raises(ConfigError, match=says):
        study(tmp_path, optimizer=optimizer, metric=broken, trials=8, demos=1)


def test_a_backend_that_fails_ends_the_study(tmp_path: Path) -> None:
    lm = dspy.LM("local/script", engine=ScriptedEngine([]), cache=False, num_retries=0)
    with pytest.raises(ProviderError, match="the script has 0 answers"):
        study(tmp_path, model=lm)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"space": {"nothing": (1,)}}, ConfigError, "hypers of this program are: care"),
        ({"space": {"care": ("x",)}}, ConfigError, "'x' is not a value"),
        ({"program": dspy.Predict("a -> b")}, ConfigError, "does not take a task's 'spec'"),
        ({"program": "no_such"}, ConfigError, "there is no preset 'no_such'"),
        ({"model": "no-such-model"}, lift_sys.LiftError, "unknown model"),
        ({"trials": 0}, ConfigError, "wrong at trials"),
        ({"optimizer": "no_such"}, ConfigError, "there is no optimizer 'no_such'"),
        ({"colour": 1}, ConfigError, "no option 'colour'"),
        ({"tasks": []}, DatasetError, "no dev task"),
        ({"tasks": [1, 2]}, DatasetError, "a list of lift_sys.Task, not int"),
        ({"tasks": 3}, DatasetError, "a list of lift_sys.Task, not int"),
        ({"dev": [None]}, DatasetError, "a list of lift_sys.Task, not NoneType"),
        ({"program": 3}, ConfigError, "program is of type int; it must be a dspy.Module"),
        ({"program": Own}, ConfigError, "program is the class Own; it must be a dspy.Module"),
        ({"model": 3}, ConfigError, "model is of type int; it must be a dspy.LM"),
        ({"metric": 3}, ConfigError, "metric is of type int; it must be a function"),
        ({"optimizer": 3, "tasks": TASKS[:1], "dev": TASKS[1:]}, ConfigError, "optimizer is of"),
        ({"optimizer": "knn_few_shot"}, ConfigError, "as the presets do; for another choose one"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        study(tmp_path, **options)
