"""XGrammar itself, against the lint, pydantic and what llama.cpp wrote.

``llama_answers.jsonl`` holds 105 answers that the embedded backend gave under our schemas in runs
of ``lift eval`` on train and dev tasks, at temperatures 0 to 1: of each form and model those with
escapes and characters beyond ASCII first, then others by the hash of their text. A line has the
form's name, the model and the text.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lift_sys.ir import compact, schema
from lift_sys.ir.schema import PARAMETER_PATTERN, WireIR, to_wire, wire_schema, with_most
from lift_sys.tasks import load_tasks
from programs.forms import ir_form
from programs.signatures import WriteIR
from tests.ir.byte_grammars import Translation, accepts, as_ebnf, free, written
from tests.ir.schemas import DETAILS, ENFORCED, REFUSED, TRANSLATED, WIRES, Refused, ours

pytestmark = pytest.mark.transformers

ROOT = Path(__file__).parents[2]
OURS = {name: (model, sent) for name, model, sent in ours()}
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""Half a character, which XGrammar lets a model write and pydantic refuses."""

MUCH_SPACE = re.compile(r"[\r\t]|[ \n]{2}")
"""White space of which llama.cpp, and so our grammar, allows less than XGrammar does."""

answers = [
    json.loads(line)
    for line in (Path(__file__).parent / "llama_answers.jsonl").read_text("utf-8").splitlines()
]
gold = [
    task.gold_ir
    for path in sorted((ROOT / "datasets").glob("*.jsonl"))
    for task in load_tasks(path)
    if task.gold_ir
]
parameters = st.from_regex(PARAMETER_PATTERN[1:-1], fullmatch=True)


def form_of(answer: dict[str, str]) -> type[BaseModel]:
    """Return the wire model of an answer, with as many assertions as any run asked for."""
    name = answer["form"]
    model: type[BaseModel] = getattr(schema, name, None) or getattr(compact, name)
    key = next((k for k in ("assertions", "checks") if k in model.model_fields), None)
    return with_most(model, key, 8) if key else model


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_the_lint_refuses_xgrammar_gets_wrong(case: Refused) -> None:
    if case.wrong:
        assert accepts(case.schema, case.wrong)
    if case.lost:
        assert not accepts(case.schema, case.lost)


@pytest.mark.parametrize(
    "name",
    "backreference,boundary,dangling,no such type,list of items,nothing to count,crossed".split(
        ","
    ),
)
def test_some_of_it_xgrammar_refuses_itself(name: str) -> None:
    with pytest.raises(RuntimeError):
        accepts(REFUSED[name].schema, "1")


@pytest.mark.parametrize(("sent", "fits", "not_so"), ENFORCED.values(), ids=ENFORCED)
def test_what_the_lint_takes_xgrammar_enforces(sent: Any, fits: str, not_so: str) -> None:
    assert accepts(sent, fits)
    assert not accepts(sent, not_so)


@pytest.mark.parametrize("translated", [free, as_ebnf])
@settings(max_examples=150)
@given(st.sampled_from(sorted(OURS)), st.integers(0, 2**32), st.integers(0, 400))
def test_what_xgrammar_lets_a_model_write_pydantic_accepts(
    translated: Translation, name: str, seed: int, length: int
) -> None:
    model, sent = OURS[name]
    text = written(sent, random.Random(seed), length, translated)  # noqa: S311
    assume(not HALF.search(text))
    assert accepts(sent, text)
    model.model_validate_json(text, strict=True)


def test_half_a_character_is_the_exception() -> None:
    text = WireIR(summary="@", parameters=[], returns="", effects=[], assertions=[])
    half = text.model_dump_json().replace("@", r"\ud800")
    assert accepts(wire_schema(WireIR), half)
    with pytest.raises(ValidationError):
        WireIR.model_validate_json(half)


@settings(max_examples=150)
@given(st.data(), st.sampled_from([None, 0, 2]), st.booleans())
def test_what_pydantic_writes_of_our_models_xgrammar_accepts(
    data: st.DataObject, indent: int | None, ascii_only: bool
) -> None:
    model, sent = OURS[data.draw(st.sampled_from(sorted(OURS)))]
    value = data.draw(st.from_type(model)).model_dump()
    if "parameters" in value:
        value["parameters"] = data.draw(st.lists(parameters, max_size=8))
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert accepts(sent, text)


@settings(max_examples=400)
@given(st.sampled_from(sorted(TRANSLATED)), st.sampled_from([None, 0, 4]), st.data())
def test_our_grammar_allows_what_that_of_xgrammar_does(
    name: str, indent: int | None, data: st.DataObject
) -> None:
    sent, drawn = TRANSLATED[name], random.Random(data.draw(st.integers(0, 2**32)))  # noqa: S311
    length = data.draw(st.integers(0, 200))
    text = written(sent, drawn, length, as_ebnf)
    assert accepts(sent, text)
    assume(not HALF.search(text))
    indented = json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
    assert accepts(sent, indented, as_ebnf)
    place, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    put = data.draw(
        st.sampled_from(["", " ", "\n", '"', "\\", ",", ", ", "]", "}", "[", '", "', "\0"])
    )
    changed = text[:place] + put + text[place + cut :]
    fits = accepts(sent, changed, as_ebnf)
    assert not fits or accepts(sent, changed)
    assert fits or MUCH_SPACE.search(changed) or not accepts(sent, changed)


@pytest.mark.parametrize("answer", answers, ids=lambda a: f"{a['form']}-{len(a['text'])}")
def test_what_llama_cpp_wrote_xgrammar_and_pydantic_accept(answer: dict[str, str]) -> None:
    model = form_of(answer)
    assert accepts(wire_schema(model), answer["text"])
    assert accepts(wire_schema(model), answer["text"], as_ebnf)
    model.model_validate_json(answer["text"], strict=True)


def test_the_answers_of_llama_cpp_have_something_to_tell() -> None:
    assert {answer["form"] for answer in answers} >= {"WireIR", "CompactIR", "WireCritique"}
    assert sum("\\" in answer["text"] for answer in answers) >= 8
    assert sum(not answer["text"].isascii() for answer in answers) >= 5


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("wire", WIRES)
def test_every_ir_of_the_data_sets_passes_all(detail: str, wire: str) -> None:
    assert len(gold) >= 100
    form = ir_form(detail, wire, 8)
    sent = form.adapter.response_format["json_schema"]["schema"]
    for ir in gold:
        demo = {"name": ir.signature.name, **to_wire(ir).model_dump()}
        signature = form.signature(WriteIR)
        text = form.adapter.format_assistant_message_content(signature, form.demo(demo))
        assert accepts(sent, text)
        assert accepts(sent, text, as_ebnf)
        assert form.adapter.parse(signature, text)
