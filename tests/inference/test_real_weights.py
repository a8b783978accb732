"""The real model, from its GGUF file to a folder to an IR of one task."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dspy
import pytest

from lift_sys.inference.convert import convert
from lift_sys.inference.engine import AsyncChatEngine, ChatEngine
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.transformers import connect
from lift_sys.inference.usage import recording
from programs.modules import IRGenerator
from programs.stages import Sampling

pytestmark = [
    pytest.mark.transformers,
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def folder(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("xgrammar", reason="needs the extra transformers")
    made = tmp_path_factory.mktemp("weights") / "qwen"
    convert(model_path, made)
    yield made
    shutil.rmtree(made)


def test_an_ir_of_a_task_from_converted_weights(folder: Path) -> None:
    info = ModelInfo(id="q", backend="transformers", name=str(folder))
    engine = ChatEngine(connect(info), info.id)
    lm = dspy.LM("local/q", engine=engine, async_engine=AsyncChatEngine(engine), cache=False)
    spec = "Return the largest of three numbers a, b and c."
    with dspy.context(lm=lm), recording() as rows:
        ir = IRGenerator()(name="largest", spec=spec, analysis=None, sampling=Sampling(0.0, 0))
    assert [p.name for p in ir.signature.parameters] == ["a", "b", "c"]
    assert ir.effects
    assert rows[0].finish_reason == "stop"
