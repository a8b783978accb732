"""What decides an executed task is in the digest of the source, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

import lift_sys
from lift_sys.app import environment
from lift_sys.app.environment import source_digest

COUNTS = [
    "programs/forms.py",
    "programs/precision.json",
    "metrics/execution.py",
    "lift_sys/ir/schema.py",
    "lift_sys/knowledge/quirks.py",
    "lift_sys/knowledge/quirks.toml",
    "lift_sys/inference/chat.py",
    "lift_sys/sandbox/codec.py",
]
DOES_NOT = ["lift_sys/app/cli.py", "optimizers/joint.py", "programs/notes.txt"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*COUNTS, *DOES_NOT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    monkeypatch.setattr(lift_sys, "__file__", str(tmp_path / "lift_sys" / "__init__.py"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"), [*((n, True) for n in COUNTS), *((n, False) for n in DOES_NOT)]
)
def test_a_change_is_seen_where_it_matters(tree: Path, name: str, counts: bool) -> None:
    before = source_digest()
    (tree / name).write_text("new")

    assert (source_digest() != before) == counts


@pytest.mark.parametrize(("name", "counts"), [("python", True), ("dspy", True), ("optuna", False)])
def test_another_version_is_seen_where_it_matters(
    monkeypatch: pytest.MonkeyPatch, name: str, counts: bool
) -> None:
    before, versions = source_digest(), environment.search_versions()
    monkeypatch.setattr(environment, "search_versions", lambda: {**versions, name: "other"})

    assert (source_digest() != before) == counts


def test_every_counted_kind_of_file_is_one_of_ours() -> None:
    root = Path(__file__).parent.parent.parent
    assert [n for n in COUNTS if not (root / n).is_file()] == []
