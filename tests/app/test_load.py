"""``load_program``: what it refuses before anything runs; answers with and without ``await``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

import lift_sys
from lift_sys.app import environment, load, models
from lift_sys.app.artifact_sources import save_named
from lift_sys.app.export import Artifact, ModelRef, PredictorState, save_artifact
from lift_sys.errors import ArtifactError, ConfigError
from lift_sys.inference import usage
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from programs.spec_to_code import SpecToCode
from tests.app.made_artifacts import artifact_of, program_of

SPEC = "Return the double of x, e.g. double(3) == 6."
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}


class Model:
    """Answers by request alone, differently for each seed; keeps which ids were asked for."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.engine = ScriptedEngine(self._answer)

    def build(self, model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        self.built.append(model_id)
        return dspy.LM(f"local/{model_id}", engine=self.engine, cache=False, num_retries=0)

    def _answer(self, request: Request) -> str:
        if request.config.response_format:
            return json.dumps(IR)
        return f"```python\ndef double(x):\n    y = {request.config.seed}\n    return 2 * x\n```"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    monkeypatch.setattr(models, "build_lm", made.build)
    return made


@pytest.fixture
def program(model: Model, sandbox: Sandbox, tmp_path: Path, monkeypatch: Any) -> SpecToCode:
    monkeypatch.setattr(load, "create_sandbox", lambda unsafe: sandbox)
    made = artifact_of(program_of("self_consistency"))
    return lift_sys.load_program(save_artifact(made, tmp_path / "best.json"))


def told(prediction: dspy.Prediction) -> Any:
    return (prediction.code, prediction.ir, prediction.failure, prediction.attempts)


def test_awaiting_gives_the_same_answer(program: SpecToCode, model: Model) -> None:
    with usage.recording() as calls:
        awaited = asyncio.run(program.acall(spec=SPEC, entry_point="double"))
    asked = list(model.engine.bodies)
    called = program(spec=SPEC, entry_point="double")

    assert awaited.code is not None
    assert told(awaited) == told(called)
    assert model.engine.bodies[len(asked) :] == asked
    assert len(calls) == len(asked)


def test_answers_that_are_awaited_together_do_not_mix(program: SpecToCode) -> None:
    async def together() -> list[dspy.Prediction]:
        asked = [program.acall(spec=SPEC, entry_point="double", rollout=i) for i in range(6)]
        return list(await asyncio.gather(*asked))

    awaited = asyncio.run(together())
    one_by_one = [program(spec=SPEC, entry_point="double", rollout=i) for i in range(6)]
    assert [told(p) for p in awaited] == [told(p) for p in one_by_one]
    assert len({p.code for p in awaited}) == 6


def test_awaiting_leaves_the_loop_free_and_keeps_the_trace(program: SpecToCode) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def ask() -> int:
        ticking = asyncio.create_task(tick())
        with dspy.context(trace=[]):
            await program.acall(spec=SPEC, entry_point="double")
            steps = len(dspy.settings.trace)
        ticking.cancel()
        return steps

    assert asyncio.run(ask()) == 2
    assert ticks > 2


def test_an_awaited_refusal_is_the_same(program: SpecToCode) -> None:
    with pytest.raises(ConfigError, match="the spec is empty"):
        asyncio.run(program.acall(spec=" "))


def changed(**changes: Any) -> Artifact:
    return artifact_of(program_of(), **changes)


CODE = "code_generator.predict"


def with_fields(*fields: str) -> Artifact:
    made = changed()
    state = PredictorState(instructions="i", fields=fields)
    return changed(predictors={**made.predictors, CODE: state})


@pytest.mark.parametrize(
    ("artifact", "says"),
    [
        (changed(model=ModelRef(id="gpt", sha256="0" * 64)), "unknown model 'gpt'"),
        (changed(model=ModelRef(id="qwen2.5-coder-7b", sha256="")), "needs a vLLM server"),
        (changed(models=(ModelRef(id="qwen2.5-coder-7b", sha256=""),)), "needs a vLLM server"),
        (changed(models=(ModelRef(id="claude", sha256=""),)), "set ANTHROPIC_API_KEY"),
        (
            changed(model=ModelRef(id="qwen2.5-coder-0.5b", sha256="0" * 64)),
            r"other weights of qwen2\.5-coder-0\.5b",
        ),
        (changed(wire_version=99), "wire version is 99"),
        (with_fields("question", "answer"), "another signature of code_generator"),
    ],
)
def test_what_cannot_run_here_is_refused_before_a_model_is_had(
    model: Model, tmp_path: Path, artifact: Artifact, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    path = save_artifact(artifact, tmp_path / "best.json")
    with pytest.raises(ArtifactError, match=says) as caught:
        lift_sys.load_program(path)

    assert "\n" not in str(caught.value)
    assert model.built == []


def test_a_name_and_a_hash(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "programs_dir", lambda: tmp_path / "named")
    save_named(changed(), "doubler")

    assert lift_sys.load_program("doubler", sha256=changed().sha256).n.value == 1
    with pytest.raises(ArtifactError, match="another artifact"):
        lift_sys.load_program("doubler", sha256="f" * 64)
