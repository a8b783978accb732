"""The attack suite's results are those of the page, and every attack's control succeeds."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"lift_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


REPORT = _load("attack_report")
FILES = sorted((Path(__file__).parent / "cases").rglob("*.py.txt"))
WRITTEN = REPORT.read_table(REPORT.PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runs() -> Any:
    return REPORT.run_everything()


def test_there_are_attacks_of_every_outcome() -> None:
    outcomes = Counter(path.parent.name for path in FILES)
    assert sum(outcomes.values()) >= 80
    assert set(outcomes) == {
        "escape",
        "host_leak",
        "exfiltration",
        "lateral",
        "host_dos",
        "peer_dos",
        "self_dos",
        "forgery",
    }
    assert all(path.stat().st_size < 2000 for path in FILES)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute, but for a busy machine
def test_with_the_defence_off_every_attack_succeeds(runs: Any) -> None:
    failed = [name for name, succeeded in runs.controls.items() if not succeeded]
    assert failed == []
    assert len(runs.controls) == len(FILES)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute, but for a busy machine
@pytest.mark.parametrize("column", WRITTEN)
def test_the_results_are_those_of_the_page(runs: Any, column: str) -> None:
    assert runs.columns, f"no backend holds here: {runs.missing}"
    if column not in runs.columns:
        pytest.skip(f"{column} was not run: {'; '.join(runs.missing)}")
    results = runs.columns[column]
    differing = {
        name: (WRITTEN[column].get(name), result)
        for name, result in results.items()
        if WRITTEN[column].get(name) != result
    }
    assert differing == {}, f"{column}: (page, now)"
    assert set(WRITTEN[column]) == set(results)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute, but for a busy machine
def test_every_column_that_runs_is_in_the_page(runs: Any) -> None:
    assert set(runs.columns) <= set(WRITTEN)


def test_the_page_admits_to_nothing_but_metadata_under_landlock() -> None:
    for column, results in WRITTEN.items():
        escaped = sorted(name for name, result in results.items() if result == "escaped")
        allowed = ["read_link", "stat_file"] if column.startswith("landlock") else []
        assert escaped == allowed, column
