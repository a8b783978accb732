"""What extraction finds on the train tasks, held against their references and gold IRs."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from lift_sys.sandbox import create_sandbox
from lift_sys.tasks import load_tasks
from metrics.stats import Rate

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extraction", ROOT / "benchmarks/extraction.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["extraction"] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rates(benchmark: ModuleType) -> dict[str, Rate]:
    with closing(create_sandbox()) as sandbox:
        counts = benchmark.measure(load_tasks(ROOT / "datasets/train.jsonl"), sandbox)
    made: dict[str, Rate] = counts.rates()
    return made


@pytest.mark.parametrize(
    ("name", "share", "least"),
    [
        ("precision of examples", 1.0, 55),
        ("precision of properties and sets", 1.0, 14),
        ("recall of written examples", 0.55, 60),
        ("recall of stated assertions", 0.28, 150),
    ],
)
def test_train_floors(rates: dict[str, Rate], name: str, share: float, least: int) -> None:
    rate = rates[name]
    assert rate.total >= least
    assert rate.passed / rate.total >= share
