"""The prompt bundle has every message that is sent, in words that need no lift-sys."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lift_sys.app.bundle import render_bundle
from programs.presets import PRESETS
from programs.rendering import PLACEHOLDERS, requests_of
from programs.spec_to_code import SpecToCode
from tests.app.made_artifacts import CODE_DEMO, artifact_of, program_of


def bundle(program: SpecToCode) -> str:
    return render_bundle(artifact_of(program), program)


def blocks(text: str) -> list[str]:
    """Return the contents of all fenced blocks."""
    return [m[2] for m in re.finditer(r"^(`{3,})text\n(.*?)\n\1$", text, re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_message_is_there_byte_for_byte_and_in_order(preset: str) -> None:
    program = program_of(preset)
    expected = [m["content"] for r in requests_of(program) for m in r.messages]
    found = [b for b in blocks(bundle(program)) if '"schema"' not in b]
    assert found == expected


def test_what_a_placeholder_means_is_told_where_it_is_used() -> None:
    text = bundle(program_of("refine"))
    head = text.partition("## 1.")[0]
    for mark in PLACEHOLDERS:
        assert (f"- `{mark}`: " in head) == (mark in text.partition("## 1.")[2])


def test_model_limit_sampling_and_form_are_told() -> None:
    text = bundle(program_of("best_of_n", **{"code_generator.top_p": 0.9}))
    assert "Model qwen2.5-coder-0.5b, max_tokens 512, temperature 0.5, top_p 0.9." in text
    assert "At most 3 candidates are made; the rule 'quality' chooses one." in text
    assert '"additionalProperties": false' in text


def test_a_named_model_is_told_at_its_stage() -> None:
    text = bundle(program_of(**{"code_generator.model": "qwen2.5-coder-1.5b"}))
    ir, code = text.partition("## 2.")[::2]
    assert "Model qwen2.5-coder-0.5b," in ir
    assert "Model qwen2.5-coder-1.5b," in code


def test_a_bank_is_told_with_how_it_is_used() -> None:
    hypers: dict[str, Any] = {
        "code_sees": "spec",
        "code_generator.demo_choice": "nearest",
        "code_generator.demo_count": 2,
    }
    program = program_of(**hypers)
    program.code_generator.predict.demos = [{**CODE_DEMO, "name": f"f{i}"} for i in range(9)]
    text = bundle(program)
    assert "(Here stand the 2 of the 9 demos below whose specs are most similar" in text
    assert "### Demo 9 of code_generator\n\nuser:\n\n```text\nName: f8\n\nSpec: Greet" in text
