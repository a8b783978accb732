"""A job with a budget: what it leaves undone, what it keeps, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from rich.console import Console

from lift_sys.app import affordable, jobs, models
from lift_sys.app.data import load_data
from lift_sys.app.export import load_artifact
from lift_sys.app.job import Job
from lift_sys.app.progress import Progress
from lift_sys.app.run import Outcome, optimize
from lift_sys.app.spending import Spending
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import BudgetSpent
from lift_sys.inference.ledger import LedgerEntry, Spend
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox

CODE = "```python\ndef f(x: int) -> int:\n    return x + 1{}\n```"
IR = {
    "summary": "Adds one",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add one"],
    "assertions": ["f(1) == 2"],
}


class InterruptionError(BaseException):
    """Stands for kill -9 in the middle of a call."""


class Model:
    """Writes code whose samples are sometimes wrong; asked ``stop_at`` times it is interrupted."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(self._answer)
        self.stop_at = 0

    def _answer(self, request: Request) -> str:
        if len(self.engine.requests) == self.stop_at:
            raise InterruptionError
        if request.config.response_format:
            return json.dumps(IR)
        wrong = (request.config.seed or 0) % 3 == 1 and request.config.temperature
        return CODE.format(" + 1" if wrong else "")

    def build(self, model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine = ReplayEngine(self.engine, "weights", calls)
        return dspy.LM("local/script", engine=engine, cache=False, num_retries=0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Model:
    monkeypatch.chdir(tmp_path)
    # Scripted answers are shorter than those of the model whose rates are known.
    monkeypatch.setattr(affordable, "shipped_rates", dict)
    made = Model()
    monkeypatch.setattr(models, "build_lm", made.build)
    return made


def job(budget: Budget | None = None) -> RunConfig:
    """Return a job whose task files are in the current folder."""
    sets: dict[str, Any] = {}
    for split, count in (("train", 2), ("dev", 3), ("test", 2)):
        path = Path(f"{split}.jsonl")
        common = {
            "entry_point": "f", "category": "mathematical", "source": "test",
            "hidden": [{"args": "(1,)", "expected": "2"}],
        }  # fmt: skip
        own = "dev" if split == "test" else split
        lines = [
            {"id": f"{split}{n}", "spec": f"Add one, {split} {n}.", "split": own, **common}
            for n in range(count)
        ]
        path.write_text("\n".join(map(json.dumps, lines)) + "\n")
        sets[f"{split}_data"] = str(path)
    return RunConfig(
        **sets,
        budget=budget or Budget(),
        pool_tasks=2,
        demos=1,
        trials=4,
        search_tokens=10**6,
        space={"code_sees": ("ir", "spec"), "temperature": (0.0, 0.7)},
        first_points=(),
    )


def run(folder: Path, sandbox: Sandbox, budget: Budget | None = None, **changes: object) -> Outcome:
    config = job(budget).model_copy(update=changes)
    asked = Job.of(config, load_data(config), sandbox)
    directory = RunDirectory(asked.place(folder / "runs"))
    return optimize(asked, directory, sandbox, Progress(Console(quiet=True), {}))


def entries(folder: Path) -> list[LedgerEntry]:
    (path,) = folder.glob("runs/*/ledger.jsonl")
    return [LedgerEntry.model_validate_json(line) for line in path.read_text().splitlines()]


def paid(folder: Path) -> dict[str, tuple[str, str, int, int]]:
    return {
        e.key: (e.phase, e.stage, e.prompt_tokens, e.completion_tokens) for e in entries(folder)
    }


def spent(folder: Path) -> int:
    return sum(prompt + completion for *_, prompt, completion in paid(folder).values())


def by_phase(folder: Path) -> dict[str, int]:
    phases: dict[str, int] = {}
    for phase, _, prompt, completion in paid(folder).values():
        phases[phase] = phases.get(phase, 0) + prompt + completion
    return phases


def tables(outcome: Outcome) -> list[Any]:
    artifact = load_artifact(outcome.artifact)
    results = [(r.name, r.outcomes, r.usage.total_tokens) for r in outcome.report.results]
    return [results, outcome.report.search, artifact.identity, artifact.hypers]


@pytest.fixture
def whole(model: Model, sandbox: Sandbox, tmp_path: Path) -> tuple[Path, Outcome]:
    folder = tmp_path / "whole"
    folder.mkdir()
    return folder, run(folder, sandbox)


def test_the_ledger_has_every_answer_once(whole: tuple[Path, Outcome]) -> None:
    folder, outcome = whole
    usage = outcome.report.usage

    assert len(entries(folder)) == len(paid(folder)) == usage.calls
    assert spent(folder) == usage.total_tokens
    assert list(by_phase(folder)) == ["demo pool", "search", "final table"]
    assert outcome.report.budget is None
    assert "Budget" not in outcome.text


def test_a_budget_that_is_not_reached_changes_nothing_but_the_report(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox
) -> None:
    folder, outcome = whole
    asked = len(model.engine.requests)
    again = run(folder, sandbox, Budget(tokens=10**6, seconds=10**6))

    assert len(model.engine.requests) == asked
    assert tables(again) == tables(outcome)
    assert again.run == outcome.run
    assert f"Budget: {spent(folder):,} tokens of 1,000,000 tokens spent" in again.text


def test_a_search_that_the_budget_ends_names_its_best_trial_and_its_table(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    full = by_phase(whole[0])
    final = sum(full.values()) / 17 * 4  # about what is kept for the table
    cap = int(full["demo pool"] + full["search"] * 0.8 + final)
    budget = Budget(tokens=cap)
    outcome = run(tmp_path, sandbox, budget)
    asked = len(model.engine.requests)
    again = run(tmp_path, sandbox, budget)

    assert outcome.report.budget is not None
    assert outcome.report.budget.ended_search
    assert outcome.report.search is not None
    assert outcome.report.search.trials < 4 or outcome.report.search.dropped == {"unpaid": 1}
    assert "the search ended when no more than the final table was left of it" in outcome.text
    assert spent(tmp_path) <= cap + max(sum(call[2:]) for call in paid(tmp_path).values())
    assert len(outcome.report.results) == 3
    assert len(model.engine.requests) == asked
    assert tables(again) == tables(outcome)


def test_with_a_larger_budget_a_job_ends_as_one_that_never_stopped(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    total = spent(whole[0])
    phases = set()
    for cap in (total // 40, *range(total // 8, total, total // 8)):
        try:
            run(tmp_path, sandbox, Budget(tokens=cap))
        except BudgetSpent as refused:
            phases.add(str(refused).split(" phase")[0].split("in the ")[1])
            assert spent(tmp_path) < cap + max(sum(c[2:]) for c in paid(tmp_path).values())
    end = run(tmp_path, sandbox, Budget(tokens=100 * total))

    assert {"demo pool", "search"} <= phases
    assert tables(end) == tables(whole[1])
    assert set(paid(whole[0])) <= set(paid(tmp_path))


def test_a_budget_too_small_for_a_trial_says_what_one_needs(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    cap = by_phase(whole[0])["demo pool"] + 1
    with pytest.raises(BudgetSpent, match="no trial is complete yet, and a first one") as refused:
        run(tmp_path, sandbox, Budget(tokens=cap))
    needed = int(str(refused.value).split("needs about ")[1].split(" tokens")[0].replace(",", ""))

    outcome = run(tmp_path, sandbox, Budget(tokens=needed + needed // 3))
    assert len(outcome.report.results) == 3
    assert refused.value.exit_code == 3


def test_what_a_first_trial_needs_does_not_grow_with_what_it_was_given(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    needed: dict[int, str] = {}
    for cap in range(by_phase(whole[0])["demo pool"], spent(whole[0]), 100):
        try:
            run(tmp_path, sandbox, Budget(tokens=cap))
        except BudgetSpent as refused:
            needed[by_phase(tmp_path).get("search", 0)] = str(refused).split("needs about ")[1]
        else:
            break

    assert len(needed) > 2  # the first trial was given something, and again
    low, *_, high = sorted(
        int(text.split(" tokens")[0].replace(",", "")) for text in needed.values()
    )
    assert high < 1.02 * low


def test_a_budget_spent_in_the_final_table_keeps_the_winner(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    full = by_phase(whole[0])
    cap = full["demo pool"] + full["search"] + 1
    with monkeypatch.context() as nothing_kept:
        nothing_kept.setattr(Spending, "_expected", lambda *_: Spend())
        with pytest.raises(BudgetSpent, match="spent in the final table phase"):
            run(tmp_path, sandbox, Budget(tokens=cap))
    (kept,) = tmp_path.glob("runs/*/best.json")
    early = load_artifact(kept)
    asked = len(model.engine.requests)
    outcome = run(tmp_path, sandbox)

    assert early.identity == load_artifact(outcome.artifact).identity
    assert tables(outcome) == tables(whole[1])
    assert len(model.engine.requests) < asked + len(paid(whole[0])) / 2


@pytest.mark.slow
def test_interrupted_at_any_call_the_ledger_ends_as_any_other(
    whole: tuple[Path, Outcome], model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    cap = int(spent(whole[0]) * 0.9)
    budget = Budget(tokens=cap)
    uninterrupted = tmp_path / "uninterrupted"
    uninterrupted.mkdir()
    expected = run(uninterrupted, sandbox, budget)
    for step in (1, 4):
        folder = tmp_path / f"every-{step}"
        folder.mkdir()
        for _ in range(200):
            model.stop_at = len(model.engine.requests) + 1 + step
            try:
                outcome = run(folder, sandbox, budget)
                break
            except InterruptionError:
                continue
        assert tables(outcome) == tables(expected)
        assert paid_names(folder) == paid_names(uninterrupted)


def paid_names(folder: Path) -> list[tuple[str, str, int, int]]:
    return sorted(paid(folder).values())


def test_options_change_single_limits_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"budget": {"tokens": 5, "seconds": 60}}))
    given = {"budget": jobs.read_budget(["tokens=20000", "usd = 0.5"])}

    assert jobs.resolve(path, given).budget == Budget(tokens=20_000, usd=0.5, seconds=60)
    assert jobs.resolve(None, {"budget": jobs.read_budget([])}).budget == Budget()
