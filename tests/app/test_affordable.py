"""A job that could not pay for one evaluation is refused, and is told what one takes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lift_sys.app import affordable
from lift_sys.app.affordable import check_evaluation
from lift_sys.app.data import Data, load_data
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError
from lift_sys.sandbox.base import ClosedSandbox
from lift_sys.tasks import Case, Task
from programs.presets import make_program

SINGLE, DIRECT = (make_program(name, ClosedSandbox()) for name in ("single", "direct"))
TASK = Task(
    id="t", spec="Add one to a number.", entry_point="f", category="c", split="dev", source="",
    hidden=(Case(args="()", expected="1"),),
)  # fmt: skip
WORDS = Data(train=(), dev=(TASK,), test=(), hashes={})


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(RunConfig())


def check(data: Data, start: Any = SINGLE, *, joint: bool = True, **fields: Any) -> None:
    check_evaluation(RunConfig.model_validate(fields), data, start, joint=joint)


def least(refused: pytest.ExceptionInfo[ConfigError]) -> int:
    (named,) = re.findall(r"takes (?:about|at least) ([\d,]+);", str(refused.value))
    return int(named.replace(",", ""))


def test_a_search_that_cannot_pay_for_one_evaluation_is_refused(data: Data) -> None:
    with pytest.raises(ConfigError, match=r"one evaluation of all tasks takes about 1,\d{3};"):
        check(data, search_tokens=100)


def test_the_least_that_is_named_is_enough(data: Data) -> None:
    with pytest.raises(ConfigError) as refused:
        check(data, search_tokens=1)

    check(data, search_tokens=least(refused))
    with pytest.raises(ConfigError):
        check(data, search_tokens=least(refused) - 1)


def test_without_first_points_the_cheapest_point_is_what_must_be_paid(data: Data) -> None:
    dear = {"temperature": (0.0,), "ir_detail": ("basic",)}
    cheap = {"temperature": (0.0,), "ir_detail": ("basic", "none")}

    check(data, space=cheap, first_points=(), search_tokens=600)
    with pytest.raises(ConfigError, match="one evaluation"):
        check(data, space=dear, first_points=(), search_tokens=600)


def test_what_is_not_searched_is_as_in_the_program(data: Data) -> None:
    space = {"temperature": (0.0,)}

    check(data, DIRECT, space=space, first_points=(), search_tokens=600)
    with pytest.raises(ConfigError, match="one evaluation"):
        check(data, SINGLE, space=space, first_points=(), search_tokens=600)


def test_where_nothing_is_searched_the_program_is_what_must_be_paid(data: Data) -> None:
    check(data, joint=False, search_tokens=1)
    with pytest.raises(ConfigError, match="the budget in tokens is 3,000, and one evaluation"):
        check(data, joint=False, budget={"tokens": 3_000})
    with pytest.raises(ConfigError, match="the budget in tokens") as refused:
        check(data, DIRECT, joint=False, budget={"tokens": 1})
    check(data, DIRECT, joint=False, budget={"tokens": least(refused)})


def test_a_budget_must_pay_for_one_evaluation(data: Data) -> None:
    check(data, budget={"usd": 0.0001})  # it is free
    with pytest.raises(ConfigError, match="the budget in tokens is 3,000, and one evaluation"):
        check(data, budget={"tokens": 3_000})


def test_where_nothing_was_measured_a_task_needs_a_token(data: Data) -> None:
    unknown: dict[str, Any] = {"model": "qwen2.5-coder-7b"}

    check(data, **unknown, search_tokens=8)
    with pytest.raises(ConfigError, match="takes at least 8;"):
        check(data, **unknown, search_tokens=7)


@pytest.mark.parametrize("start", [None, SINGLE], ids=["not ours", "no rates"])
def test_where_nothing_was_measured_a_prompt_has_the_words_of_its_spec(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(affordable, "shipped_rates", dict)

    few: dict[str, Any] = {"search_tokens": 1}
    check(WORDS, start, **few, budget={"tokens": 6, "seconds": 1})
    with pytest.raises(ConfigError, match=r"the budget in tokens is 5, .* takes at least 6;"):
        check(WORDS, start, **few, budget={"tokens": 5})


def test_dollars_are_counted_by_the_price_of_the_cheapest_model() -> None:
    model: dict[str, Any] = {"model": "claude"}  # 3 USD for a million tokens in, 15 out

    check(WORDS, None, **model, budget={"usd": 0.0001})
    with pytest.raises(ConfigError, match=r"takes at least 0\.0001; give at least that"):
        check(WORDS, None, **model, budget={"usd": 0.00002})
    free = {"code_generator.model": ("qwen2.5-coder-0.5b",), "temperature": (0.0,)}
    check(WORDS, None, **model, space=free, budget={"usd": 0.00002})
