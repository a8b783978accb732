"""Two models in one process: each answers as it does alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from dspy.lm15 import Config, Message, Request

from lift_sys.inference.llama_cpp import load_engine
from lift_sys.inference.lm import SLOTS
from lift_sys.inference.usage import recording

pytestmark = pytest.mark.model


@pytest.fixture
def other_file(model_path: Path, tmp_path: Path) -> Path:
    """The same weights as another file, which is another model to the engine."""
    other = tmp_path / "other.gguf"
    try:
        os.link(model_path, other)
    except OSError:
        shutil.copyfile(model_path, other)
    return other


def test_two_models_answer_by_turns(model_path: Path, other_file: Path) -> None:
    engines = {
        "first": load_engine(model_path, slots=SLOTS, model="qwen2.5-coder-0.5b"),
        "second": load_engine(other_file, slots=SLOTS),
    }
    requests = [
        Request(
            model=name,
            messages=(Message.user(f"Count from {start} to nine, in digits only."),),
            config=Config(max_tokens=12, temperature=0.7, seed=3),
        )
        for start in ("one", "two")
        for name in engines
    ]
    with recording() as calls:
        texts = [str(engines[r.model].complete(r).message.text) for r in requests]

    assert engines["first"] is not engines["second"]
    assert [c.model for c in calls] == ["qwen2.5-coder-0.5b", "other"] * 2
    assert texts[0] == texts[1] != ""
    assert texts[2] == texts[3] != ""
