"""The in-process backend: folders, prompts, schemas, and what is said where one is wrong."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from lift_sys.errors import ModelError
from lift_sys.inference import catalogue, transformers
from lift_sys.inference.chat import Answer
from lift_sys.inference.convert import convert
from lift_sys.inference.failures import EngineError, PromptTooLongError, TimedOutError
from lift_sys.inference.lm import build_lm, concurrency_of
from lift_sys.inference.model_info import ModelInfo

needs_extra = pytest.mark.transformers


def info_of(folder: Path, **fields: Any) -> ModelInfo:
    entry = {"id": "m", "backend": "transformers", "name": str(folder), "concurrency": 4}
    return ModelInfo.model_validate({**entry, **fields})


def ask(info: ModelInfo, text: str = "hi", **more: Any) -> Answer:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, **more}
    return asyncio.run(transformers.connect(info)(body))  # type: ignore[arg-type]


def schema_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}


def test_a_folder_that_is_none_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no folder of weights.*inference\.convert"):
        transformers.connect(info_of(tmp_path / "absent"))


def test_a_missing_extra_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"needs torch; .*lift-sys\[transformers\]"):
        transformers.connect(info_of(tmp_path))


def test_converting_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        convert(tmp_path / "absent.gguf", tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_converted_again(tmp_path: Path) -> None:
    convert(tmp_path / "absent.gguf", tmp_path)


@needs_extra
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("xgrammar")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        transformers.connect(info_of(tmp_path))


@needs_extra
def test_a_file_that_is_no_gguf_leaves_no_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF?")
    with pytest.raises(ModelError, match="cannot be turned into"):
        convert(tmp_path / "broken.gguf", tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.gguf"]


@needs_extra
def test_a_model_of_the_users_own_is_built_by_its_id(tiny_weights: Path, tmp_path: Path) -> None:
    catalogue.use([info_of(tiny_weights)])
    try:
        lm = build_lm("m", tmp_path)
    finally:
        catalogue.use([])
    assert concurrency_of(lm) == 4
    assert isinstance(lm("hello")[0], str)


@needs_extra
def test_any_json_where_no_schema_is_named(tiny_weights: Path) -> None:
    given = ask(
        info_of(tiny_weights), response_format={"type": "json_object"}, temperature=1.0, seed=1
    )
    assert given.text.lstrip()[0] in '{["-tfn0123456789'


@needs_extra
def test_a_schema_that_would_not_be_enforced_is_refused(tiny_weights: Path) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    with pytest.raises(EngineError, match="#/uniqueItems: XGrammar does not enforce it"):
        ask(info_of(tiny_weights), response_format=schema_of(schema))


@needs_extra
def test_the_end_of_the_context_ends_an_answer(tiny_weights: Path) -> None:
    room = 8192 - ask(info_of(tiny_weights), "a" * 50).prompt_tokens
    given = ask(info_of(tiny_weights), "a" * 50 + " 1" * (room // 2 - 3), max_tokens=10_000)
    assert given.prompt_tokens + given.completion_tokens <= 8192
    assert given.finish_reason == "length"
    with pytest.raises(PromptTooLongError, match="the model's context takes 8192"):
        ask(info_of(tiny_weights), "é" * 9000)


@needs_extra
def test_a_call_that_takes_too_long_is_given_up(tiny_weights: Path) -> None:
    with pytest.raises(TimedOutError, match=r"within 0\.05 s"):
        ask(info_of(tiny_weights, timeout=0.05), max_tokens=8000)
    assert ask(info_of(tiny_weights)).text is not None
