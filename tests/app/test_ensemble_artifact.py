"""An ensemble's artifact is shown, compared, exported and loaded like any other."""

from __future__ import annotations

from pathlib import Path

import dspy
import pytest

from lift_sys.app import load
from lift_sys.app.bundle import render_bundle
from lift_sys.app.diff import diff_artifacts
from lift_sys.app.export import Artifact, build_program, describe_program, save_artifact
from lift_sys.app.lineup import Wanted, make_lineup
from lift_sys.app.load import load_program
from lift_sys.app.plain_dspy import plain_state
from lift_sys.app.show import render_artifact
from lift_sys.errors import ArtifactError, ConfigError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox.base import ClosedSandbox
from programs.ensemble import Ensemble
from programs.hypers import set_hypers
from tests.app.made_artifacts import MODEL, artifact_of, program_of

CODE = "programs[1].code_generator.predict"


def made(*, n: int = 2) -> tuple[Ensemble, Artifact]:
    program = Ensemble([program_of("direct"), program_of(), program_of("best_of_n")])
    set_hypers(program, {"programs[1].n": n})
    return program, artifact_of(program)


def test_it_is_saved_loaded_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, artifact = made()
    engine = ScriptedEngine(lambda _: "```python\ndef f(x: int):\n    return x\n```")
    lm = dspy.LM("local/s", engine=engine, cache=False, num_retries=0)
    monkeypatch.setattr(load, "model_source", lambda: lambda _: lm)
    loaded = load_program(save_artifact(artifact, tmp_path / "a.json"))
    assert isinstance(loaded, Ensemble)
    assert describe_program(loaded) == describe_program(program)
    assert loaded(spec="Return x as it is.", entry_point="f").code == "def f(x: int):\n    return x"
    loaded.borrowed.sandbox.close()


def test_it_is_shown_and_compared() -> None:
    artifact, other = made()[1], made(n=3)[1]
    shown = render_artifact(artifact)
    assert shown.startswith(f"# Ensemble for {MODEL}")
    assert f"## {CODE}\n\nWrite it.\nTersely.\n" in shown
    (change,) = diff_artifacts(artifact, other).hypers
    assert (change.path, change.a, change.b) == ("programs[1].n", 2, 3)
    assert artifact.identity != other.identity


def test_its_prompts_are_those_of_each_member() -> None:
    program, artifact = made()
    bundle = render_bundle(artifact, program)
    assert "3 members answer, each on its own; the rule 'agreement' chooses." in bundle
    first, second, third = bundle.split("# Member ")[1:]
    assert "## 1. code_generator" in first
    assert "## 1. ir_generator" in second
    assert "the rule 'quality' chooses one" in third


def test_dspy_alone_cannot_choose_among_members() -> None:
    program, artifact = made()
    with pytest.raises(ConfigError, match="an ensemble chooses among its members"):
        plain_state(artifact, program)


@pytest.mark.parametrize("lost", [CODE, "programs["])
def test_what_lacks_a_part_is_refused(lost: str) -> None:
    artifact = made()[1]
    kept = {path: s for path, s in artifact.predictors.items() if not path.startswith(lost)}
    with pytest.raises(ArtifactError):
        build_program(artifact.model_copy(update={"predictors": kept}), ClosedSandbox())


def test_it_is_measured_beside_others(tmp_path: Path) -> None:
    path = save_artifact(made()[1], tmp_path / "a.json")
    lineup = make_lineup(Wanted(path, ["single"], MODEL, equal_tokens=True), ClosedSandbox())
    assert isinstance(lineup.programs["a"], Ensemble)
    assert lineup.models == (MODEL,)
