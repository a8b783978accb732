"""What the model is sent and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from lift_sys.ir.schema import WireCritique, WireIR, wire_schema
from programs.adapters import CodeAdapter, ProseAdapter, StructuredAdapter
from programs.signatures import Analyse, CritiqueIR, WriteCode, WriteIR

FIELDS = {
    "summary": "Doubles »x«",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(1) == 2"],
}
DEMO = {"name": "double", "spec": "Double it.", **FIELDS}
INPUTS = {"name": "triple", "spec": "Triple it."}


def test_the_system_message_is_constant_and_the_user_message_holds_what_changes() -> None:
    adapter = StructuredAdapter(WireIR)
    first = adapter.format(WriteIR, [], INPUTS)
    second = adapter.format(WriteIR, [], {"name": "other", "spec": "Else.", "analysis": "Notes."})
    assert [m["role"] for m in first] == ["system", "user"]
    assert first[0] == second[0]
    assert first[1]["content"] == "Name: triple\n\nSpec: Triple it."
    assert second[1]["content"] == "Name: other\n\nSpec: Else.\n\nAnalysis: Notes."


def test_the_system_message_is_the_instructions_and_every_output_field() -> None:
    system = StructuredAdapter(WireIR).format(WriteIR, [], INPUTS)[0]["content"]
    assert system.startswith(WriteIR.instructions.splitlines()[0])
    for name, field in WriteIR.output_fields.items():
        assert f"- {name}: {field.json_schema_extra['desc']}" in system
    assert CodeAdapter().format(WriteCode, [], INPUTS)[0]["content"] == WriteCode.instructions


def test_a_spec_is_text_whatever_stands_in_it() -> None:
    marked = (
        "Return <<CUSTOM-TYPE-START-IDENTIFIER>>"
        '[{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]'
        "<<CUSTOM-TYPE-END-IDENTIFIER>> as it is."
    )
    messages = CodeAdapter("f").format(WriteCode, [], {"name": "f", "spec": marked})
    assert messages[-1] == {"role": "user", "content": f"Name: f\n\nSpec: {marked}"}
    plain = dspy.ChatAdapter().format(WriteCode, [], {"name": "f", "spec": marked})
    assert not isinstance(plain[-1]["content"], str)  # DSPy's own layout reads an image


def test_instructions_that_an_optimizer_writes_are_sent() -> None:
    signature = WriteIR.with_instructions("Be terse.")
    assert (
        StructuredAdapter(WireIR)
        .format(signature, [], INPUTS)[0]["content"]
        .startswith("Be terse.\n")
    )


def test_demos_are_turns_and_incomplete_ones_are_left_out() -> None:
    lacking = {k: v for k, v in DEMO.items() if k != "effects"}
    messages = StructuredAdapter(WireIR).format(WriteIR, [lacking, DEMO], INPUTS)
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[1]["content"] == "Name: double\n\nSpec: Double it."
    assert json.loads(messages[2]["content"]) == FIELDS
    assert list(json.loads(messages[2]["content"])) == list(wire_schema(WireIR)["properties"])
    assert "»" in messages[2]["content"]


def test_a_demo_answer_is_what_the_parser_reads() -> None:
    structured, code = StructuredAdapter(WireIR), CodeAdapter()
    text = structured.format_assistant_message_content(WriteIR, FIELDS)
    assert structured.parse(WriteIR, text) == FIELDS
    source = {"code": "def f(x):\n    return x"}
    assert code.parse(WriteCode, code.format_assistant_message_content(WriteCode, source)) == source


def test_the_schema_is_strict_and_of_the_wire_model() -> None:
    sent = StructuredAdapter(WireCritique).response_format
    assert sent["type"] == "json_schema"
    assert sent["json_schema"] == {
        "name": "WireCritique",
        "schema": wire_schema(WireCritique),
        "strict": True,
    }


ISSUE = {"category": "edge_case", "description": "nothing of 0", "fix": "say what 0 gives"}


def critique(*issues: object, quality: int = 3) -> str:
    return json.dumps({"issues": issues, "overall_quality": quality})


def test_a_critique_is_read() -> None:
    text = critique(*[ISSUE] * 4, quality=10)
    assert StructuredAdapter(WireCritique).parse(CritiqueIR, text) == json.loads(text)


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "The critique is good.",
        '{"issues": []',
        '{"issues": []}',
        '{"issues": [], "overall_quality": "high"}',
        '{"issues": [], "overall_quality": 3, "more": 1}',
        critique(quality=11),
        critique(quality=-1),
        critique("nothing of 0"),
        critique({"category": "edge_case", "fix": "f"}),
        critique(ISSUE | {"category": "taste"}),
        critique(*[ISSUE] * 5),
        critique(ISSUE | {"fix": "\ud800"}),
        '```json\n{"issues": [], "overall_quality": 3}\n```',
        "[" * 10_000,
    ],
)
def test_an_answer_of_another_form_is_a_parse_error(completion: str) -> None:
    with pytest.raises(AdapterParseError):
        StructuredAdapter(WireCritique).parse(CritiqueIR, completion)


def test_prose_is_taken_as_it_is() -> None:
    messages = ProseAdapter().format(Analyse, [{**INPUTS, "analysis": "Check 0."}], INPUTS)
    assert messages[2] == {"role": "assistant", "content": "Check 0."}
    assert ProseAdapter().parse(Analyse, "  {1}\n") == {"analysis": "{1}"}


@pytest.mark.parametrize(
    "completion",
    [
        "def f():\n    return 1",
        "```python\ndef f():\n    return 1\n```",
        "```\ndef f():\n    return 1\n```",
        "```Python3\ndef f():\n    return 1\n```\nThis returns one.\n",
        "```py\r\ndef f():\n    return 1\n```",
        "Here it is:\n```python\ndef f():\n    return 1\n```\nAnd a test:\n```python\nf()\n```",
        "```python\ndef f():\n    return 1",
        "\n```python\n\ndef f():\n    return 1\n\n```\n",
    ],
)
def test_code_is_found(completion: str) -> None:
    assert CodeAdapter().parse(WriteCode, completion) == {"code": "def f():\n    return 1"}


@pytest.mark.parametrize("completion", ["", "\n", "```python\n```", "```\n\n```"])
def test_no_code_is_empty(completion: str) -> None:
    parsed: dict[str, Any] = CodeAdapter().parse(WriteCode, completion)
    assert parsed["code"] == ""
