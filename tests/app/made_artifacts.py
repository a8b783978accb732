"""Artifacts of real programs, with instructions and demos, for tests that read them."""

from __future__ import annotations

from typing import Any

from lift_sys.app.export import Artifact, Measured, ModelRef, describe_program, kind_of
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.sandbox.base import ClosedSandbox
from programs.ensemble import Program
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

MODEL = "qwen2.5-coder-0.5b"
CODE_DEMO = {
    "name": "greet",
    "spec": "Greet «Zoë»",
    "ir": "**Intent**: greets",
    "code": "def greet(name):\n    return f'{name}!'",
}
IR_DEMO = {
    "name": "greet",
    "spec": "Greet «Zoë»",
    "summary": "Greets",
    "parameters": ["name: str"],
    "returns": "str",
    "effects": ["return the greeting"],
    "assertions": ["greet('a') == 'a!'"],
}


def program_of(preset: str = "single", **hypers: Any) -> SpecToCode:
    program = make_program(preset, ClosedSandbox())
    set_hypers(program, hypers)
    program.code_generator.predict.demos = [dict(CODE_DEMO)]
    program.ir_generator.predict.demos = [dict(IR_DEMO)]
    predict = program.code_generator.predict
    predict.signature = predict.signature.with_instructions("Write it.\nTersely.")
    return program


def artifact_of(program: Program, **changes: Any) -> Artifact:
    hypers, predictors = describe_program(program)
    made = Artifact(
        program=kind_of(program),
        wire_version=WIRE_VERSION,
        model=ModelRef.of(MODEL),
        hypers=hypers,
        predictors=predictors,
        scores={
            "dev": Measured(
                data="dev", data_sha256="1" * 64, passed=9, total=12, low=0.5, high=0.9, tokens=12
            )
        },
        provenance={"seed": 0, "data_sha256": {"dev": "1" * 64}, "environment": {"dspy": "3.4.1"}},
    )
    return made.model_copy(update=changes).sealed()
