"""What the embedded llama.cpp's own grammar lets a model write, against pydantic and XGrammar.

The model is one that likes every token in a fixed way, so the grammar alone gives a text its form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lift_sys.inference.native import NativeServer
from tests.inference import tiny_gguf
from tests.inference.tiny_gguf import write_gguf
from tests.ir.byte_grammars import WORDS, accepts, as_ebnf
from tests.ir.schemas import ours
from tests.ir.test_xgrammar import HALF

pytestmark = pytest.mark.transformers

OURS = {name: (model, sent) for name, model, sent in ours()}
LIKES = dict.fromkeys(['"'], 4.0) | dict.fromkeys(["]", "}", ":", '": "', '", "'], 3.0)
LIKES |= dict.fromkeys([",", "\\", "é", "日本"], 2.0) | dict.fromkeys([" ", "\n", " " * 4], 1.0)
"""Logits under which most texts end."""

LONGEST = 800
FREE = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_tokens": LONGEST}
"""Sampling that leaves out nothing that the grammar allows."""


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeServer]:
    path = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    write_gguf(path, WORDS, LIKES)
    with closing(NativeServer(path, threads=1, context=1024, slots=1)) as server:
        yield server


def written(llama: NativeServer, schema: Any, seed: int) -> str:
    """Return a whole answer under a schema; empty where it did not come to its end."""
    form = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }
    messages = [{"role": "user", "content": "Go on."}]
    body = {"messages": messages, **FREE, "seed": seed, "response_format": form}
    answer = llama.chat(body, lambda: False)
    return answer.text if answer.finish_reason == "stop" else ""


@settings(max_examples=400)
@given(st.sampled_from(sorted(OURS)), st.integers(0, 2**31 - 1))
def test_what_llama_cpp_lets_a_model_write_xgrammar_and_pydantic_accept(
    llama: NativeServer, name: str, seed: int
) -> None:
    model, sent = OURS[name]
    text = written(llama, sent, seed)
    assume(text)
    assert accepts(sent, text)
    assert accepts(sent, text, as_ebnf)
    assume(not HALF.search(text))
    model.model_validate_json(text, strict=True)


def test_what_it_writes_has_something_to_tell(llama: NativeServer) -> None:
    texts = [written(llama, sent, seed) for _, sent in OURS.values() for seed in range(3)]
    assert sum(bool(text) for text in texts) > 0.9 * len(texts)
    for part in ("\\\\", '": "', '", "', r"\n {4}", r'"\w+: \w'):
        assert sum(bool(re.search(part, text)) for text in texts) >= 5, part
    assert sum(not text.isascii() for text in texts) >= 5


def test_an_answer_that_llama_cpp_cannot_read_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_gguf, "NEVER", 0.0)  # bytes in any order, which is no UTF-8
    write_gguf(tmp_path / "bytes.gguf", WORDS, {'"': 2.0})
    form = {"name": "answer", "schema": OURS["basic-json-3"][1], "strict": True}
    body = {
        "messages": [{"role": "user", "content": "Go on."}],
        **FREE,
        "max_tokens": 200,
        "response_format": {"type": "json_schema", "json_schema": form},
    }
    with closing(NativeServer(tmp_path / "bytes.gguf", threads=1, context=512, slots=1)) as server:
        answers = [server.chat(body | {"seed": seed}, lambda: False) for seed in range(12)]
    unread = [answer for answer in answers if answer.generation_seconds is None]
    assert unread  # as the server says of them
    for answer in unread:
        assert answer.finish_reason == "stop"
        assert answer.prompt_tokens > 0
        assert 0 < answer.completion_tokens <= 200
        with pytest.raises(ValueError, match="JSON"):
            OURS["basic-json-3"][0].model_validate_json(answer.text)
