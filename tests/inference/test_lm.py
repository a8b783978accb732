"""What can be asked of a model whatever its backend."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from lift_sys.inference.llama_cpp import LlamaEngine
from lift_sys.inference.lm import concurrency_of
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

NOBODY: Any = None  # nothing is asked or stored here


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
    lm = dspy.LM("local/x", engine=engine, cache=False, num_retries=0)

    assert concurrency_of(lm) == concurrency
    assert concurrency_of(lm.copy(temperature=1.0)) == concurrency


def test_what_says_nothing_takes_one_at_a_time() -> None:
    assert concurrency_of(None) == 1
    assert concurrency_of(dspy.LM("openai/some-model", api_key="none")) == 1
