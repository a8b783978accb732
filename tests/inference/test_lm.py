"""What can be asked of a model whatever its backend."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dspy
import pytest

from lift_sys.inference import lm
from lift_sys.inference.llama_cpp import LlamaEngine
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

NOBODY: Any = None  # nothing is asked or stored here
SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


@pytest.mark.parametrize(
    ("engine", "concurrency"),
    [
        (ScriptedEngine([]), 1),
        (ScriptedEngine([], concurrency=4), 4),
        (ReplayEngine(ScriptedEngine([], concurrency=4), "w", NOBODY), 4),
        (LlamaEngine(NOBODY, "m"), 1),
        (ReplayEngine(LlamaEngine(NOBODY, "m"), "w", NOBODY), 1),
    ],
)
def test_an_engine_says_how_many_requests_it_takes_at_once(engine: Any, concurrency: int) -> None:
    model = dspy.LM("local/x", engine=engine, cache=False, num_retries=0)

    assert concurrency_of(model) == concurrency
    assert concurrency_of(model.copy(temperature=1.0)) == concurrency


def test_what_says_nothing_takes_one_at_a_time() -> None:
    assert concurrency_of(None) == 1
    assert concurrency_of(dspy.LM("openai/some-model", api_key="none")) == 1


def test_a_chain_is_built_of_its_members(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engines: dict[str, ScriptedEngine] = {}

    def opened(info: ModelInfo, *_: Any) -> tuple[Any, Any]:
        said = "" if info.id == SMALL else "fine"
        engines[info.id] = ScriptedEngine(lambda _: said, concurrency=3)
        return engines[info.id], None

    monkeypatch.setattr(lm, "_open", opened)
    made = lm.build_lm(f"{SMALL}>{LARGE}", tmp_path)
    assert made("hi") == ["fine"]
    assert asyncio.run(made.acall("hi")) == ["fine"]
    assert {name: len(engine.requests) for name, engine in engines.items()} == {SMALL: 2, LARGE: 2}
    assert {r.model for r in engines[SMALL].requests} == {f"local/{SMALL}"}
    assert concurrency_of(made) == 3
