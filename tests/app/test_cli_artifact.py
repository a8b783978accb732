"""``lift export`` and ``lift diff`` from the command line: what they write and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lift_sys.app import cli, environment
from lift_sys.app.bundle import render_bundle
from lift_sys.app.export import load_artifact, save_artifact
from lift_sys.errors import ArtifactError, ConfigError, LiftError
from tests.app.made_artifacts import artifact_of, program_of

ARTIFACT = artifact_of(program_of())


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(environment, "programs_dir", lambda: tmp_path / "named")
    return str(save_artifact(ARTIFACT, tmp_path / "best.json"))


def lift(*arguments: str) -> Result:
    done = CliRunner().invoke(cli.app, arguments)
    if isinstance(done.exception, LiftError):
        raise done.exception
    return done


def test_an_artifact_is_written_anew_in_its_one_form(best: str, tmp_path: Path) -> None:
    loose = tmp_path / "loose.json"
    loose.write_text(json.dumps(json.loads(Path(best).read_text()), indent=7))
    out = tmp_path / "out.json"

    assert lift("export", str(loose), "--out", str(out)).output == f"{out}\n"
    assert out.read_bytes() == Path(best).read_bytes()


def test_a_name_stands_for_the_artifact_in_every_command(best: str, tmp_path: Path) -> None:
    assert lift("export", best, "--name", "greeter").exit_code == 0
    assert load_artifact(tmp_path / "named" / "greeter.json") == ARTIFACT
    assert lift("show", "greeter").output == lift("show", best).output
    assert lift("diff", "greeter", best).exit_code == 0


def test_prompts_and_state_are_written(best: str, tmp_path: Path) -> None:
    prompts, state = tmp_path / "prompts.md", tmp_path / "plain.json"
    lift("export", best, "--as", "prompts", "--out", str(prompts))
    lift("export", best, "--as", "dspy", "--out", str(state))

    assert prompts.read_text(encoding="utf-8") == render_bundle(ARTIFACT, program_of())
    told = json.loads(state.read_text(encoding="utf-8"))["metadata"]["lift_sys"]
    assert told["artifact_sha256"] == ARTIFACT.sha256


def test_diff_exits_with_one_where_something_differs(best: str, tmp_path: Path) -> None:
    other = str(save_artifact(artifact_of(program_of(n=3)), tmp_path / "other.json"))
    done = lift("diff", best, other)
    assert (done.exit_code, done.output) == (1, "hypers\n  n: 1 → 3\n")
    machine = lift("diff", best, other, "--json")
    assert machine.exit_code == 1
    assert json.loads(machine.output)["hypers"] == [{"path": "n", "a": 1, "b": 3, "only": ""}]
    assert lift("diff", best, best).output == "no differences\n"


@pytest.mark.parametrize(
    "options",
    [[], ["--out", "x", "--name", "y"], ["--name", "y", "--as", "dspy"], ["--name", "../y"]],
)
def test_options_that_do_not_fit(best: str, options: list[str]) -> None:
    with pytest.raises(ConfigError):
        lift("export", best, *options)


def test_trouble_is_an_error_and_writes_nothing(best: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with pytest.raises(ArtifactError, match="another artifact"):
        lift("export", best, "--out", str(out), "--sha256", "0" * 64)
    with pytest.raises(ArtifactError):
        lift("diff", best, "none")
    assert ArtifactError.exit_code == 2
    assert not out.exists()
