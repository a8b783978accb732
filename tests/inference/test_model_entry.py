"""A table of models.toml changes, and nothing else of the file."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.model_entry import lines_of, with_fields

MODEL = "qwen2.5-coder-7b"
FIELDS: dict[str, Any] = {
    "urls": ["https://a.modal.run/v1"],
    "key": "VLLM_API_KEY",
    "concurrency": 32,
    "price": {"hour": 1.1, "as_of": date(2026, 11, 22)},
}
OTHER = "# mine\n[claude]  # kept\nconcurrency = 4\n"


def test_the_lines_read_as_the_fields() -> None:
    assert tomllib.loads(lines_of(MODEL, FIELDS)) == {MODEL: FIELDS}


@pytest.mark.parametrize("text", ["", OTHER, OTHER.rstrip("\n"), "\r\n".join(OTHER.split("\n"))])
def test_a_new_table_is_added_at_the_end(text: str) -> None:
    new = with_fields(text, MODEL, FIELDS)

    assert new is not None
    assert new.startswith(text)
    assert tomllib.loads(new) == {**tomllib.loads(text), MODEL: FIELDS}


def test_a_table_that_is_there_keeps_its_other_fields_and_all_comments() -> None:
    text = f'# top\n["{MODEL}"] # mine\n# old\nurls = ["http://old/v1"]\ntimeout = 60\n\n{OTHER}'
    new = with_fields(text, MODEL, FIELDS)

    assert new is not None
    assert tomllib.loads(new)[MODEL] == {**FIELDS, "timeout": 60}
    kept = [line for line in text.splitlines() if not line.startswith("urls")]
    assert [line for line in new.splitlines() if line in kept] == kept
    assert with_fields(new, MODEL, FIELDS) == new


@pytest.mark.parametrize(
    "text",
    [
        f'["{MODEL}"]\nurls = [\n  "http://old/v1",\n]\n',  # a value on several lines
        f'["{MODEL}"]\nkey = "A"\n["{MODEL}".price]\nhour = 3.0\n',
        f'"{MODEL}" = {{ timeout = 60 }}\n',
        f'"{MODEL}" = 3\n',
        f"text = '''\n[\"{MODEL}\"]\n'''\n[\"{MODEL}\"]\nkey = \"A\"\n",  # a table inside a text
        f'["{MODEL}"]',
    ],
)
def test_a_file_that_cannot_be_changed_line_by_line_is_left_alone(text: str) -> None:
    assert with_fields(text, MODEL, FIELDS) is None


def test_a_file_that_is_no_toml_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        with_fields("[claude\n", MODEL, FIELDS)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(model=NAMES, name=NAMES, value=NAMES)
def test_whatever_is_returned_has_the_change_and_nothing_else(
    model: str, name: str, value: str
) -> None:
    new = with_fields(OTHER, model, {name: value})

    old = tomllib.loads(OTHER)
    assert new is None or tomllib.loads(new) == {**old, model: {**old.get(model, {}), name: value}}
    assert new is not None or not (model + name + value).isascii() or model == "claude"
