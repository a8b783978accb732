"""The final table says what the rows say, with intervals, pairs and the tokens of both sides."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.app.cost import whole_cost
from lift_sys.app.report import Report, build_report, summarise
from lift_sys.app.tables import markdown
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.usage import CallRecord
from lift_sys.verdict import FailureCategory, Score, Status
from metrics.stats import Rate
from optimizers.rows import Row


def call(key: str = "", *, tokens: int = 10, seconds: float = 2.0) -> CallRecord:
    return CallRecord(
        model="qwen2.5-coder-0.5b",
        prompt_tokens=100,
        cached_tokens=25,
        completion_tokens=tokens,
        seconds=seconds,
        key=key,
    )


def row(number: int, *, passed: bool, **changes: Any) -> Row:
    status = Status.PASSED if passed else Status.TIMEOUT
    fields: dict[str, Any] = {
        "key": f"row-{number}",
        "label": "x",
        "task_id": f"t{number}",
        "category": "even" if number % 2 == 0 else "odd",
        "score": Score(value=float(passed), passed=passed, status=status, feedback=""),
        "code": "c",
        "ir": None,
        "failure": None,
        "attempts": 1,
        "calls": (call(),),
        "seconds": 2.5,
        "trace": (),
    }
    return Row.model_validate(fields | changes)


def rows(passed: str, prefix: str = "", **changes: Any) -> list[Row]:
    return [row(i, passed=p == "1", key=f"{prefix}{i}", **changes) for i, p in enumerate(passed)]


def test_the_figures_of_one_program() -> None:
    some = [*rows("110"), row(3, passed=False, failure="truncated: the code stage was cut off")]
    found = summarise("direct", some)
    assert found.rate == Rate.of(2, 4)
    assert found.outcomes == {"t0": True, "t1": True, "t2": False, "t3": False}
    assert found.categories == {"t0": "even", "t1": "odd", "t2": "even", "t3": "odd"}
    assert found.by_category == {"even": Rate.of(1, 2), "odd": Rate.of(1, 2)}
    assert found.failures == {"t2": "timeout", "t3": "truncated: the code stage was cut off"}
    assert (found.usage.calls, found.usage.completion_tokens, found.seconds) == (4, 40, 10.0)


FIRST = rows("000000000", "a", calls=(call(tokens=1000),))
SECOND = rows("111111000", "b")
THIRD = rows("011111000", "c")


def make_report() -> Report:
    tables = {"direct": FIRST, "zero-shot IR": SECOND, "winner": THIRD}
    return build_report("phase3", "0" * 64, tables, [*FIRST, *SECOND, *THIRD])


def test_every_later_program_is_compared_with_every_earlier_one() -> None:
    pairs = make_report().comparisons
    assert [(p.first, p.second) for p in pairs] == [
        ("direct", "zero-shot IR"),
        ("direct", "winner"),
        ("zero-shot IR", "winner"),
    ]
    assert [(p.first_tokens, p.second_tokens) for p in pairs] == [(9000, 90), (9000, 90), (90, 90)]


def test_comparisons_made_together_are_corrected_together() -> None:
    found = [p.comparison for p in make_report().comparisons]
    assert [c.p_value for c in found] == [0.03125, 0.0625, 1.0]
    assert [c.p_corrected for c in found] == [0.09375, 0.125, 1.0]
    assert all(c.verdict.startswith("not enough evidence: about ") for c in found)


def test_a_single_comparison_is_not_corrected() -> None:
    report = build_report("phase3", "0" * 64, {"direct": FIRST, "zero-shot IR": SECOND}, [])
    assert report.comparisons[0].comparison.verdict == "better"
    text = markdown(report)
    assert "9 tasks show a difference (p ≤ 0.05) only from 6 one-sided flips on" in text
    assert "orrect" not in text
    assert "exact McNemar p = 0.031, 90 against 9,000 tokens out: better." in text


def failing(number: int, category: FailureCategory | None) -> Row:
    score = Score(value=0, passed=False, status=Status.TIMEOUT, feedback="", category=category)
    return row(number, passed=False, key=f"{category}{number}", score=score)


LITERAL, SYNTAX = FailureCategory.WRONG_LITERAL, FailureCategory.SYNTAX


def test_failures_are_counted_by_category_and_program() -> None:
    first = [failing(0, SYNTAX), failing(1, LITERAL), failing(2, LITERAL), row(3, passed=True)]
    second = [*rows("11"), failing(2, SYNTAX), failing(3, FailureCategory.TRUNCATED)]
    report = build_report("d", "0" * 64, {"direct": first, "winner": second}, [])
    assert report.results[0].failure_categories == {"t0": SYNTAX, "t1": LITERAL, "t2": LITERAL}
    table = (
        "\n\n| failure | direct | winner |\n|---|---:|---:|\n| wrong literal | 2 | 0 |\n"
        "| syntax | 1 | 1 |\n| truncated | 0 | 1 |\n\n- "
    )
    assert table in markdown(report)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_rows_and_reports_of_earlier_releases_have_no_table_of_failures() -> None:
    report = build_report("d", "0" * 64, {"direct": [failing(0, None)]}, [])
    assert report.results[0].failure_categories == {}
    assert "| failure |" not in markdown(report)
    old = report.model_dump(mode="json")
    del old["results"][0]["failure_categories"]
    assert Report.model_validate(old) == report


def test_answers_that_rows_share_are_generated_once() -> None:
    shared, other = call("k1"), call("k2", seconds=3.0)
    every = [
        row(0, passed=True, key="a", calls=(shared, other), seconds=5.5),
        row(1, passed=True, key="b", calls=(shared,), seconds=2.5),
        row(2, passed=True, key="c", calls=(call(), call()), seconds=4.0),
    ]
    report = build_report("d", "0" * 64, {"p": every}, every)
    assert report.results[0].usage.calls == 5
    assert (report.usage.calls, report.usage.seconds) == (4, 9.0)
    assert report.overhead_seconds == pytest.approx(1.0)
    assert report.share_outside_model == pytest.approx(0.1)
    assert "4 answers generated, 40 tokens out, 400 in (25% from the prefix cache)" in markdown(
        report
    )


def test_answers_of_other_runs_are_told_apart() -> None:
    mine, theirs, unnamed = call("mine"), call("theirs", seconds=7.0), call()
    every = [
        row(0, passed=True, key="a", calls=(mine, theirs), seconds=9.5),
        row(1, passed=True, key="b", calls=(theirs,), seconds=99.0),
        row(2, passed=True, key="c", calls=(unnamed,), seconds=2.5),
    ]
    taken_over = call("copied").model_copy(update={"reused": True})
    kept = [
        StoredCall(key=record.key, text="", record=record)
        for record in (mine, call("of an optimizer"), taken_over)
    ]
    others = [call("of an optimizer"), call("copied")]
    report = build_report("d", "0" * 64, {"p": every}, every)
    told = report.model_copy(update=whole_cost(every, others, kept))

    assert (told.usage.calls, told.taken.calls) == (3, 2)
    assert told.overhead_seconds == pytest.approx(0.5 + 0.5)
    text = markdown(told)
    assert "Whole run: 3 answers generated, 30 tokens out, 300 in" in text
    assert "(14.3%); 2 more with 20 tokens out were taken from other runs." in text
    assert (report.usage.calls, report.taken.calls) == (3, 0)
    assert "taken" not in markdown(report)


def test_of_calls_that_overlapped_the_backends_time_is_told() -> None:
    calls = tuple(call().model_copy(update={"share": 0.5}) for _ in range(2))
    every = [row(0, passed=True, calls=calls, seconds=2.5)]
    report = build_report("d", "0" * 64, {"p": every}, every)
    assert report.share_outside_model is None
    assert "s of calls, which overlapped: backends were busy for 1 s" in markdown(report)


def test_a_run_without_calls_has_no_share() -> None:
    nothing = build_report("d", "0" * 64, {"p": [row(0, passed=False, calls=(), seconds=0.0)]}, [])
    assert nothing.share_outside_model == 0.0
    assert "no call of a model was counted" in markdown(nothing)


def test_programs_on_different_tasks_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same tasks"):
        build_report("d", "0" * 64, {"a": rows("11"), "b": rows("111")}, [])


def test_json_loses_nothing() -> None:
    report = make_report()
    back = Report.model_validate_json(report.model_dump_json())
    assert back == report
    assert markdown(back) == markdown(report)


def test_stages_in_the_order_of_their_first_call() -> None:
    ir = call(tokens=30).model_copy(update={"stage": "ir"})
    code = call(tokens=7).model_copy(update={"stage": "code"})
    cut = code.model_copy(update={"finish_reason": "length", "cached_tokens": 75})
    some = [row(0, passed=True, calls=(ir, code)), row(1, passed=False, calls=(ir, cut))]
    report = build_report("d", "0" * 64, {"direct": rows("11"), "single": some}, [])
    stages = [(s.stage, s.usage.completion_tokens, s.truncated) for s in report.results[1].stages]
    assert stages == [("ir", 60, 0), ("code", 14, 1)]
    assert (
        "\n\n| program | stage | calls | tokens out | tokens in | cached | seconds | truncated |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|\n"
        "| direct | unnamed | 2 | 20 | 200 | 25% | 4 | 0 |\n"
        "| single | ir | 2 | 60 | 200 | 25% | 4 | 0 |\n"
        "| single | code | 2 | 14 | 200 | 50% | 4 | 1 |\n\n- "
    ) in markdown(report, detailed=True)
    assert "| stage |" not in markdown(report)


def test_only_the_pairs_asked_for_are_compared() -> None:
    tables = {"direct": FIRST, "zero-shot IR": SECOND, "winner": THIRD}
    pairs = [("direct", "winner"), ("zero-shot IR", "direct")]
    report = build_report("d", "0" * 64, tables, [], pairs)
    assert [(p.first, p.second) for p in report.comparisons] == pairs
    found = [p.comparison for p in report.comparisons]
    assert [c.p_value for c in found] == [0.0625, 0.03125]
    assert [c.p_corrected for c in found] == [0.0625, 0.0625]
