"""Names of files that are about something."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.files import file_name


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
