"""``lift diff``: nothing that differs is passed over, and it is told in few words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lift_sys.app.diff import ArtifactDiff, diff_artifacts, render_diff
from lift_sys.app.export import Artifact, ModelRef, Opening, PredictorState
from tests.app.made_artifacts import CODE_DEMO, artifact_of, program_of

A = artifact_of(program_of())
CODE = "code_generator.predict"


def groups(difference: ArtifactDiff) -> set[str]:
    return {group for group in ArtifactDiff.model_fields if getattr(difference, group)}


def with_state(**changes: Any) -> Artifact:
    state = A.predictors[CODE].model_copy(update=changes)
    return A.model_copy(update={"predictors": {**A.predictors, CODE: state}})


def lines_of(other: Artifact) -> list[str]:
    return render_diff(diff_artifacts(A, other)).splitlines()


def test_an_artifact_does_not_differ_from_itself() -> None:
    same = diff_artifacts(A, Artifact.model_validate_json(A.model_dump_json()))
    assert same.same
    assert render_diff(same) == "no differences\n"


OPENING = Opening(artifact="2" * 64, data="t", data_sha256="3" * 64, opened_at="then")
CHANGED: dict[str, tuple[Any, str]] = {
    "schema_version": (2, "provenance"),
    "kind": ("other", "provenance"),
    "program": ("Other", "provenance"),
    "wire_version": (99, "provenance"),
    "model": (ModelRef(id="m", sha256="4" * 64), "models"),
    "models": ((ModelRef(id="m", sha256="4" * 64),), "models"),
    "hypers": ({**A.hypers, "n": 2}, "hypers"),
    "predictors": ({}, "instructions"),
    "scores": ({}, "scores"),
    "provenance": ({**A.provenance, "seed": False}, "provenance"),
    "openings": ((OPENING,), "scores"),
}


@pytest.mark.parametrize("field", sorted(set(Artifact.model_fields) - {"sha256"}))
def test_every_field_is_looked_at(field: str) -> None:
    value, group = CHANGED[field]
    found = diff_artifacts(A, A.model_copy(update={field: value}))
    assert group in groups(found)
    assert groups(found) <= {group, "demos"}
    assert render_diff(found) != "no differences\n"


def test_values_are_told_with_their_path_and_both_sides() -> None:
    other = artifact_of(program_of(n=3, temperature=0.5))
    assert lines_of(other) == ["hypers", "  n: 1 → 3", "  temperature: 0.0 → 0.5"]
    dev = A.scores["dev"].model_copy(update={"passed": 10, "outcomes": {"t": True}})
    scored = A.model_copy(update={"scores": {"dev": dev, "test": dev}})
    assert lines_of(scored)[:3] == [
        "scores",
        "  dev.passed: 9 → 10",
        "  dev.outcomes.t: (absent) → true",
    ]
    assert lines_of(scored)[3].startswith("  test: (absent) → {")
    hashes = {**A.provenance, "data_sha256": {}, "environment": {"dspy": "3.5"}}
    assert lines_of(A.model_copy(update={"provenance": hashes})) == [
        "provenance",
        f"  data_sha256.dev: {'1' * 58} … → (absent)",
        "  environment.dspy: 3.4.1 → 3.5",
    ]


def test_instructions_are_told_line_by_line() -> None:
    other = with_state(instructions="Write it.\nAt length.", fields=("name", "code"))
    assert lines_of(other) == [
        "instructions",
        f"  {CODE}:",
        "     Write it.",
        "    -Tersely.",
        "    +At length.",
        f'  {CODE}: ["name", "spec", "ir", "code"] → ["name", "code"]',
    ]
    assert "white space" in lines_of(with_state(instructions="Write it.\nTersely.\n"))[-1]


def test_demos_are_told_by_what_only_one_side_has() -> None:
    other = {**CODE_DEMO, "name": "part"}
    assert lines_of(with_state(demos=(other, other))) == [
        "demos",
        f"  {CODE}: 1 → 2",
        "    - greet: Greet «Zoë»",
        "    + part: Greet «Zoë»",
        "    + part: Greet «Zoë»",
    ]
    assert lines_of(with_state(demos=(CODE_DEMO, CODE_DEMO)))[1].endswith("order or number")
    many = tuple({**CODE_DEMO, "name": f"f{i}"} for i in range(20))
    assert lines_of(with_state(demos=many))[-1] == "    + and 12 more"


def test_a_stage_that_only_one_side_has() -> None:
    state = PredictorState(instructions="Judge.", fields=("code",), demos=({"code": "x"},))
    other = A.model_copy(update={"predictors": {**A.predictors, "judge.predict": state}})
    assert lines_of(other) == [
        "instructions",
        "  judge.predict: (absent) → Judge.",
        '  judge.predict: (absent) → ["code"]',
        "",
        "demos",
        "  judge.predict: 0 → 1",
        "    + (no name):",
    ]


def test_for_machines_everything_is_in_full() -> None:
    long = "word " * 100
    found = diff_artifacts(A, with_state(instructions=long))
    document = json.loads(found.model_dump_json())
    assert document["instructions"][0]["b"] == long
    assert document["hypers"] == []
