"""Names of files that are about something, and records that are read whole."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.errors import StoreError
from lift_sys.files import file_name, read_whole, write_atomically
from lift_sys.record import Versioned


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"),
        ("small>large", "small-then-large"),
        ("openai/gpt-4o", "openai-gpt-4o"),
    ],
)
def test_a_name_says_what_it_is_about(text: str, name: str) -> None:
    assert file_name(text) == name


@given(st.text("ab./>-", min_size=1))
def test_a_name_is_one_part_of_a_path(text: str) -> None:
    assert len(PurePath(f"eval-{file_name(text)}").parts) == 1


class Noted(Versioned):
    current_version: ClassVar[int] = 1

    text: str


def test_a_whole_record_is_read_back_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "noted.json"
    assert read_whole(path, Noted) is None
    write_atomically(path, Noted(text="é").model_dump_json())
    assert read_whole(path, Noted) == Noted(text="é")


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2, "text": "a"}'])
def test_a_record_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "noted.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=r"noted\.json was not written by this release; move"):
        read_whole(path, Noted)


def test_a_record_that_cannot_be_read_is_no_missing_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        read_whole(tmp_path, Noted)
