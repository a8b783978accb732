"""What programs cost in USD, and how that is said where a price is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.app.cost import Latency, ProgramCost, Spent, total_usd, whole_cost
from lift_sys.app.cost_tables import cost_lines, spent_sentence
from lift_sys.app.report import Report, build_report
from lift_sys.app.tables import markdown
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo, Price
from lift_sys.inference.usage import CallRecord
from lift_sys.verdict import Score, Status
from optimizers.rows import Row

FREE, HOURLY, TOKENS, UNKNOWN = "qwen2.5-coder-0.5b", "qwen2.5-coder-7b", "claude", "mine"
DAY = date(2026, 1, 2)


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    own = [
        ModelInfo(id=UNKNOWN, backend="vllm", name=UNKNOWN),
        catalogue.get(HOURLY).model_copy(update={"price": Price(hour=3.6, as_of=DAY)}),
    ]
    catalogue.use(own)
    yield
    catalogue.use(())


def call(model: str, stage: str = "code", seconds: float = 2.0, **changes: object) -> CallRecord:
    fields = {"prompt_tokens": 1000, "completion_tokens": 100, "seconds": seconds}
    return CallRecord.model_validate({"model": model, "stage": stage, **fields, **changes})


def row(number: int, *calls: CallRecord) -> Row:
    score = Score(value=1.0, passed=True, status=Status.PASSED, feedback="")
    return Row(
        key=f"r{number}",
        label="x",
        task_id=f"t{number}",
        category="any",
        score=score,
        code="c",
        ir=None,
        failure=None,
        attempts=1,
        calls=calls,
        seconds=1.0 + number,
        trace=(),
    )


def test_the_prices_of_the_user_hold_and_a_call_pays_for_its_share() -> None:
    spent = Spent.of([call(HOURLY, share=1.0), call(HOURLY, seconds=3.0), call(FREE)])
    assert spent
    assert spent.usd == pytest.approx(0.001 + 0.003)
    assert (spent.models, spent.unpriced, spent.as_of) == ((HOURLY, FREE), (), DAY)
    assert spent_sentence(spent) == " It cost 0.0040 USD at the prices of 2026-01-02."


def test_what_is_free_is_not_told() -> None:
    assert Spent.of([call(FREE)]) is Spent.of([]) is None
    assert ProgramCost.of([row(0, call(FREE))]) is None
    assert cost_lines({}, detailed=True) == []
    assert spent_sentence(None) == ""


@pytest.mark.parametrize("model", [UNKNOWN, "openai/some", "someone's own"])
def test_a_price_that_is_missing_makes_the_sum_unknown_and_never_nothing(model: str) -> None:
    cost = ProgramCost.of([row(0, call(TOKENS)), row(1, call(model), call(TOKENS))])
    assert cost
    assert cost.spent.usd is None
    assert cost.tasks["t0"] == pytest.approx((1000 * 3 + 100 * 15) / 1e6)
    assert cost.tasks["t1"] is None
    assert f"no price of {model} is known" in spent_sentence(cost.spent)
    lines = cost_lines({"direct": cost}, detailed=True)
    assert "| direct | unknown | unknown | 1.5 (1.9) |" in lines
    assert "| direct | code | unknown | 2.0 (2.0) |" in lines
    assert f"| direct | {TOKENS} | 0.035 | unknown | 2–5, at most 10 | no IR |" in lines


def test_each_stage_and_the_plan_beside_it() -> None:
    rows = [row(i, call(HOURLY, "ir", float(i)), call(HOURLY)) for i in range(5)]
    cost = ProgramCost.of(rows)
    assert cost
    lines = cost_lines({"single": cost}, detailed=True)
    assert "| single | 0.0200 | 0.0040 | 3.0 (4.8) |" in lines
    assert "| single | ir | 0.0100 | 2.0 (3.8) |" in lines
    assert "| single | code | 0.0100 | 2.0 (2.0) |" in lines
    assert f"| single | {HOURLY} | 0.005 | 0.0040 | 2–5, at most 10 | 2.0 (3.8) |" in lines
    brief = cost_lines({"single": cost}, detailed=False)
    assert "| single | ir | 0.0100 | 2.0 (3.8) |" not in brief
    assert len(brief) < len(lines)


def test_a_report_tells_it_only_where_something_is_charged() -> None:
    def report(model: str) -> Report:
        return build_report("mine", "0", {"direct": [row(0, call(model, key="k"))]}, [])

    free, charged = report(FREE), report(HOURLY)
    assert "USD" not in markdown(free, detailed=True)
    assert "| direct | 0.0020 | 0.0020 | 1.0 (1.0) |" in markdown(charged)
    assert Report.model_validate_json(charged.model_dump_json()) == charged


def test_a_whole_run_counts_each_answer_once() -> None:
    rows = [row(0, call(HOURLY, key="k")), row(1, call(HOURLY, key="k", reused=True))]
    told = whole_cost(rows, [call(HOURLY, key="other")])
    assert told["usage"].calls == 2
    assert told["spent"].usd == pytest.approx(0.004)
    assert build_report("mine", "0", {"x": rows}, rows).spent == Spent.of([call(HOURLY)])


@given(st.lists(st.sampled_from([FREE, HOURLY, TOKENS, UNKNOWN]), max_size=8))
def test_a_sum_is_known_exactly_where_every_part_is(models: list[str]) -> None:
    calls = [call(model) for model in models]
    total = total_usd(calls)
    assert (total is None) == (UNKNOWN in models)
    if total is not None:
        assert total == pytest.approx(sum(catalogue.usd(c) or 0 for c in calls))


@given(st.lists(st.floats(0, 1e3), min_size=1))
def test_a_median_is_in_the_middle_and_p95_is_no_less(seconds: list[float]) -> None:
    latency = Latency.of(seconds)
    slack = 1e-9
    assert min(seconds) - slack <= latency.median <= latency.p95 + slack
    assert latency.p95 <= max(seconds) + slack
