"""``lift compare``: paired figures from runs, artifacts and reports; one sentence on bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.compare import SideBySide, load_side, markdown, pair
from lift_sys.app.export import Artifact, Measured, ModelRef, save_artifact
from lift_sys.app.report import Report, Result, build_report
from lift_sys.errors import ConfigError, LiftError
from lift_sys.inference.usage import CallRecord
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.verdict import FailureCategory, Score, Status
from metrics.stats import Rate, compare
from optimizers.rows import Row

SHA = "a" * 64
FIRST, SECOND = "0001100111", "1110100111"


def rows(passed: str, tokens: int = 10) -> list[Row]:
    return [
        Row(
            key=f"{passed}-{i}",
            label="x",
            task_id=f"t{i}",
            category="lists" if i < 4 else "strings",
            score=Score(
                value=float(p),
                passed=p == "1",
                status=Status.PASSED if p == "1" else Status.WRONG_ANSWER,
                feedback="",
            ),
            code="c",
            ir=None,
            failure=None,
            attempts=1,
            calls=(CallRecord(model="m", prompt_tokens=50, completion_tokens=tokens, seconds=2),),
            seconds=2.5,
            trace=(),
        )
        for i, p in enumerate(passed)
    ]


def make_report(sha: str = SHA, **programs: str) -> Report:
    tables = {name: rows(passed, 10 * len(name)) for name, passed in programs.items()}
    return build_report("phase3", sha, tables, [])


def write_report(path: Path, report: Report) -> Path:
    path.write_text(report.model_dump_json(), encoding="utf-8")
    return path


def make_artifact(path: Path, result: Result, **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "data": "phase3",
        "data_sha256": SHA,
        "passed": result.rate.passed,
        "total": result.rate.total,
        "low": result.rate.low,
        "high": result.rate.high,
        "tokens": result.usage.completion_tokens,
        "seconds": result.seconds,
        "outcomes": result.outcomes,
        "categories": result.categories,
    }
    artifact = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id="some-model", sha256="0" * 64),
        hypers={},
        predictors={},
        scores={"test": Measured.model_validate(fields | changes)},
    )
    return save_artifact(artifact, path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run [1]"
    folder.mkdir()
    write_report(folder / "report.json", make_report(direct=FIRST, winner=SECOND))
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_report(tmp_path / "eval.json", make_report(preset=FIRST))


def test_a_run_stands_for_its_last_program(run: Path) -> None:
    side = load_side(run)
    assert (side.program, side.rate, side.tokens) == ("winner", Rate.of(7, 10), 600)
    assert load_side(run / "report.json").outcomes == side.outcomes
    assert load_side(run, "direct").rate == Rate.of(5, 10)


def test_an_artifact_gives_the_same_as_its_run(run: Path, tmp_path: Path) -> None:
    result = make_report(winner=SECOND).results[0]
    from_artifact = load_side(make_artifact(tmp_path / "best.json", result))
    from_run = load_side(run)
    named = {"program": "SpecToCode for some-model", "source": str(tmp_path / "best.json")}
    assert from_artifact == from_run.model_copy(update=named)


def test_the_pair_is_that_of_the_outcomes(run: Path, other: Path) -> None:
    first, second = load_side(other), load_side(run)
    both = pair(first, second)
    assert both.comparison == compare(first.outcomes, second.outcomes)
    assert [(c.category, c.only_first, c.only_second) for c in both.categories] == [
        ("lists", 1, 3),
        ("strings", 0, 0),
    ]
    assert [(c.first.passed, c.second.passed, c.first.total) for c in both.categories] == [
        (1, 3, 4),
        (4, 4, 6),
    ]
    assert SideBySide.model_validate_json(both.model_dump_json()) == both


def test_the_table_as_markdown(run: Path, other: Path) -> None:
    assert markdown(pair(load_side(other), load_side(run))) == (
        "### phase3: 10 tasks, paired\n"
        "\n"
        f"- A: preset ({other})\n"
        f"- B: winner ({run})\n"
        "\n"
        "| | A | B |\n"
        "|---|---|---|\n"
        "| passed | 5/10 (50.0 %, 95 % CI 24–76 %) | 7/10 (70.0 %, 95 % CI 40–89 %) |\n"
        "| tokens out | 600 | 600 |\n"
        "| seconds | 25 | 25 |\n"
        "\n"
        "| category | A | B | only A | only B |\n"
        "|---|---|---|---:|---:|\n"
        "| lists | 1/4 (5%–70%) | 3/4 (30%–95%) | 1 | 3 |\n"
        "| strings | 4/6 (30%–90%) | 4/6 (30%–90%) | 0 | 0 |\n"
        "\n"
        "- only A passed: 1 (t3)\n"
        "- only B passed: 3 (t0, t1, t2)\n"
        "- B minus A: +20.0 points (95 % CI -30 to +61), exact McNemar p = 0.625\n"
        "\n"
        "B against A: not enough evidence: about 74 more tasks needed.\n"
    )


def test_failures_are_counted_where_both_sides_kept_their_categories(
    tmp_path: Path, run: Path
) -> None:
    found = {"t0": FailureCategory.SYNTAX, "t1": FailureCategory.SYNTAX}
    one = make_report(one="00").results[0].model_copy(update={"failure_categories": found})
    whole = make_report(one="00", two="11")
    whole = whole.model_copy(update={"results": (one, whole.results[1])})
    first, second = (load_side(write_report(tmp_path / "r", whole), p) for p in ("one", "two"))
    assert first.failure_categories == found
    table = "\n\n| failure | A | B |\n|---|---:|---:|\n| syntax | 2 | 0 |\n\n- only A passed"
    assert table in markdown(pair(first, second))
    assert "| failure |" not in markdown(pair(load_side(run), load_side(run)))
    partly = first.model_copy(update={"failure_categories": {"t0": FailureCategory.SYNTAX}})
    assert "| failure |" not in markdown(pair(partly, second))


def test_nothing_flipped_and_no_seconds(run: Path, tmp_path: Path) -> None:
    result = make_report(winner=SECOND).results[0]
    artifact = make_artifact(tmp_path / "best.json", result, seconds=None)
    text = markdown(pair(load_side(run), load_side(artifact)))
    assert "| seconds | 25 | not kept |" in text
    assert "- only A passed: none\n- only B passed: none\n" in text
    assert "B against A: no difference seen; with these 10 tasks only" in text


def refusal(*sides: tuple[Path, str | None]) -> str:
    with pytest.raises(LiftError) as caught:
        pair(*(load_side(*side) for side in sides))
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert str(sides[0][0]) in message
    assert "\n" not in message
    return message


def test_other_tasks_are_not_paired(run: Path, tmp_path: Path) -> None:
    fewer = write_report(tmp_path / "few.json", make_report(preset=FIRST[:8]))
    says = refusal((run, None), (fewer, None))
    assert "different tasks (2 only in A, 0 only in B, such as t8)" in says


def test_another_version_of_the_tasks_is_not_paired(run: Path, tmp_path: Path) -> None:
    changed = write_report(tmp_path / "new.json", make_report("b" * 64, preset=FIRST))
    assert "phase3 was another file then" in refusal((run, None), (changed, None))


def test_an_unknown_program_names_the_known_ones(run: Path) -> None:
    assert "no program 'single'; it has: direct, winner" in refusal((run, "single"))


def test_an_artifact_has_no_choice_of_programs(tmp_path: Path) -> None:
    result = make_report(winner=SECOND).results[0]
    path = make_artifact(tmp_path / "best.json", result)
    assert "holds one program; leave 'direct' out" in refusal((path, "direct"))


def test_an_artifact_with_totals_only(tmp_path: Path) -> None:
    result = make_report(winner=SECOND).results[0]
    path = make_artifact(tmp_path / "best.json", result, outcomes={}, categories={})
    assert "has no test outcomes by task" in refusal((path, None))


def test_a_changed_artifact(tmp_path: Path) -> None:
    result = make_report(winner=SECOND).results[0]
    path = make_artifact(tmp_path / "best.json", result)
    path.write_text(path.read_text().replace('"t0": true', '"t0": false'))
    assert "was changed after it was exported" in refusal((path, None))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated or not JSON"),
        (b"\xff\xfe", "truncated or not JSON"),
        (b"[" * 100_000, "truncated or not JSON"),
        (b"[]", "not a report of this release"),
        (b"{}", "not a report of this release: data: Field required"),
        (b'{"schema_version": 9}', "upgrade lift-sys"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert says in refusal((path, None))


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    assert "No such file" in refusal((tmp_path / "none.json", None))
    assert "has no report.json" in refusal((tmp_path, None))


def drop_results(report: dict[str, Any]) -> None:
    report["results"] = []


def drop_category(report: dict[str, Any]) -> None:
    del report["results"][0]["categories"]["t0"]


def turn_outcome(report: dict[str, Any]) -> None:
    report["results"][0]["outcomes"]["t0"] = True


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop_results, "holds no results"),
        (drop_category, "do not agree"),
        (turn_outcome, "do not agree"),
    ],
)
def test_a_report_put_together_by_hand(
    other: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    document = json.loads(other.read_text())
    change(document)
    other.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=says):
        load_side(other)


def lift(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lift_sys.app.cli", "compare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command(run: Path, other: Path) -> None:
    done = lift(str(run), str(run), "--program-a", "direct")
    assert done.returncode == 0, done.stderr
    assert done.stdout == markdown(pair(load_side(run, "direct"), load_side(run)))

    done = lift(str(other), str(run), "--program-b", "direct", "--json")
    found = SideBySide.model_validate_json(done.stdout)
    assert found == pair(load_side(other), load_side(run, "direct"))


def test_bad_input_is_one_sentence(run: Path, tmp_path: Path) -> None:
    done = lift(str(run), str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("lift: cannot read ")
    assert "give a run directory, an artifact, or a report" in line
