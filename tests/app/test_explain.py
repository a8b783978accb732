"""What ``--explain`` says of a job: readable, exact where it can be, and free."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.data import load_data
from lift_sys.app.explain import explain
from lift_sys.app.job import Job
from lift_sys.app.pool import StoredPool
from lift_sys.config import RunConfig
from lift_sys.errors import ConfigError, StoreError
from lift_sys.sandbox.base import ClosedSandbox
from optimizers.pools import DemoSet, Pool


def said(job: RunConfig, runs: Path, *, open_test: bool = False) -> str:
    return explain(job, load_data(job), runs, open_test=open_test)


def test_the_default_job_is_explained(tmp_path: Path) -> None:
    text = said(RunConfig(), tmp_path / "runs", open_test=True)

    assert "## Space: 6 dimensions, at most 126 points (84 without bootstrapped-2)" in text
    assert "- demos: none | gold-2 | bootstrapped-2\n" in text
    assert "- reason: false | true\n" in text
    assert "- n: 1 | 2 | 3, only if temperature is 0.3 or 0.7\n" in text
    assert "- select: assertions (fixed)\n" in text
    assert "1. demos=none, code_sees=ir, reason=false, temperature=0.0, n=1, sel" in text
    assert re.search(r"- gold-2: \w+, \w+\n", text)
    assert "- bootstrapped-2: joins if at least 2 of 6 train tasks pass\n" in text
    assert "| search | at most 8 trials of 8 dev tasks | 9,000 |" in text
    assert "direct, single and the winner on 18 tasks" in text
    assert re.search(r"\| all \|  \| [\d,]+–[\d,]+ \| .* \| 0\.00 \|", text)
    assert re.search(r"- qwen2.5-coder-0.5b, ir: \d+ tokens out, .* answers, shipped\)", text)


def test_nothing_is_written(tmp_path: Path) -> None:
    said(RunConfig(), tmp_path / "runs")

    assert list(tmp_path.iterdir()) == []


def test_sets_that_cannot_join_are_not_promised(tmp_path: Path) -> None:
    text = said(RunConfig(pool_tasks=1), tmp_path)

    assert "84 points\n" in text
    assert "bootstrapped" not in text


def test_a_stored_pool_is_what_counts(tmp_path: Path) -> None:
    job = RunConfig()
    run = Job.of(job, load_data(job), ClosedSandbox()).place(tmp_path)
    run.mkdir()
    sets = [DemoSet(name=n, tasks=tuple("abcdefghij"), demos={}) for n in ("none", "bank")]
    pool = Pool(sets=tuple(sets))
    stored = StoredPool(
        inputs_sha256="", content_sha256=pool.content_hash, passed={}, dropped={}, pool=pool
    )
    (run / "pool.json").write_text(stored.model_dump_json())
    text = said(job, tmp_path)

    assert "84 points\n" in text
    assert "## Demo pool, as built" in text
    assert "- bank: a, b, c, d, e, f, g, h and 2 more\n" in text
    assert "what it holds is not paid for again" in text


def test_the_budget_is_named(tmp_path: Path) -> None:
    job = RunConfig.model_validate({"budget": {"tokens": 90_000, "seconds": 600}})

    assert "The budget of 90,000 tokens, 600.0 seconds ends the job." in said(job, tmp_path)
    assert "The budget" not in said(RunConfig(), tmp_path)


def test_teachers_and_proposers_are_named_before_they_are_asked(tmp_path: Path) -> None:
    job = RunConfig.model_validate(
        {
            "teachers": ({"preset": "direct"},),
            "instructions": {"copro": 2, "grounded": 1},
            "demos_for": "predictor",
        }
    )
    text = said(job, tmp_path)

    assert "- ir_generator.demos: none | gold-2" in text
    assert "- code_generator.demos: none | gold-2 | bootstrapped-direct-2" in text
    assert "- code_generator.instructions: own | copro-1 | copro-2 | grounded-1" in text
    assert "without bootstrapped-direct-2 and proposed instructions)" in text
    assert re.search(r"- instructions to be proposed: .*3 for code_generator", text)
    assert "| instructions | for each stage 2 of copro, 1 of grounded | unknown |" in text


@pytest.mark.parametrize("without", [{"teachers": ()}, {"pool_tasks": 0}])
def test_what_runs_no_train_task_says_so(without: dict[str, Any], tmp_path: Path) -> None:
    text = said(RunConfig.model_validate(without), tmp_path)

    assert "| demo pool | gold demos alone, no train task is run | 0 | 0 | 0 | 0.00 |" in text
    assert "| demo pool | 6 train tasks, single | " in said(RunConfig(), tmp_path)


def test_an_optimizer_of_dspys_searches_no_space(tmp_path: Path) -> None:
    text = said(RunConfig(optimizer="gepa", preset="direct"), tmp_path)

    assert "The optimizer gepa is one of DSPy's: it starts from the preset direct" in text
    assert "## Space" not in text
    assert "| search | gepa on 6 train and 8 dev tasks | unknown |" in text
    assert "| before and after | 2 programs on 8 dev tasks | 1,0" in text


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 2),
        ({"trials": 1}, 1),
        ({"wish": "cheapest within 2 points"}, 3),
        ({"wish": "cheapest within 2 points", "trials": 2}, 2),
        ({"wish": "cheapest within 2 points", "reevaluate": 0}, 0),
        ({"optimizer": "gepa"}, 0),
    ],
)
def test_as_many_trials_run_again_as_can(
    changes: dict[str, Any], count: int, tmp_path: Path
) -> None:
    text = said(RunConfig.model_validate(changes), tmp_path)

    assert ("| re-evaluation |" in text) == (count > 0)
    assert ("when they run again" in text) == (count > 0)
    assert not count or f"| re-evaluation | at most {count} trials of 8 dev tasks |" in text


def test_a_broken_pool_is_named(tmp_path: Path) -> None:
    job = RunConfig()
    run = Job.of(job, load_data(job), ClosedSandbox()).place(tmp_path)
    run.mkdir()
    (run / "pool.json").write_text("{")
    with pytest.raises(StoreError, match=r"pool\.json was not written by this release"):
        said(job, tmp_path)


def test_a_model_that_was_never_measured_has_no_figures(tmp_path: Path) -> None:
    text = said(RunConfig(model="claude"), tmp_path)

    assert "| all |  | unknown | unknown | unknown | unknown |" in text
    assert "- claude, code: unknown, it was never measured here" in text


def test_what_a_job_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hypers of this program are"):
        said(RunConfig(space={"no": (1,)}), tmp_path)
    with pytest.raises(ConfigError, match="one evaluation of all tasks takes"):
        said(RunConfig(search_tokens=5), tmp_path)
