"""Programs that refine, and scripted answers for their stages."""

from __future__ import annotations

import json
from typing import Any

import dspy
from dspy.lm15 import Request

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

SPEC = "Return the double of x."
RIGHT = "def double(x):\n    return 2 * x"
SAME = "def double(x):\n    return x"
SQUARE = "def double(x):\n    return x * x"
NOTHING = "def double(x):\n    return None"
STATED = (Case(args="(3,)", expected="6"),)
TASK = Task(
    id="double", spec=SPEC, entry_point="double", category="mathematical", split="train",
    source="test", visible=STATED, hidden=(Case(args="(41,)", expected="82"),),
)  # fmt: skip


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def ir(*assertions: str, summary: str = "Doubles x") -> str:
    filled = {
        "summary": summary,
        "parameters": ["x: int"],
        "returns": "int",
        "effects": ["return the double"],
        "assertions": assertions,
    }
    return json.dumps(filled)


def critique(quality: int, *fixes: str) -> str:
    issues = [{"category": "order", "description": "unclear", "fix": fix} for fix in fixes]
    return json.dumps({"issues": issues, "overall_quality": quality})


class Script:
    """Answers by stage, each in turn, the last one again and again; keeps who was asked what."""

    def __init__(self, **answers: list[str]) -> None:
        self.left = {stage: list(texts) for stage, texts in answers.items()}
        self.stages: list[str] = []
        self.engine = ScriptedEngine(self.answer)
        self.lm = dspy.LM("local/scripted", engine=self.engine, cache=False, num_retries=0)

    def answer(self, _: Request) -> str:
        stage = str(current_stage())
        self.stages.append(stage)
        texts = self.left[stage]
        return texts.pop(0) if len(texts) > 1 else texts[0]

    def shown(self, number: int) -> str:
        """Return what the request of this number showed."""
        return str(self.engine.bodies[number]["messages"][-1]["content"])


def make(sandbox: Sandbox, preset: str = "single", **hypers: Any) -> SpecToCode:
    program = make_program(preset, sandbox)
    set_hypers(program, {"refine_iterations": 1, "critique": "execution", **hypers})
    return program


def run(
    program: SpecToCode, script: Script, visible: tuple[Case, ...] = STATED, spec: str = SPEC
) -> dspy.Prediction:
    with dspy.context(lm=script.lm):
        return program(spec=spec, entry_point="double", visible=visible)


def demos_of(program: SpecToCode, script: Script) -> dict[str, list[Any]]:
    """Return the demos that bootstrapping finds, by predictor; only of those that have some."""
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], program.borrowed.sandbox),
        max_bootstrapped_demos=4,
        max_labeled_demos=0,
    )
    with dspy.context(lm=script.lm):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])
    return {name: p.demos for name, p in compiled.named_predictors() if p.demos}
