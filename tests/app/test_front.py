"""A job that keeps costs low: a front of artifacts, and an answer that says what it rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from typer.testing import CliRunner

from lift_sys.app import cli, cli_models, models
from lift_sys.app.export import build_program, load_artifact
from lift_sys.app.front import Front, Member, answer_of
from lift_sys.app.front_tables import front_lines
from lift_sys.app.report import Report
from lift_sys.app.tables import markdown
from lift_sys.errors import ConfigError
from lift_sys.inference.chat import chat_body
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from lift_sys.wish import Wish
from metrics.stats import Rate
from optimizers.objectives import front
from optimizers.trials import Trial
from programs.hypers import hypers_of

SUMMARY = "adds exactly one"
IR = {
    "summary": SUMMARY,
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add one"],
    "assertions": [],
}
JOB: dict[str, Any] = {
    "pool_tasks": 0,
    "dev_tasks": 4,
    "trials": 2,
    "search_tokens": 10**6,
    "space": {"ir_detail": ["none", "basic"], "temperature": [0.0]},
    "first_points": [{"ir_detail": "none"}, {"ir_detail": "basic"}],
}


class Model:
    """Right if it reads an IR; without one it knows two tasks of four."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(self._answer)

    def _answer(self, request: Request) -> str:
        if request.config.response_format:
            return json.dumps(IR)
        asked = str(chat_body(request)["messages"])
        right = SUMMARY in asked or any(f"one, {i}." in asked for i in (0, 1))
        return f"```python\ndef f(x: int) -> int:\n    return x + {1 if right else 2}\n```"

    def build(self, model: str, models_dir: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine = ReplayEngine(self.engine, "weights", calls)
        return dspy.LM("local/script", engine=engine, cache=False, num_retries=0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    monkeypatch.setattr(models, "build_lm", made.build)
    monkeypatch.setattr(cli_models, "pull_with_progress", lambda _: None)
    return made


def optimize(folder: Path, *options: str, **changes: Any) -> tuple[Path, str]:
    """Run a job and return its run directory and what was printed."""
    data = folder / "mine.jsonl"
    task = {
        "entry_point": "f", "category": "mathematical", "split": "dev", "source": "test",
        "hidden": [{"args": "(1,)", "expected": "2"}],
    }  # fmt: skip
    lines = [json.dumps({"id": f"t{i}", "spec": f"Add one, {i}.", **task}) for i in range(4)]
    data.write_text("\n".join(lines) + "\n")
    sets = dict.fromkeys(("train_data", "dev_data", "test_data"), str(data))
    (folder / "job.json").write_text(json.dumps({**JOB, **sets, **changes}))
    runs = folder / "runs"
    arguments = ["optimize", "--config", str(folder / "job.json"), "--runs", str(runs), *options]
    done = CliRunner().invoke(cli.app, arguments)
    if done.exception:
        raise done.exception
    (run,) = runs.iterdir()
    return run, done.stdout


def test_a_job_keeps_an_artifact_for_each_program_of_the_front(
    model: Model, sandbox: Sandbox, tmp_path: Path
) -> None:
    run, text = optimize(tmp_path, "--objective", "tokens")
    names = [path.name for path in sorted((run / "front").iterdir())]
    assert names == ["trial-0.json", "trial-1.json"]
    kept = [load_artifact(run / "front" / name) for name in names]
    details = [hypers_of(build_program(a, sandbox))["ir_detail"].value for a in kept]
    assert details == ["none", "basic"]
    assert [a.scores["dev"].passed for a in kept] == [2, 4]
    best = load_artifact(run / "best.json")
    assert best.identity == kept[1].identity
    report = Report.model_validate_json((run / "report.json").read_text())
    assert report.front is not None
    assert [m.trial for m in report.front.members] == [1, 0]
    assert markdown(report) == (run / "report.md").read_text()
    assert 'Asked for "best": trial 1, the best of them, passes 4/4' in text


def test_another_wish_needs_no_other_search(model: Model, tmp_path: Path) -> None:
    run, _ = optimize(tmp_path, "--objective", "tokens")
    first, asked = load_artifact(run / "best.json"), len(model.engine.requests)
    (run / "front" / "trial-9.json").write_text("of an earlier front")
    again, text = optimize(tmp_path, "--wish", "cheapest with at least 50 %")
    assert again == run
    assert len(model.engine.requests) == asked
    assert "trial 0, the cheapest, passes 2/4" in text
    assert "at least 50 % is not shown by these 4 tasks" in text
    assert load_artifact(run / "best.json").hypers["ir_detail"] == "none"
    assert first.hypers["ir_detail"] == "basic"
    assert len(list((run / "front").iterdir())) == 2


def test_success_alone_has_no_front(model: Model, tmp_path: Path) -> None:
    run, text = optimize(tmp_path)
    assert not (run / "front").exists()
    assert "Asked for" not in text
    assert Report.model_validate_json((run / "report.json").read_text()).front is None


def test_the_front_is_run_again_with_fresh_samples(model: Model, tmp_path: Path) -> None:
    space = {**JOB["space"], "temperature": [0.7]}
    run, text = optimize(tmp_path, "--objective", "tokens", reevaluate=1, space=space)
    assert "| trial | passed | again | tokens out |" in text
    assert "| not run |" in text
    assert "trial 1, the best of them, passes 4/4" in text
    assert "- trial 1 against the cheapest (trial 0, not run again): 2 tasks gained" in text
    scores = [load_artifact(run / f"front/trial-{i}.json").scores for i in (0, 1)]
    assert [list(s) for s in scores] == [["dev"], ["dev", "dev_again"]]


def test_of_what_samples_nothing_no_second_rate_is_told(model: Model, tmp_path: Path) -> None:
    run, text = optimize(tmp_path, "--objective", "tokens", reevaluate=1)
    assert f"| 1 | {Rate.of(4, 4)} | the same answers |" in text
    assert list(load_artifact(run / "best.json").scores) == ["dev", "test"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--objective", "usd"), "qwen2.5-coder-0.5b costs no USD here"),
        (("--wish", "best under usd=1"), "costs no USD here"),
        (("--objective", "euros"), "wrong at objectives.0: .*'tokens', 'usd' or 'seconds'"),
        (("--wish", "good"), "wrong at wish: .*say 'best'"),
    ],
)
def test_what_cannot_be_wished(
    model: Model, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        optimize(tmp_path, *options)
    assert not (tmp_path / "runs").exists()


def trial(number: int, passes: str, tokens: int) -> Trial:
    outcomes = tuple(p == "1" for p in passes)
    return Trial(
        number=number,
        point={},
        passed=sum(outcomes),
        tried=len(outcomes),
        tokens=tokens,
        seconds=tokens / 8,
        outcomes=outcomes,
        complete=True,
    )


BEST, MIDDLE, CHEAP = trial(3, "1111", 400), trial(5, "1110", 200), trial(7, "1000", 40)


def words(wish: str, *trials: Trial, again: dict[int, str] | None = None) -> str:
    """Return what is said of a front, of which some trials passed other tasks when run again."""
    members = front(trials or (BEST, MIDDLE, CHEAP), ("tokens",))
    fresh = {
        m.number: trial(m.number, (again or {})[m.number], m.tokens)
        for m in members
        if m.number in (again or {})
    }
    table = tuple(
        Member(
            trial=m.number,
            artifact=f"front/trial-{m.number}.json",
            rate=Rate.of(m.passed, m.tried),
            again=Rate.of(fresh[m.number].passed, m.tried) if m.number in fresh else None,
            tokens=m.per_task("tokens"),
            usd=0,
            seconds=m.per_task("seconds"),
        )
        for m in members
    )
    ids = [f"t{i}" for i in range(members[0].tried)]
    candidates = list(fresh.values()) or members
    answer = answer_of(Wish.model_validate(wish), candidates, ("tokens",), ids, members)
    return "\n".join(front_lines(Front(costs=("tokens",), members=table, answer=answer)))


def test_the_table() -> None:
    lines = words("best").splitlines()
    assert lines[0].startswith("Programs of which none beats another in success and tokens out,")
    assert lines[2:5] == [
        "| trial | passed | tokens out | USD | s | kept as |",
        "|---:|---|---:|---:|---:|---|",
        f"| 3 | {Rate.of(4, 4)} | 100.0 | 0.000000 | 12.50 | `front/trial-3.json` |",
    ]
    assert [line[:4] for line in lines[5:7]] == ["| 5 ", "| 7 "]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("best", f'Asked for "best": trial 3, the best of them, passes {Rate.of(4, 4)} with 100.0'),
        ("best under tokens=60", "under 60.0 tokens out is a mean of 4 tasks; other tasks may"),
        ("best under tokens=9", "None of them is under 9.0 tokens out per task, and this one come"),
        ("cheapest within 30 points", "trial 5 passes 3/4"),
        ("cheapest within 30 points", "not shown by these 4 tasks: it may be "),
        ("cheapest within 30 points", "It is `best.json` and `front/trial-5.json`."),
        ("cheapest within 0 points", "trial 3, the best of them, passes 4/4"),
        (
            "cheapest with at least 60 %",
            "not shown by these 4 tasks: the lower end of its interval",
        ),
        ("cheapest with at least 4 %", "These 4 tasks show that it passes at least 4 %: the lower"),
        ("best", "- trial 3 against the cheapest (trial 7): 3 tasks gained, 0 lost, +75.0 points"),
    ],
)
def test_the_answer_says_what_it_rests_on(wish: str, says: str) -> None:
    assert says in words(wish)


