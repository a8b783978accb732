"""Jobs whose tasks are executed in containers, against a stand-in for Modal's client."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lift_sys.app import affordable, cli, cli_models, modal_executor, models
from lift_sys.app.export import load_artifact
from lift_sys.app.store import RunDirectory
from lift_sys.errors import ConfigError, InfrastructureError, LiftError
from lift_sys.inference import catalogue
from lift_sys.inference.ledger import LedgerEntry
from optimizers.rows import Row
from tests.app.container_process import Model
from tests.app.standing_modal import StandingModal

ROOT = Path(__file__).parents[2]
HIDDEN = 741852
IN_ONE = ("--executor", "modal", "--containers", "1")
JOB = {
    "pool_tasks": 1,
    "demos": 1,
    "trials": 3,
    "search_tokens": 10**6,
    "space": {"code_sees": ["ir", "spec"], "temperature": [0.0, 0.7]},
    "first_points": [],
}


def stand_in(patch: pytest.MonkeyPatch, folder: Path) -> StandingModal:
    made = StandingModal(folder / "modal")
    made.folder.mkdir()
    patch.setitem(sys.modules, "modal", made)
    patch.setattr(modal_executor, "ensure_model", lambda name, _: folder / name)
    return made


def model_here(patch: pytest.MonkeyPatch) -> Model:
    made = Model()
    patch.setattr(models, "build_lm", made.build)
    patch.setattr(cli_models, "pull_with_progress", lambda _: None)
    return made


@pytest.fixture
def modal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandingModal:
    return stand_in(monkeypatch, tmp_path)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Model:
    """The model of this machine; its answers are shorter than those whose rates are known."""
    monkeypatch.setattr(affordable, "shipped_rates", dict)
    return model_here(monkeypatch)


@dataclass(frozen=True)
class Finished:
    """A job that ran here, and then in two containers."""

    folder: Path
    modal: StandingModal
    said: str
    asked: int


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        modal, here = stand_in(patch, folder), model_here(patch)
        start(folder, runs="local")
        before = len(here.engine.requests)
        said = start(folder, "--executor", "modal", "--containers", "2")
        return Finished(folder, modal, said, len(here.engine.requests) - before)


def start(folder: Path, *options: str, runs: str = "runs") -> str:
    """Run the job and return what it printed."""
    job: dict[str, Any] = dict(JOB)
    for split in ("train", "dev", "test"):
        own = "dev" if split == "test" else split
        lines = [
            {
                "id": f"{split}{n}", "spec": f"Add one, {split} {n}.", "entry_point": "f",
                "category": "mathematical", "split": own, "source": "test",
                "hidden": [{"args": f"({HIDDEN},)", "expected": str(HIDDEN + 1)}],
            }
            for n in range(2)
        ]  # fmt: skip
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        job[f"{split}_data"] = str(folder / f"{split}.jsonl")
    (folder / "job.json").write_text(json.dumps(job))
    command = ["optimize", "--config", str(folder / "job.json"), "--runs", str(folder / runs)]
    done = CliRunner().invoke(cli.app, [*command, *options])
    if done.exception:
        raise done.exception
    return done.output


def run_of(folder: Path, runs: str = "runs", *, rows: bool = True) -> RunDirectory:
    (path,) = (folder / runs).glob("*/rows.jsonl" if rows else "*/ledger.jsonl")
    return RunDirectory(path.parent)


def entries(run: RunDirectory) -> list[LedgerEntry]:
    """Return the last entry of each call."""
    lines = (run.path / "ledger.jsonl").read_text().splitlines()
    read = [LedgerEntry.model_validate_json(line) for line in lines]
    return list({entry.key: entry for entry in read}.values())


def timeless(row: Row) -> dict[str, Any]:
    """Return all of a row but how long it took, and which calls another task had made before."""
    kept = row.model_dump(mode="json", exclude={"seconds", "calls"})
    return {**kept, "calls": [(c.key, c.stage, c.prompt_tokens) for c in row.calls]}


def outcome(folder: Path, runs: str = "runs") -> dict[str, Any]:
    """Return everything of a run that does not depend on where its tasks were executed."""
    run = run_of(folder, runs)
    artifact = load_artifact(run.path / "best.json")
    report = json.loads((run.path / "report.json").read_text())
    return {
        "rows": {row.key: timeless(row) for row in run.rows()},
        "answers": {call.key: call.text for call in run.calls()},
        "ledger": {e.key: (e.stage, e.prompt_tokens, e.completion_tokens) for e in entries(run)},
        "program": [artifact.identity, artifact.hypers],
        "table": [(r["name"], r["outcomes"]) for r in report["results"]],
        "run": run.path.name,
    }


def test_a_job_in_containers_gives_the_rows_that_it_gives_here(finished: Finished) -> None:
    modal = finished.modal
    there, local = outcome(finished.folder), outcome(finished.folder, "local")
    assert finished.asked == 0
    assert "compiled winner" in finished.said
    assert local["rows"].keys() & there["rows"].keys()
    for key in local["rows"].keys() & there["rows"].keys():
        mine, other = local["rows"][key], there["rows"][key]
        # With more slots another trial may have come to the task first.
        assert mine == {**other, "label": mine["label"]}
    assert local["run"] == there["run"]
    assert len(modal.sent) == len(there["rows"])
    assert there["answers"].keys() == there["ledger"].keys()
    assert there["answers"].keys() == {c[0] for r in there["rows"].values() for c in r["calls"]}


def test_with_one_container_everything_is_as_it_is_here(
    modal: StandingModal, here: Model, tmp_path: Path
) -> None:
    start(tmp_path, runs="local")
    start(tmp_path, *IN_ONE)

    assert outcome(tmp_path) == outcome(tmp_path, "local")


def test_answers_of_this_machine_and_of_containers_are_kept_together(
    modal: StandingModal, here: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(JOB, "instructions", {"grounded": 1})  # proposed here, from a pool of there
    start(tmp_path, *IN_ONE)

    assert here.engine.requests
    assert modal.sent
    assert len(list(run_of(tmp_path).calls())) > len(here.engine.requests)


def test_a_job_may_go_on_elsewhere(modal: StandingModal, here: Model, tmp_path: Path) -> None:
    start(tmp_path, runs="local")
    modal.lose_at = 4
    with pytest.raises(InfrastructureError, match=r"ContainerLostError.*kept, run again"):
        start(tmp_path, *IN_ONE)
    before = {row.key: row for row in run_of(tmp_path).rows()}
    asked = len(here.engine.requests)
    start(tmp_path)
    after = {row.key: row for row in run_of(tmp_path).rows()}

    assert len(before) == 3
    assert before.items() <= after.items()
    assert outcome(tmp_path) == outcome(tmp_path, "local")
    assert len(here.engine.requests) < 2 * asked
    sent, apps = len(modal.sent), modal.apps
    start(tmp_path, "--executor", "modal")
    assert (len(modal.sent), modal.apps) == (sent, apps)  # a finished job needs no container


def test_a_container_has_no_network_no_secrets_and_what_is_locked(finished: Finished) -> None:
    modal, options = finished.modal, finished.modal.options
    assert options["max_containers"] == 2
    assert options["block_network"] is True
    assert options["restrict_modal_access"] is True
    assert options["include_source"] is False
    assert options["volumes"] == {"/models": (modal, "read only")}
    assert "secrets" not in options
    built = dict(modal.built)
    assert built["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert built["requirements"] == (ROOT / "requirements.lock").read_text()
    assert built["env"] == {"PYTHONPATH": "/opt/lift-sys", "LIFT_MODELS": "/models"}
    assert list(modal.uploaded) == [f"/{catalogue.get('qwen2.5-coder-0.5b').filename}"]


def test_hidden_cases_travel_to_be_scored_and_are_in_no_prompt(finished: Finished) -> None:
    prompts = finished.modal.prompts.read_text()
    assert all(str(HIDDEN) in job for job in finished.modal.sent)
    assert "Add one, dev 0." in prompts
    assert str(HIDDEN) not in prompts


def test_a_budget_counts_what_containers_spend(
    modal: StandingModal, here: Model, tmp_path: Path
) -> None:
    with pytest.raises(LiftError, match="the budget of 300 tokens is spent") as refused:
        start(tmp_path, *IN_ONE, "--budget", "tokens=300")
    spent = sum(entry.spend.tokens for entry in entries(run_of(tmp_path)))
    sent, kept = len(modal.sent), list(run_of(tmp_path).rows())
    start(tmp_path, *IN_ONE, "--budget", "tokens=1000000")

    assert refused.value.exit_code == 3
    assert spent >= sum(row.usage.total_tokens for row in kept) > 0
    assert sent < len(modal.sent)
    assert not here.engine.requests


def test_a_budget_in_usd_is_refused(modal: StandingModal, here: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="what Modal charges"):
        start(tmp_path, *IN_ONE, "--budget", "usd=1")
    assert not modal.sent


def test_workers_of_a_shared_study_use_no_containers(
    modal: StandingModal, here: Model, tmp_path: Path
) -> None:
    shared = ("--storage", "postgresql://nowhere/none", "--study", "one")
    with pytest.raises(ConfigError, match="either containers or --storage"):
        start(tmp_path, *IN_ONE, *shared)


def test_other_code_in_a_container_is_refused(
    modal: StandingModal, here: Model, tmp_path: Path
) -> None:
    def change(code: Path) -> None:
        with (code / "programs" / "presets.py").open("a") as file:
            file.write("\n# changed\n")

    modal.before_start = change
    with pytest.raises(ConfigError, match="a container has other code"):
        start(tmp_path, *IN_ONE)
    assert not list((tmp_path / "runs").glob("*/rows.jsonl"))


@pytest.fixture
def own_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the user's own, which is in no container."""
    address = "http://127.0.0.1:1/v1"
    (tmp_path / "models.toml").write_text(f'[own]\nbackend = "vllm"\nurls = ["{address}"]\n')
    monkeypatch.setenv("LIFT_CATALOGUE", str(tmp_path / "models.toml"))
    yield address
    catalogue.use(())


def test_models_of_the_users_own_do_not_stand_in_the_way(
    modal: StandingModal, here: Model, own_model: str, tmp_path: Path
) -> None:
    start(tmp_path, *IN_ONE)

    assert list(run_of(tmp_path).rows())
    assert not any(own_model in job for job in modal.sent)


def test_without_the_package_one_sentence_says_how_to_get_it(
    here: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    with pytest.raises(ConfigError, match="pip install modal") as refused:
        start(tmp_path, "--executor", "modal")
    assert refused.value.exit_code == 2


def test_an_unknown_executor_is_refused(here: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"executor.kind.*'local' or 'modal'"):
        start(tmp_path, "--executor", "cloud")
