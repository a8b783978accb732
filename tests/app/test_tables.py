"""A report in words: the table, what a search tried, and what its figures cannot show."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.app import tables
from lift_sys.app.front import Front
from lift_sys.app.report import Report, Search, TokenMatch, build_report
from lift_sys.app.spending import BudgetUse
from lift_sys.app.tables import markdown
from lift_sys.config import Budget
from lift_sys.inference.usage import Usage
from metrics.stats import Rate, p_text
from tests.app.test_report import FIRST, make_report, row


def test_a_tiny_p_is_not_printed_as_zero() -> None:
    assert [p_text(p) for p in (1.0, 0.0312, 0.0005, 0.0004)] == [
        "= 1.000",
        "= 0.031",
        "= 0.001",
        "< 0.001",
    ]


def test_the_table_as_markdown() -> None:
    text = markdown(make_report())
    for line in (
        "### phase3: 9 tasks",
        "| direct | 0/9 (0.0 %, 95 % CI 0–30 %) | 9,000 | 900 (225) | 22 |",
        "| zero-shot IR | 6/9 (66.7 %, 95 % CI 35–88 %) | 90 | 900 (225) | 22 |",
        "| category | direct | zero-shot IR | winner |",
        "| even | 0/5 (0%–43%) | 3/5 (23%–88%) | 2/5 (12%–77%) |",
        "- zero-shot IR against direct: 6 tasks gained, 0 lost, +66.7 points (95 % CI +4 to +93), "
        "exact McNemar p = 0.031 (corrected = 0.094), 90 against 9,000 tokens out: "
        "not enough evidence: about 3 more tasks needed.",
        "- winner against zero-shot IR: 0 tasks gained, 1 lost, -11.1 points (95 % CI -48 to +28), "
        "exact McNemar p = 1.000 (corrected = 1.000), 90 against 90 tokens out: "
        "not enough evidence: about 72 more tasks needed.",
        "- Verdicts go by p after Holm's correction for 3 comparisons; the clearest needs 7 "
        "one-sided flips or more to show a difference (p ≤ 0.05); read the intervals.",
    ):
        assert line in text.splitlines()


def test_candidates_per_task() -> None:
    some = [row(0, passed=True, attempts=4), row(1, passed=False, attempts=1)]
    text = markdown(build_report("d", "0" * 64, {"adaptive": some}, []), detailed=True)
    assert "| program | passed | tokens out | tokens in (cached) | seconds | candidates per" in text
    assert "| adaptive | 1/2 (50.0 %, 95 % CI 9–91 %) | 20 | 200 (50) | 5 | 2.5 |" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "(96%): 20 a candidate, 1.3 candidates per task; N = 4 would spend 260 (104%)."),
        ({"next_tokens": None}, "candidates per task; no more can be drawn."),
        (
            {"next_tokens": None, "direct_tokens": 1000},
            "a spends 250. direct × 3 spends 1,000 (400%): 83 a candidate, 1.3 candidates per "
            "task; no fewer can be drawn.",
        ),
        ({"program_tokens": 0}, "direct × 3 spends 240 (of nothing)"),
    ],
)
def test_equal_tokens_say_both_numbers(changes: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {
        "program": "a", "direct": "direct × 3", "n": 3, "program_tokens": 250,
        "direct_tokens": 240, "direct_candidates": 12, "next_tokens": 260,
    }  # fmt: skip
    match = TokenMatch.model_validate(fields | changes)
    report = build_report("d", "0" * 64, {"a": FIRST}, [], matches=[match])
    assert words in markdown(report)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_run_whose_calls_are_not_counted_says_so() -> None:
    text = markdown(build_report("d", "0" * 64, {"a": FIRST}, []))
    assert "Whole run: no call of a model was counted; either none was made, or" in text
    assert "0 answers generated" not in text


def test_reports_of_earlier_releases_keep_neither_candidates_nor_stages() -> None:
    old = make_report().model_dump(mode="json")
    del old["matches"]
    for result in old["results"]:
        del result["candidates"], result["stages"]
    text = markdown(Report.model_validate(old), detailed=True)
    assert "| 22 | not kept |" in text
    assert "| stage |" not in text


BEFORE, AFTER = Rate.of(6, 8), Rate.of(4, 8)


@pytest.mark.parametrize(
    ("after", "repeated", "says"),
    [
        (None, False, "flatters the best of several; it was not run again (`reevaluate`)."),
        (AFTER, False, f"flatters the best of several; with fresh samples it passed {AFTER}."),
        (BEFORE, True, "run again it gave the same answers, because nothing is sampled, so that"),
    ],
)
def test_a_search_tells_how_many_it_tried_and_the_rate_before_and_after(
    after: Rate | None, repeated: bool, says: str
) -> None:
    tried = Search(
        trials=12,
        configurations=9,
        dropped={"hopeless": 3, "racing": 4, "budget": 1},
        before=BEFORE,
        after=after,
        repeated=repeated,
    )
    text = markdown(make_report().model_copy(update={"search": tried}))
    assert (
        "Search: 9 configurations tried in 12 trials (3 given up when they could not win, 4 given "
        f"up by racing, 1 cut off by the token limit). On the dev tasks the winner passed {BEFORE}"
    ) in text
    assert says in text
    assert "Search:" not in markdown(make_report())


def search_line(front: Front | None = None, **changes: Any) -> str:
    tried = Search(trials=2, configurations=2, dropped={}, before=BEFORE)
    report = make_report().model_copy(
        update={"search": tried.model_copy(update=changes), "front": front}
    )
    (line,) = [line for line in markdown(report).splitlines() if line.startswith("Search:")]
    return line


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dropped": {"unpaid": 1}}, "2 trials (1 cut off by the budget)."),
        (
            {"dropped": {"budget": 1, "unpaid": 1}},
            "(1 cut off by the token limit, 1 cut off by the budget).",
        ),
        ({"unpaid": True}, "it was not run again because the budget was spent."),
        (
            {"unpaid": True, "after": AFTER},
            f"it passed {AFTER}; the budget was spent before others had run again.",
        ),
    ],
)
def test_a_search_tells_what_the_budget_ended(changes: dict[str, Any], says: str) -> None:
    assert says in search_line(**changes)
    budget = BudgetUse(budget=Budget(tokens=9), phases={}, ended_search=True)
    tried = Search(trials=2, configurations=2, dropped={"budget": 1}, before=BEFORE)
    text = markdown(make_report().model_copy(update={"search": tried, "budget": budget}))
    assert "1 cut off by the token limit" in text  # whatever the budget ended after that


def test_one_configuration_is_not_the_best_of_several() -> None:
    line = search_line(trials=1, configurations=1)
    assert line.startswith("Search: 1 configuration tried in 1 trial. On the dev tasks the winner")
    assert line.endswith(f"passed {BEFORE}; it was not run again (`reevaluate`).")


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        (Rate.of(8, 8), AFTER, f"with fresh samples it passed {AFTER}."),
        (Rate.of(0, 8), AFTER, f"with fresh samples it passed {AFTER}."),
        (
            Rate.of(7, 8),
            Rate.of(8, 8),
            " Where several of those that ran again pass all of them, the one with the fewest "
            "tokens won.",
        ),
        (
            Rate.of(2, 8),
            Rate.of(0, 8),
            " Nothing that ran again passed any of them: the winner is what spent the fewest "
            "tokens.",
        ),
    ],
)
def test_what_ran_again_is_chosen_by_its_fresh_samples(
    before: Rate, after: Rate, ends: str
) -> None:
    assert search_line(before=before, after=after).endswith(ends)


def test_with_objectives_the_fewest_tokens_need_not_win() -> None:
    front = Front.model_construct(costs=("seconds",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "front_lines", lambda _: [])
        assert search_line(front, before=Rate.of(0, 8)).endswith(" Nothing passed any of them.")
        assert search_line(front, before=Rate.of(8, 8)).endswith("(`reevaluate`).")


def test_of_a_model_whose_calls_nobody_counts_it_is_not_known_what_is_sampled() -> None:
    uncounted = make_report().model_copy(update={"usage": Usage()})
    tried = Search(trials=2, configurations=2, dropped={}, before=BEFORE, after=AFTER)
    text = markdown(uncounted.model_copy(update={"search": tried}))
    assert f"best of several; run again it passed {AFTER}." in text


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (Rate.of(0, 8), "Nothing passed any of them: the winner is what spent the fewest tokens."),
        (Rate.of(8, 8), "the one with the fewest tokens won."),
        (Rate.of(1, 1), "One task cannot show that one program is better than another."),
        (Rate.of(0, 1), "One task cannot show"),
        (Rate.of(5, 8), "it was not run again (`reevaluate`)."),
    ],
)
def test_a_search_says_what_its_tasks_cannot_show(before: Rate, says: str) -> None:
    tried = Search(trials=2, configurations=2, dropped={}, before=before)
    text = markdown(make_report().model_copy(update={"search": tried}))
    (line,) = [line for line in text.splitlines() if line.startswith("Search:")]
    assert says in line
    assert ("(`reevaluate`). " in line) == (before != Rate.of(5, 8))
