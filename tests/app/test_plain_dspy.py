"""What is exported for DSPy alone is loaded by DSPy alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest

from lift_sys.app.plain_dspy import LOST, plain_state
from programs.signatures import WriteIR
from tests.app.made_artifacts import CODE_DEMO, IR_DEMO, artifact_of, program_of

LOADING = """
import json, sys
import dspy

path = sys.argv[1]
signatures = json.load(open(path, encoding="utf-8"))["metadata"]["lift_sys"]["signatures"]

class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        for name, signature in signatures.items():
            setattr(self, name, dspy.Predict(signature))

program = Program()
program.load(path)
found = {
    name: [p.signature.instructions, list(p.signature.fields), [dict(d) for d in p.demos]]
    for name, p in program.named_predictors()
}
ours = sorted(m for m in sys.modules if m.split(".")[0] in {"lift_sys", "programs", "metrics"})
print(json.dumps([found, ours]))
"""


def state_of(program: Any) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(plain_state(artifact_of(program), program))
    return state


def test_dspy_loads_it_where_lift_sys_is_not_imported(tmp_path: Path) -> None:
    program = program_of("refine")
    path = tmp_path / "plain.json"
    path.write_text(plain_state(artifact_of(program), program), encoding="utf-8")

    command = [sys.executable, "-I", "-c", LOADING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    found, ours = json.loads(done.stdout.splitlines()[-1])
    assert ours == []
    assert set(found) == {p.removesuffix(".predict") for p, _ in program.named_predictors()}
    for path_, predictor in program.named_predictors():
        instructions, fields, _ = found[path_.removesuffix(".predict")]
        assert instructions == predictor.signature.instructions
        assert fields == list(predictor.signature.fields)
    assert found["code_generator"][0] == "Write it.\nTersely."
    assert found["code_generator"][2] == [CODE_DEMO]
    assert found["ir_generator"][2] == [IR_DEMO]


def test_it_says_what_it_lacks_and_keeps_no_model() -> None:
    program = program_of("best_of_n")
    program.set_lm(dspy.LM("openai/some", api_key="planted", cache=False))
    text = plain_state(artifact_of(program), program)
    state = json.loads(text)

    told = state["metadata"]["lift_sys"]
    assert told["lost"] == list(LOST)
    assert told["hypers"]["n"] == 3
    assert all(part["lm"] is None for name, part in state.items() if name != "metadata")
    assert "planted" not in text
    assert "«Zoë»" in text


@pytest.mark.parametrize(("choice", "count", "kept"), [("nearest", 2, 2), ("fixed", 3, 3)])
def test_of_a_bank_as_many_demos_are_kept_as_a_request_shows(
    choice: str, count: int, kept: int
) -> None:
    hypers: dict[str, Any] = {
        "code_generator.demo_choice": choice,
        "code_generator.demo_count": count,
    }
    program = program_of(**hypers)
    program.code_generator.predict.demos = [{**CODE_DEMO, "name": f"f{i}"} for i in range(20)]

    names = [d["name"] for d in state_of(program)["code_generator"]["demos"]]
    assert names == [f"f{i}" for i in range(kept)]
    assert program.code_generator.demo_choice.value == choice


def test_a_signature_is_one_that_dspy_reads() -> None:
    written = state_of(program_of())["metadata"]["lift_sys"]["signatures"]["ir_generator"]
    read = dspy.Signature(written)
    assert {k: f.annotation for k, f in read.output_fields.items()} == {
        k: f.annotation for k, f in WriteIR.output_fields.items()
    }
