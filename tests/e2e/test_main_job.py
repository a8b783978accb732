"""The main job, small, on the real model, through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.export import load_artifact
from lift_sys.app.journal import open_journal
from lift_sys.sandbox import create_sandbox, judge
from lift_sys.tasks import Case
from optimizers.trials import Told

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent
LIFT = (sys.executable, "-m", "lift_sys.app.cli")
JOB = {
    "pool_tasks": 1,
    "demos": 1,
    "dev_tasks": 1,
    "test_tasks": 1,
    "trials": 2,
    "space": {"code_sees": ["ir", "spec"], "temperature": [0.0, 0.7], "n": [1, 2]},
    "first_points": [
        {"demos": "none", "code_sees": "spec", "temperature": 0.7, "n": 2},
        {"demos": "none", "code_sees": "spec", "temperature": 0.0, "n": 1},
    ],
}


def start(folder: Path, name: str) -> tuple[subprocess.Popen[str], Path]:
    """Start the job with its runs in a folder of its own, and return the folder."""
    config = folder / "job.json"
    config.write_text(json.dumps(JOB))
    runs = folder / name
    command = [*LIFT, "optimize", "--open-test", "--config", str(config), "--runs", str(runs)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=with_ledger(folder),
    )
    return process, runs


def with_ledger(folder: Path) -> dict[str, str]:
    """Return an environment whose ledger of test openings lies in a folder of its own."""
    return {**os.environ, "XDG_DATA_HOME": str(folder / "data")}


def openings(folder: Path) -> list[dict[str, Any]]:
    ledger = folder / "data" / "lift-sys" / "test-openings.jsonl"
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def kept(runs: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of a file of the run."""
    files = list(runs.glob(f"*/{name}.jsonl"))
    if not files:
        return []
    return [json.loads(line) for line in files[0].read_text().splitlines()]


def rows(runs: Path) -> list[dict[str, Any]]:
    return kept(runs, "rows")


def wait_for(runs: Path, count: int, name: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and process.poll() is None:
        if len(kept(runs, name)) >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"no {count} {name}: {process.communicate()[0]}")


def tried(runs: Path) -> list[dict[str, Any]]:
    """Return the points of the search, in the order of its trials."""
    (journal,) = runs.glob("*/study.journal")
    (study,) = open_journal(journal).get_all_studies()
    trials = open_journal(journal).get_all_trials(study._study_id)
    told = [Told.model_validate_json(trial.user_attrs["told"]) for trial in trials]
    return [each.trial.point for each in told]


def outcome(runs: Path) -> dict[str, Any]:
    """Return everything of a finished run that its seed decides."""
    (report_file,) = runs.glob("*/report.json")
    report = json.loads(report_file.read_text())
    artifact = load_artifact(report_file.with_name("best.json"))
    timeless = [
        {k: v for k, v in row.items() if k not in {"seconds", "calls"}} for row in rows(runs)
    ]
    return {
        "table": [
            (r["name"], r["outcomes"], r["usage"]["completion_tokens"]) for r in report["results"]
        ],
        "comparisons": report["comparisons"],
        "hypers": artifact.hypers,
        "predictors": artifact.predictors,
        "scores": {k: m.model_copy(update={"seconds": None}) for k, m in artifact.scores.items()},
        "openings": [(o.artifact, o.data, o.passed, o.total) for o in artifact.openings],
        "rows": sorted(timeless, key=lambda row: str(row["key"])),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Path:
    process, runs = start(tmp_path_factory.mktemp("whole"), "runs")
    output = finish(process)
    for word in ("direct", "zero-shot IR", "compiled winner", "95 % CI", "McNemar", "best.json"):
        assert word in output
    return runs


def test_killed_and_started_again_it_ends_with_the_same_result(
    finished: Path, tmp_path: Path
) -> None:
    # The pool's task takes two answers; the next ones are samples of the first trial.
    for kill_after, what in ((3, "calls"), (5, "calls"), (3, "rows")):
        process, runs = start(tmp_path, "runs")
        wait_for(runs, kill_after, what, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process, runs = start(tmp_path, "runs")
    finish(process)

    assert outcome(runs) == outcome(finished)
    assert [(point["temperature"], point["n"]) for point in tried(runs)] == [(0.7, 2), (0.0, 1)]
    assert tried(runs) == tried(finished)


def test_the_test_set_was_opened_once_and_stays_so(finished: Path) -> None:
    (path,) = finished.glob("*/best.json")
    artifact = load_artifact(path)
    before, after = openings(finished.parent)

    assert before["passed"] is None
    assert after["passed"] == artifact.scores["test"].passed
    assert [o.model_dump(mode="json") for o in artifact.openings] == [after]
    done = subprocess.run(
        [*LIFT, "eval", str(path), "--data", "phase3", "--open-test"],
        capture_output=True,
        text=True,
        check=False,
        env=with_ledger(finished.parent),
    )
    assert done.returncode == 2
    assert "once per artifact" in done.stderr


def test_a_measurement_that_was_made_is_not_made_again(tmp_path: Path, model_path: Path) -> None:
    command = [*LIFT, "eval", "--preset", "direct", "--limit", "2", "--json"]
    command += ["--runs", str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    started = time.monotonic()
    second = subprocess.run(command, capture_output=True, text=True, check=True)

    assert second.stdout == first.stdout
    assert time.monotonic() - started < 30
    assert len(rows(tmp_path)) == 2


def test_no_task_is_paid_for_twice(finished: Path) -> None:
    keys = [row["key"] for row in rows(finished)]

    assert len(keys) == len(set(keys))


def test_a_finished_job_is_shown_again_at_once(finished: Path) -> None:
    before = outcome(finished)
    config = finished.parent / "job.json"
    started = time.monotonic()
    done = subprocess.run(
        [*LIFT, "optimize", "--open-test", "--config", str(config), "--runs", str(finished)],
        capture_output=True,
        text=True,
        check=True,
        env=with_ledger(finished.parent),
    )

    assert "compiled winner" in done.stdout
    assert time.monotonic() - started < 30
    assert outcome(finished) == before


def test_interrupting_ends_the_job_at_once_and_it_can_go_on(tmp_path: Path) -> None:
    process, runs = start(tmp_path, "runs")
    wait_for(runs, 1, "rows", process)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130, output
    assert time.monotonic() - started < 2
    assert "Traceback" not in output
    assert all(row["schema_version"] == 1 for row in rows(runs))


def test_the_example_app_writes_working_code(finished: Path) -> None:
    (artifact,) = finished.glob("*/best.json")
    spec = "Write a function named double_all that takes a list of numbers and doubles each of them"
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "write_function.py"), str(artifact), spec],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    sandbox = create_sandbox()
    verdict = judge(sandbox, done.stdout, "double_all", [Case(args="([1, 2],)", expected="[2, 4]")])
    sandbox.close()

    assert verdict.passed, done.stdout


def test_run_prints_ir_and_code_for_machines(finished: Path) -> None:
    (artifact,) = finished.glob("*/best.json")
    spec = "Return the square of a number"
    done = subprocess.run(
        [*LIFT, "run", spec, "--program", str(artifact), "--name", "square", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    answer = json.loads(done.stdout)

    assert answer["entry_point"] == answer["ir"]["signature"]["name"] == "square"
    assert "def square" in answer["code"]
    assert answer["usage"]["completion_tokens"] > 0
