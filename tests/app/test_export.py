"""Artifacts: what was exported is what is loaded, and anything else is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app.export import (
    Artifact,
    Measured,
    ModelRef,
    Opening,
    PredictorState,
    build_program,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.errors import ArtifactError
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.tasks import load_tasks
from optimizers.pools import build_pool
from programs.demos import make_demos
from programs.hypers import set_hypers
from programs.spec_to_code import SpecToCode

SANDBOX: Any = None
DEMO = {"name": "f", "spec": "Größe\u2028", "ir": "**Intent**", "code": "def f():\n    return 'x'"}


def make_program() -> SpecToCode:
    program = SpecToCode(SANDBOX)
    set_hypers(program, {"n": 3, "temperature": 0.7, "reason": True, "code_sees": "spec_and_ir"})
    predict = program.code_generator.predict
    predict.demos = [DEMO]
    predict.signature = predict.signature.with_instructions("Write it.\nTersely.")
    return program


def make_artifact() -> Artifact:
    hypers, predictors = describe_program(make_program())
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id="some-model", sha256="0" * 64),
        models=(ModelRef(id="other-model", sha256="4" * 64),),
        hypers=hypers,
        predictors=predictors,
        scores={
            "dev": Measured(
                data="dev",
                data_sha256="1" * 64,
                passed=9,
                total=12,
                low=0.5,
                high=0.9,
                tokens=1234,
            )
        },
        provenance={"seed": 0, "versions": {"dspy": "3"}},
        openings=(
            Opening(
                artifact="2" * 64,
                data="test",
                data_sha256="3" * 64,
                opened_at="2026-01-02T03:04:05+00:00",
                passed=50,
                total=100,
            ),
        ),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_artifact(make_artifact(), tmp_path / "best.json")


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_artifact(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_what_was_exported_is_loaded(path: Path) -> None:
    loaded = load_artifact(path)
    assert loaded == make_artifact().sealed()
    assert loaded.intact
    program = build_program(loaded, SANDBOX)
    assert describe_program(program) == describe_program(make_program())
    assert program.code_generator.predict.demos == [DEMO]
    assert program.code_generator.predict.signature.instructions == "Write it.\nTersely."
    assert program.n.value == 3
    assert type(program.temperature.value) is float


def test_a_bank_and_its_choice_are_frozen(tmp_path: Path) -> None:
    tasks = load_tasks(Path(__file__).parents[2] / "datasets" / "train.jsonl")
    pool = build_pool(tasks, {}, make_demos, size=2, seed=0, kinds=("bank",))
    chosen = {"code_generator.demo_choice": "nearest", "code_generator.demo_count": 2}
    program = make_program()
    pool["gold-bank"].apply(program)
    set_hypers(program, chosen | {"ir_generator.demo_tokens": 500})
    hypers, predictors = describe_program(program)
    artifact = make_artifact().model_copy(update={"hypers": hypers, "predictors": predictors})

    path = save_artifact(artifact, tmp_path / "bank.json")
    loaded = build_program(load_artifact(path), SANDBOX)

    assert describe_program(loaded) == (hypers, predictors)
    assert path.stat().st_size < 600_000
    spec = "Return the median of a list of numbers"
    for stage in ("code_generator", "ir_generator"):
        before, after = (getattr(p, stage).demos_for(spec) for p in (program, loaded))
        assert 0 < len(before) <= 8
        assert after == before
    assert len(loaded.code_generator.demos_for(spec)) == 2


def test_the_file_is_readable_json_and_the_same_each_time(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "Größe" in text
    assert json.loads(text)["predictors"]["code_generator.predict"]["demos"] == [DEMO]
    again = save_artifact(load_artifact(path), tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()


def _tampered(value: Any) -> Any:
    match value:
        case bool() | None:
            return "x"
        case str():
            return value + "x"
        case int():
            return value + 1
        case dict():
            return {**value, "added": next(iter(value.values()), 1)}
    return [value]


@pytest.mark.parametrize("field", Artifact.model_fields)
def test_every_changed_field_is_noticed(path: Path, field: str) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    data[field] = _tampered(data[field])
    path.write_text(json.dumps(data), encoding="utf-8")
    refusal(path)
    del data[field]
    path.write_text(json.dumps(data), encoding="utf-8")
    if field not in {"kind", "program", "schema_version"}:  # these have one value, which is implied
        refusal(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Tersely.", "Verbosely."),
        ("def f()", "def g()"),
        ('"passed": 9', '"passed": 10'),
        ('"n": 3', '"n": 2'),
        ('"n": 3', '"n": 3.0'),
        ('"temperature": 0.7', '"temperature": 1'),
        ('"reason": true', '"reason": 1'),
        ('"seed": 0', '"seed": false'),
        ('"sha256": "0', '"sha256": "f'),
    ],
)
def test_every_changed_detail_is_noticed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert "was changed after it was exported" in refusal(path)


def test_a_truncated_file_is_refused_wherever_it_ends(path: Path) -> None:
    content = path.read_bytes()
    for cut in [*range(0, len(content) - 2, 97), len(content) - 2]:
        path.write_bytes(content[:cut])
        assert "truncated" in refusal(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated or not an artifact"),
        (b"\xff\xfe", "truncated or not an artifact"),
        (b"[" * 100_000, "truncated or not an artifact"),
        (b"[]", "is not an artifact of this release"),
        (b"null", "is not an artifact of this release"),
        (b'{"schema_version": 2, "whatever": 1}', "format version 2 .* reads up to 1; upgrade"),
        (b'{"schema_version": 99}', "format version 99"),
        (b'{"schema_version": 0}', "not an artifact of this release"),
        (b"{}", r"wire_version: Field required"),
    ],
)
def test_what_is_no_artifact_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=says):
        load_artifact(path)
    refusal(path)


def test_unknown_fields_are_refused_by_name(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"hook": "x"}), encoding="utf-8")
    assert "hook: Extra inputs are not permitted" in refusal(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.json")
    assert "cannot read the artifact" in refusal(tmp_path)


def _with_predictors(change: dict[str, PredictorState | None]) -> Artifact:
    artifact = make_artifact()
    predictors = {**artifact.predictors, **change}
    kept = {k: v for k, v in predictors.items() if v is not None}
    return artifact.model_copy(update={"predictors": kept})


def _without_hyper(name: str) -> Artifact:
    artifact = make_artifact()
    kept = {k: v for k, v in artifact.hypers.items() if k != name}
    return artifact.model_copy(update={"hypers": kept})


CODE = "code_generator.predict"
OTHER_FIELDS = PredictorState(instructions="i", fields=("name", "code"))


@pytest.mark.parametrize(
    ("artifact", "says"),
    [
        (make_artifact().model_copy(update={"wire_version": WIRE_VERSION + 1}), "wire version"),
        (_with_predictors({CODE: OTHER_FIELDS}), r"another signature of code_generator\.predict"),
        (_with_predictors({CODE: None}), "other stages"),
        (_with_predictors({"judge.predict": OTHER_FIELDS}), "other stages"),
        (_without_hyper("quirks"), "lacks the hyper 'quirks' of this release; compile it again"),
        (make_artifact().model_copy(update={"hypers": {"m": 1}}), "there is no hyper 'm'"),
        (make_artifact().model_copy(update={"hypers": {"n": 99}}), "99 is not a value"),
        (make_artifact().model_copy(update={"hypers": {"n": True}}), "True is not a value"),
    ],
    ids=["wire", "fields", "fewer-stages", "more-stages", "missing", "hyper", "value", "type"],
)
def test_what_was_made_for_another_program_is_refused(
    tmp_path: Path, artifact: Artifact, says: str
) -> None:
    loaded = load_artifact(save_artifact(artifact, tmp_path / "sealed.json"))
    with pytest.raises(ArtifactError, match=says) as caught:
        build_program(loaded, SANDBOX)
    assert "\n" not in str(caught.value)
