"""Every prompt of the program, byte for byte, against a golden of what was sent before.

A change of a golden is a change of what models read, and scores measured before no longer stand
for the program: look at the difference, then write the file anew with what the test shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.sandbox import create_sandbox
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from programs.demos import make_demos
from programs.hypers import set_hypers
from programs.presets import make_program

GOLDEN = Path(__file__).parent.parent / "golden" / "prompts.json"
SPEC = "Name the type of a value: return 'int', 'str' or 'other'. True and False are 'other'."
VISIBLE = (Case(args="(1,)", expected="'int'"), Case(args="(True,)", expected="'other'"))
CODE = "def kind(value):\n    return 'int'"
IR = {
    "summary": "Names a type",
    "parameters": ["value: Any"],
    "returns": "str",
    "effects": ["if value is a bool, return 'other'", "return 'int' for an int"],
    "assertions": ["kind('a') == 'str'"],
}
CRITIQUE = {"issues": ["no step for strings"], "overall_quality": 3}
DEMO_TASK = Task(
    id="size", spec="Return 'big' above 9, else 'small'.", entry_point="size", split="train",
    category="control_flow", source="test", hidden=(Case(args="(1,)", expected="'small'"),),
)  # fmt: skip
DEMO_IR = SpecIR(
    intent=Intent(summary="Tell big from small"),
    signature=FunctionSignature(
        name="size", parameters=(Parameter(name="n", type_hint="int"),), returns="str"
    ),
    effects=(
        Effect(
            description="if n > 9, return 'big'",
            implementation_hint="compare with 9",
            return_values=("big",),
            order_constraint="first",
        ),
        Effect(description="return 'small'"),
    ),
    assertions=(Assertion(predicate="size(9) == 'small'"),),
)
DEMO_CODE = "def size(n):\n    return 'big' if n > 9 else 'small'"
PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "direct": ("direct", {}),
    "single": ("single", {}),
    "analysed": ("chain_of_thought", {"code_sees": "spec_and_ir"}),
    "refined": ("single", {"refine_iterations": 1, "code_sees": "spec"}),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(create_sandbox()) as made:
        yield made


def answer(request: Request) -> str:
    """Give any stage an answer of its form."""
    form = request.config.response_format
    if form is None:
        return f"```python\n{CODE}\n```"
    return json.dumps(CRITIQUE if "overall_quality" in str(form) else IR)


def prompts_of(name: str, sandbox: Sandbox, *, demos: bool) -> list[dict[str, Any]]:
    """Return every request of one run of a program."""
    preset, hypers = PROGRAMS[name]
    program = make_program(preset, sandbox)
    set_hypers(program, hypers)
    if demos:
        shown = make_demos(DEMO_TASK, DEMO_IR, DEMO_CODE)
        for path, predictor in program.named_predictors():
            predictor.demos = [shown[path]] if path in shown else []
    engine = ScriptedEngine(answer)
    with dspy.context(lm=dspy.LM("local/script", engine=engine, cache=False, num_retries=0)):
        program(spec=SPEC, entry_point="kind", visible=VISIBLE)
    return list(engine.bodies)


def test_prompts_are_what_they_were(sandbox: Sandbox) -> None:
    sent = {
        f"{name}, {'with' if demos else 'without'} demos": prompts_of(name, sandbox, demos=demos)
        for name in PROGRAMS
        for demos in (False, True)
    }

    text = json.dumps(sent, ensure_ascii=False, indent=1) + "\n"
    assert text == GOLDEN.read_text(encoding="utf-8")
