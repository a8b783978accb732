"""Presets, settings and variations become programs with names, and pairs to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.export import Artifact, ModelRef, describe_program, save_artifact
from lift_sys.app.gold_demos import demo_set
from lift_sys.app.lineup import Lineup, Wanted, make_lineup
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox import Sandbox
from programs.hypers import hypers_of, set_hypers
from programs.presets import PRESETS, make_program
from programs.spec_to_code import SpecToCode

MODEL, OTHER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


def lineup(sandbox: Sandbox, *presets: str, **more: Any) -> Lineup:
    return make_lineup(Wanted(more.pop("artifact", None), presets, MODEL, **more), sandbox)


def artifact(path: Path, sandbox: Sandbox) -> Path:
    hypers, predictors = describe_program(make_program("refine", sandbox))
    info = catalogue.get(OTHER)
    made = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id=info.id, sha256=info.sha256),
        hypers=hypers,
        predictors=predictors,
    )
    return save_artifact(made, path)


def values(program: SpecToCode) -> dict[str, Any]:
    return {path: hyper.value for path, hyper in hypers_of(program).items()}


def test_every_preset_is_compared_with_both_baselines(sandbox: Sandbox) -> None:
    found = lineup(sandbox, "adaptive", "single", "direct", "refine", "adaptive", equal_tokens=True)
    assert list(found.programs) == ["adaptive", "single", "direct", "refine"]
    assert found.pairs == [
        ("direct", "single"),
        ("direct", "adaptive"),
        ("single", "adaptive"),
        ("direct", "refine"),
        ("single", "refine"),
    ]
    assert found.spenders == ["adaptive", "single", "refine"]


def test_without_a_baseline_the_first_is_one(sandbox: Sandbox) -> None:
    assert lineup(sandbox, "refine", "hybrid", "adaptive").pairs == [
        ("refine", "hybrid"),
        ("refine", "adaptive"),
    ]
    assert lineup(sandbox, "adaptive").pairs == []


def test_all_presets(sandbox: Sandbox) -> None:
    found = lineup(sandbox, "all")
    assert found.spenders == []
    assert list(found.programs) == list(PRESETS)
    assert len(found.pairs) == 1 + 2 * (len(PRESETS) - 2)


def test_settings_are_in_every_program_and_in_its_name(sandbox: Sandbox) -> None:
    settings = ["n=5", "temperature=0.7", "code_sees=spec", "reason=true"]
    found = lineup(sandbox, "direct", "adaptive", settings=settings)
    told = "n=5, temperature=0.7, code_sees=spec, reason=true"
    assert list(found.programs) == [f"direct, {told}", f"adaptive, {told}"]
    assert found.pairs == [(f"direct, {told}", f"adaptive, {told}")]
    for preset, program in zip(("direct", "adaptive"), found.programs.values(), strict=True):
        expected = make_program(preset, sandbox)
        set_hypers(expected, {"n": 5, "temperature": 0.7, "code_sees": "spec", "reason": True})
        assert values(program) == values(expected)


def test_a_variation_is_compared_with_what_it_varies_only(sandbox: Sandbox) -> None:
    variations = ["quirks=triggered", "n=1"]
    found = lineup(
        sandbox,
        "direct",
        "adaptive",
        settings=["n=3"],
        variations=variations,
        equal_tokens=True,
    )
    assert list(found.programs) == [
        "direct, n=3",
        "direct, n=3, quirks=triggered",
        "direct, n=1",
        "adaptive, n=3",
        "adaptive, n=3, quirks=triggered",
        "adaptive, n=1",
    ]
    assert found.pairs == [
        ("direct, n=3", "adaptive, n=3"),
        ("direct, n=3", "direct, n=3, quirks=triggered"),
        ("adaptive, n=3", "adaptive, n=3, quirks=triggered"),
        ("direct, n=3", "direct, n=1"),
        ("adaptive, n=3", "adaptive, n=1"),
    ]
    assert found.spenders == ["adaptive, n=3"]
    varied = values(found.programs["adaptive, n=3, quirks=triggered"])
    assert varied == values(found.programs["adaptive, n=3"]) | {"quirks": "triggered"}


def test_a_variation_that_a_preset_has_already_is_left_out(sandbox: Sandbox) -> None:
    found = lineup(sandbox, "single", "chain_of_thought", variations=["reason=true"])
    assert list(found.programs) == ["single", "single, reason=true", "chain_of_thought"]


def test_an_artifact_comes_last_and_brings_its_model(sandbox: Sandbox, tmp_path: Path) -> None:
    path = artifact(tmp_path / "best.json", sandbox)
    found = lineup(
        sandbox, "direct", "single", artifact=path, settings=["quirks=all"], equal_tokens=True
    )
    assert list(found.programs)[-1] == "best"
    assert values(found.programs["best"]) == values(make_program("refine", sandbox))
    assert (found.model, found.artifact) == (OTHER, path)
    assert found.pairs[1:] == [("direct, quirks=all", "best"), ("single, quirks=all", "best")]
    assert found.spenders == ["single, quirks=all", "best"]


def test_an_artifact_that_is_called_as_a_preset(sandbox: Sandbox, tmp_path: Path) -> None:
    path = artifact(tmp_path / "direct.json", sandbox)
    assert list(lineup(sandbox, "direct", artifact=path).programs) == ["direct", str(path)]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "give an artifact, or --preset"),
        ({"presets": ["direct"], "equal_tokens": True}, "the tokens of another program"),
        ({"presets": ["tripple"]}, "there is no preset 'tripple'"),
        ({"settings": ["n"]}, "write PATH=VALUE"),
        ({"settings": ["=3"]}, "write PATH=VALUE"),
        ({"settings": ["n="]}, "write PATH=VALUE"),
        ({"settings": ["m=3"]}, "there is no hyper 'm'"),
        ({"settings": ["n=17"]}, "17 is not a value of the hyper 'n'"),
        ({"settings": ['n="3"']}, "'3' is not a value of the hyper 'n'"),
        ({"settings": ["n=" + "[" * 9000]}, "is not a value of the hyper 'n'"),
        ({"variations": ["quirks=some"]}, "'some' is not a value of the hyper 'quirks'"),
        ({"variations": ["reason=false"]}, "--vary reason=false changes nothing in single"),
    ],
)
def test_what_cannot_be_measured(sandbox: Sandbox, wanted: dict[str, Any], words: str) -> None:
    presets = wanted.pop("presets", ["single"] if wanted else [])
    with pytest.raises(ConfigError) as refusal:
        lineup(sandbox, *presets, **wanted)
    assert words in str(refusal.value)


def test_an_artifact_is_not_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    path = artifact(tmp_path / "best.json", sandbox)
    for change in ("settings", "variations"):
        with pytest.raises(ConfigError, match="measured as it is"):
            lineup(sandbox, artifact=path, **{change: ["n=5"]})


def test_demos_of_train_tasks_are_one_more_setting(sandbox: Sandbox) -> None:
    settings = ("code_generator.demo_choice=nearest", "code_generator.demo_count=2")
    found = lineup(sandbox, "direct", settings=settings, variations=("demos=gold-bank",))
    plain, shown = found.programs.values()
    assert [len(p.code_generator.predict.demos) for p in (plain, shown)] == [0, 120]
    assert list(found.programs)[1].endswith("demo_count=2, demos=gold-bank")
    assert values(plain) == values(shown)


@pytest.mark.parametrize("name", ["gold", "gold-0", "gold-9", "gold-short-bank", "3", "none "])
def test_a_demo_set_that_does_not_exist_is_refused(name: str, sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match=r"there is no demo set .* choose none, gold-N"):
        lineup(sandbox, "direct", settings=(f"demos={name}",))


def test_demo_sets_have_the_size_that_they_say() -> None:
    sizes = {name: len(demo_set(name).tasks) for name in ("none", "gold-3", "gold-short-2")}
    assert sizes == {"none": 0, "gold-3": 3, "gold-short-2": 2}
