"""``lift assess`` from the command line to the report, on scripted models and the real sandbox."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from lift_sys.app.plan_matrices import MATRICES
from lift_sys.errors import BudgetSpent, ProviderError
from lift_sys.inference import breaker, catalogue, course
from lift_sys.inference.course import Caps
from lift_sys.inference.model_info import ModelInfo, Price
from optimizers.assess import Reason, Rung
from tests.app.ladder_models import (
    CLAUDE,
    LARGE,
    LOW,
    SMALL,
    TASKS,
    TUNED,
    Models,
    assess,
    install,
    kept,
    lift,
)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.setattr(breaker, "_breakers", {})
    return install(monkeypatch)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key of nobody")


def test_the_first_rung_may_be_enough(script: Models, tmp_path: Path) -> None:
    script.solves = {SMALL: TASKS}
    made = assess(tmp_path)
    assert made.order == (Rung.ZERO_SHOT,)
    assert (made.verdict, made.stopped_at) == (Reason.REACHED, Rung.ZERO_SHOT)
    assert made.next_step == (
        "Use zero-shot: 10/10 (100.0 %, 95 % CI 72–100 %) shows more than 60 %."
    )
    assert {r.why for r in made.rungs[1:]} == {"not needed: the climb ended at zero-shot"}
    assert not script.asks(LARGE)


def test_better_prompts_then_a_larger_model(script: Models, tmp_path: Path) -> None:
    script.solves, script.few_shot_adds = {SMALL: 5, LARGE: 9}, 1
    made = assess(tmp_path)
    assert made.order == (Rung.ZERO_SHOT, Rung.FEW_SHOT, Rung.LARGER)
    assert made.stopped_at is Rung.LARGER
    assert [made.rung(r).result.rate.passed for r in made.order] == [5, 6, 10]  # type: ignore[union-attr]
    assert [(p.first, p.second) for p in made.comparisons] == [
        ("zero-shot", "few-shot + quirks"),
        ("few-shot + quirks", "larger model"),
    ]
    assert len(made.comparisons[0].comparison.only_second) == 1
    larger = made.rung(Rung.LARGER)
    assert larger.model == LARGE
    assert larger.program == "single, demos=gold-3, quirks=triggered"
    assert larger.against_first
    assert larger.against_first.estimate == pytest.approx(5 / TASKS)


def test_more_tasks_are_asked_for_where_the_interval_is_too_wide(
    script: Models, tmp_path: Path
) -> None:
    script.solves = {SMALL: 8}
    made = assess(tmp_path)
    assert (made.verdict, made.order) == (Reason.MORE_TASKS, (Rung.ZERO_SHOT,))
    needed = made.tasks_needed
    assert needed
    assert needed > TASKS
    assert f"on about {needed - TASKS} more tasks" in made.next_step


def test_below_the_floor_claude_writes_the_ir(script: Models, tmp_path: Path, key: None) -> None:
    script.solves = {SMALL: 3, CLAUDE: TASKS}
    made = assess(tmp_path)
    assert made.order == (Rung.ZERO_SHOT, Rung.FEW_SHOT, Rung.CLAUDE)
    assert made.stopped_at is Rung.CLAUDE
    assert set(script.asks(CLAUDE)) == {"ir"}
    assert made.rung(Rung.CLAUDE).model == f"{SMALL} and {CLAUDE}"
    assert made.rung(Rung.LARGER).why == "skipped: prompts stay below 50 %"
    usd, usage = made.rung(Rung.CLAUDE).usd, made.rung(Rung.CLAUDE).result
    assert usage
    assert usd
    (ir,) = (s.usage for s in usage.stages if s.stage == "ir")
    assert usd == pytest.approx((3 * ir.prompt_tokens + 15 * ir.completion_tokens) / 1e6)
    assert made.rung(Rung.ZERO_SHOT).usd == 0


def test_without_claude_what_was_skipped_is_tried(script: Models, tmp_path: Path) -> None:
    script.solves, script.few_shot_adds = {SMALL: 3, LARGE: 5, "sampled": 4}, -2
    made = assess(tmp_path, "--volume", "2000")
    assert made.order == (
        Rung.ZERO_SHOT, Rung.FEW_SHOT, Rung.LARGER, Rung.BEST_OF_N, Rung.HYBRID,
    )  # fmt: skip
    assert (made.verdict, made.stopped_at) == (Reason.EXHAUSTED, Rung.LARGER)
    claude, tuned = made.rung(Rung.CLAUDE), made.rung(Rung.TUNED)
    assert claude.why == "model claude needs a key: set ANTHROPIC_API_KEY in the environment"
    assert tuned.why == "no fine-tuned weights are named; --tuned MODEL names them"
    assert made.next_step.startswith(f"Make Claude available ({claude.why}); the best so far is ")
    # Prompts that lost tasks are dropped, and Option A passed more than B.
    assert made.option is Rung.LARGER
    assert [made.rung(r).program for r in made.order[2:]] == ["single", "best_of_n", "hybrid"]
    assert made.rung(Rung.HYBRID).model == LARGE


def test_a_rung_that_fails_does_not_lose_the_others(script: Models, tmp_path: Path) -> None:
    script.solves = {SMALL: 3, "sampled": 4}
    script.broken = {LARGE}
    made = assess(tmp_path)
    assert Rung.LARGER not in made.order
    assert "the plug was pulled" in made.rung(Rung.LARGER).why
    assert made.order[2:] == (Rung.BEST_OF_N, Rung.HYBRID)
    assert made.rung(Rung.HYBRID).model == SMALL
    script.broken, script.solves = set(), {**script.solves, LARGE: TASKS}
    assert assess(tmp_path).stopped_at is Rung.LARGER


def test_where_no_rung_can_be_measured_it_fails(script: Models, tmp_path: Path) -> None:
    script.broken = {SMALL, LARGE}
    with pytest.raises(ProviderError, match=r"no rung could be measured; zero-shot: .*plug"):
        assess(tmp_path)
    assert kept(tmp_path).stopped_at is None


def test_fine_tuned_weights_come_last(script: Models, tmp_path: Path) -> None:
    catalogue.use([ModelInfo(id=TUNED, backend="transformers", name="folder", price=Price())])
    try:
        script.solves = {SMALL: 5, LARGE: 5, TUNED: TASKS}
        made = assess(tmp_path, "--tuned", TUNED, "--volume", "20000")
    finally:
        catalogue.use([])
    assert made.order[-1] is made.stopped_at is Rung.TUNED
    assert "above 10,000 uses a month" in made.next_step


def test_it_shares_rows_and_answers_with_eval(script: Models, tmp_path: Path) -> None:
    script.solves, script.few_shot_adds = {SMALL: 5, LARGE: TASKS}, 1
    lift(tmp_path, "eval", "--preset", "single")
    before = len(script.asked)
    made = assess(tmp_path)
    zero_shot = made.rung(Rung.ZERO_SHOT)
    assert len(script.asked) > before
    assert zero_shot.command == f"lift eval --preset single --model {SMALL} --data {made.data}"
    asked = len(script.asked)
    for report in made.rungs:
        if report.command:
            command, *options = shlex.split(report.command)[1:]
            lift(tmp_path, command, *options)
    assert assess(tmp_path) == made
    assert len(script.asked) == asked
    assert script.asked[before:].count((SMALL, "ir")) == TASKS  # few-shot alone


def test_a_budget_ends_it_and_a_larger_one_goes_on(script: Models, tmp_path: Path) -> None:
    script.solves, script.few_shot_adds = {SMALL: 5, LARGE: TASKS}, 1
    with pytest.raises(BudgetSpent, match=r"in the few-shot \+ quirks phase.*report\.md says"):
        assess(tmp_path, "--budget", "tokens=5000")
    cut = kept(tmp_path)
    assert cut.order == (Rung.ZERO_SHOT,)
    assert cut.verdict is Reason.BUDGET
    assert cut.rung(Rung.FEW_SHOT).why.startswith("cut off by the budget")
    assert cut.rung(Rung.LARGER).why == "the budget was spent"
    spent = len(script.asked)
    made = assess(tmp_path, "--budget", "tokens=1000000")
    assert made.stopped_at is Rung.LARGER
    assert len(script.asked) == len(set_of_answers(tmp_path))
    assert spent < len(script.asked)
    assert made.budget
    assert list(made.budget.phases) == ["zero-shot", "few-shot + quirks", "larger model"]


def set_of_answers(folder: Path) -> set[str]:
    """Return the keys of all stored answers."""
    files = (folder / "runs").glob("eval-*/calls.jsonl")
    return {json.loads(line)["key"] for file in files for line in file.read_text().splitlines()}


def test_the_report_in_words(script: Models, tmp_path: Path) -> None:
    script.solves, script.few_shot_adds = {SMALL: 5, LARGE: 8}, 1
    text = lift(tmp_path, "assess", "--target", "0.95", "--floor", "0.5")
    (report,) = (tmp_path / "runs").glob("assess-*/report.md")
    assert report.read_text().strip() == text.strip()
    assert text.splitlines()[0].endswith("mine.jsonl: 10 tasks; target 95 %, floor 50 %")
    assert "10 tasks cannot show 95 %, even if all pass: it takes 73 at least." in text
    assert "whose interval lies on both sides of it" in text
    for matrix in MATRICES:
        assert f"#### {matrix.title}" in text
    (line,) = (li for li in text.splitlines() if li.startswith("| + Qwen 32B | "))
    assert line == (
        "| + Qwen 32B | 82–88 % | +$2/h | 9/10 (90.0 %, 95 % CI 60–98 %) | 1.0x | "
        f"{LARGE}: single, demos=gold-3, quirks=triggered |"
    )
    assert "- few-shot + quirks against zero-shot: 1 tasks gained, 0 lost" in text
    assert "| Claude 3.5 | 85–92 % | by token | – | – | not run: model claude needs a key:" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_chain_is_assessed_like_any_model(script: Models, tmp_path: Path) -> None:
    script.broken, script.solves = {SMALL}, {LARGE: TASKS}
    chain = f"{SMALL}>{LARGE}"
    text = lift(tmp_path, "assess", "--small", chain, *LOW, "--limit", "9")
    assert f"| zero-shot | {chain} | {SMALL} | 0 of 18 | 0 | 3 unavailable, 15 resting |" in text
    assert f"| zero-shot | {chain} | {LARGE} | 18 of 18 | 18 | never |" in text
    (command,) = re.findall("^- `lift (.*)`$", text, re.MULTILINE)
    assert command.endswith(" --limit 9")
    asked = len(script.asked)
    name, *options = shlex.split(command)
    assert "9/9" in lift(tmp_path, name, *options)
    assert len(script.asked) == asked


def test_all_rungs_together_spend_one_cap(
    script: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "PROCESS_CAPS", Caps())
    dear = ModelInfo(
        id="dear", backend="vllm", name="dear", urls=("http://127.0.0.1:1/v1",),
        price=Price(million_output=1e6), cap=0.5,
    )  # fmt: skip
    catalogue.use([dear])
    try:
        script.solves = {SMALL: 3}
        made = assess(tmp_path, "--small", f"dear>{SMALL}")
    finally:
        catalogue.use([])
    assert Rung.FEW_SHOT in made.order
    assert len(script.asks("dear")) == 1
