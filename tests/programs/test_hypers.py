"""Hypers keep their values through everything DSPy does to a program, and refuse wrong ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest

from lift_sys.errors import ConfigError
from lift_sys.inference.scripted import AsyncScriptedEngine, ScriptedEngine
from programs.hypers import Hyper, Space, hypers_of, set_hypers


class Inner(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depth = Hyper("depth", 1, 2)


class Small(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")
        self.inner = Inner()
        self.reason = Hyper("reason", False, True)
        self.temperature = Hyper("temperature", 0.0, 0.5, 1.0)
        self.sees = Hyper("sees", "ir", "spec")

    def forward(self, question: str) -> dspy.Prediction:
        return self.predict(question=question)


DEFAULTS = {"inner.depth": 1, "reason": False, "temperature": 0.0, "sees": "ir"}
CHANGED = {"inner.depth": 2, "reason": True, "temperature": 0.5, "sees": "spec"}
EXAMPLES = [dspy.Example(question=q, answer="yes").with_inputs("question") for q in "abcd"]


def values(program: dspy.Module) -> dict[str, Any]:
    return {path: hyper.value for path, hyper in hypers_of(program).items()}


def changed() -> Small:
    program = Small()
    set_hypers(program, CHANGED)
    return program


def _through_json(program: Small) -> dspy.Module:
    fresh = Small()
    fresh.load_state(json.loads(json.dumps(program.dump_state())))
    return fresh


def _labeled(program: Small) -> Any:
    return dspy.LabeledFewShot(k=2).compile(program, trainset=EXAMPLES)


def _bootstrapped(program: Small) -> Any:
    engine = ScriptedEngine(lambda _: "[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]")
    lm = dspy.LM(
        "local/script",
        engine=engine,
        async_engine=AsyncScriptedEngine(engine),
        cache=False,
        num_retries=0,
    )
    optimizer = dspy.BootstrapFewShot(
        metric=lambda gold, pred, trace=None: gold.answer == pred.answer, max_bootstrapped_demos=2
    )
    with dspy.context(lm=lm):
        return optimizer.compile(program, trainset=EXAMPLES)


@pytest.mark.parametrize(
    "through",
    [
        _through_json,
        copy.deepcopy,
        lambda p: p.deepcopy(),
        lambda p: p.reset_copy(),
        _labeled,
        _bootstrapped,
    ],
    ids=["json", "deepcopy", "module-deepcopy", "reset_copy", "labeled", "bootstrapped"],
)
def test_values_survive(through: Callable[[Small], Any]) -> None:
    program = changed()
    result = through(program)
    assert values(result) == CHANGED
    set_hypers(result, DEFAULTS)
    assert values(program) == CHANGED, "a copy shares its hypers with the original"


def test_compiling_added_demos_and_no_others() -> None:
    assert len(_labeled(changed()).predict.demos) == 2
    assert [d.get("augmented") for d in _bootstrapped(changed()).predict.demos[:2]] == [True, True]


def test_a_file_keeps_values(tmp_path: Path) -> None:
    changed().save(tmp_path / "program.json")
    fresh = Small()
    fresh.load(tmp_path / "program.json")
    assert values(fresh) == CHANGED


def test_paths_come_in_one_order() -> None:
    assert list(hypers_of(Small())) == list(hypers_of(Small().deepcopy()))
    assert set(hypers_of(Small())) == set(DEFAULTS)
    assert values(Small()) == DEFAULTS


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"inner.depth": 3}, r"3 is not a value of the hyper 'inner\.depth'; choose one of: 1, 2"),
        ({"inner.depth": True}, "True is not a value"),
        ({"inner.depth": 1.0}, r"1\.0 is not a value"),
        ({"inner.depth": "1"}, "'1' is not a value"),
        ({"reason": 1}, "1 is not a value of the hyper 'reason'; choose one of: False, True"),
        ({"reason": None}, "None is not a value"),
        ({"temperature": False}, "False is not a value"),
        ({"temperature": float("nan")}, "nan is not a value"),
        ({"sees": "code"}, "choose one of: 'ir', 'spec'"),
        ({"sees": ["ir"]}, "is not a value"),
        ({"depth": 1}, r"there is no hyper 'depth'; this program has: .*inner\.depth"),
    ],
)
def test_a_wrong_value_changes_nothing(wrong: dict[str, Any], says: str) -> None:
    program = Small()
    first = {"reason": True, "sees": "spec"}
    with pytest.raises(ConfigError, match=says):
        set_hypers(program, {k: v for k, v in first.items() if k not in wrong} | wrong)
    assert values(program) == DEFAULTS


def test_a_state_with_a_wrong_value_changes_nothing() -> None:
    state = changed().dump_state()
    state["sees"] = {"value": "nothing"}
    program = Small()
    with pytest.raises(ConfigError, match="'nothing' is not a value of the hyper 'sees'"):
        program.load_state(state)
    assert values(program) == DEFAULTS


@pytest.mark.parametrize("value", [7, "two", None])
def test_one_hyper_refuses_and_keeps_its_value(value: Any) -> None:
    hyper = Hyper("n", 1, 2)
    hyper.set(2)
    with pytest.raises(ConfigError, match="hyper 'n'"):
        hyper.set(value)
    with pytest.raises(ConfigError, match="hyper 'n'"):
        hyper.load_state({"value": value})
    assert hyper.value == 2


def test_a_whole_number_stands_for_a_float() -> None:
    program = Small()
    set_hypers(program, {"temperature": 1})
    assert type(hypers_of(program)["temperature"].value) is float


def test_a_space_asks_a_real_study() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spaces = {path: hyper.space for path, hyper in hypers_of(Small()).items()}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: dict[str, set[Any]] = {path: set() for path in spaces}

    def objective(trial: optuna.Trial) -> float:
        program = Small()
        point = {path: space.suggest(trial, path) for path, space in spaces.items()}
        assert point == trial.params
        set_hypers(program, point)
        for path, value in point.items():
            seen[path].add(value)
        return 0.0

    study.optimize(objective, n_trials=20)
    assert seen == {path: set(space.choices) for path, space in spaces.items()}


def test_a_suggestion_outside_the_space_is_refused() -> None:
    class Odd:
        def suggest_categorical(self, name: str, choices: Any) -> Any:
            return "odd"

    with pytest.raises(ConfigError, match="'odd' is not a value of the hyper 'x'"):
        Space((1, 2)).suggest(Odd(), "x")


def test_a_space_may_take_more_than_its_choices() -> None:
    hyper = Hyper("model", "program", "a", also=lambda value: str(value).startswith("x/"))
    hyper.set("x/y")
    assert hyper.dump_state() == {"value": "x/y"}
    with pytest.raises(ConfigError, match="'y' is not a value of the hyper 'model'"):
        hyper.set("y")