@pytest.mark.parametrize(
    ("wish", "again", "says"),
    [
        (
            "cheapest with at least 70 %",
            {5: "1000"},
            "None of those that ran again passes 70 %, and this one comes nearest.",
        ),
        ("cheapest with at least 70 %", {5: "1110"}, "trial 5 passes 3/4"),
        (
            "cheapest with at least 70 %",
            {5: "1110"},
            "- trial 5 against the best (trial 3, not run again): 0 tasks gained, 1 lost",
        ),
        (
            "cheapest within 50 points",
            {5: "1000"},
            "not shown by these 4 tasks: it may be ",
        ),
        ("best", {3: "1000", 5: "1110"}, "trial 5, the best of them, passes 3/4"),
        (
            "best",
            {3: "1000", 5: "1110"},
            "- trial 5 against the cheapest (trial 7, not run again): 2 tasks gained, 0 lost",
        ),
    ],
)
def test_what_ran_again_is_compared_with_the_whole_front(
    wish: str, again: dict[int, str], says: str
) -> None:
    assert says in words(wish, again=again)


def test_what_no_program_reaches_is_said() -> None:
    text = words("cheapest with at least 90 %", MIDDLE, CHEAP)
    assert "None of them passes 90 %, and this one comes nearest." in text
    assert "trial 5, the best of them," in text


def test_many_tasks_can_show_that_a_program_is_near_the_best() -> None:
    best, near = trial(0, "1" * 200, 400), trial(1, "1" * 199 + "0", 40)
    assert "These 200 tasks show that it is within 5 points of the best: it is at most" in words(
        "cheapest within 5 points", best, near
    )


def test_both_comparisons_are_corrected_together() -> None:
    text = words("cheapest within 30 points")
    assert "- trial 5 against the best (trial 3): 0 tasks gained, 1 lost" in text
    assert "- trial 5 against the cheapest (trial 7): 2 tasks gained, 0 lost" in text
    strong = trial(0, "1" * 20, 400), trial(1, "1" * 14 + "0" * 6, 40), trial(2, "0" * 20, 4)
    assert "p = 0.031 (corrected)" not in words("cheapest within 30 points", *strong)
    assert "p < 0.001 (corrected)" in words("cheapest within 30 points", *strong)
