"""What a server's words mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.inference.server_words import does_not_fit, is_page, message_in, page_words, whole

ANYTHING = st.text(st.characters(exclude_categories=()))


@given(ANYTHING)
def test_what_is_whole_can_be_written_and_stays_as_it_is(text: str) -> None:
    made = whole(text)

    made.encode()
    assert whole(made) == made


@given(st.text())
def test_a_text_that_is_whole_is_left_alone(text: str) -> None:
    assert whole(text) == text


def test_two_halves_that_belong_together_become_one_character() -> None:
    assert whole("a\ud83d\ude00b") == "a\U0001f600b"
    assert whole("a\ude00\ud83db") == "a\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("status", "said", "long"),
    [
        (400, "This model's maximum context length is 10 tokens", True),
        (422, "prompt is too long: 9 > 8", True),
        (413, "", True),
        (400, "no such field", False),
        (500, "maximum context length", False),
    ],
)
def test_a_prompt_that_does_not_fit(status: int, said: str, long: bool) -> None:
    assert does_not_fit(status, said) is long


def test_a_page_is_told_by_its_title() -> None:
    page = "\n <!DOCTYPE html><html><h1>\n Not  here </h1>"

    assert is_page(page)
    assert page_words(page) == "a web page (Not here)"
    assert page_words("<html>") == "a web page"
    assert not is_page('{"text": "<html>"}')


def test_a_message_is_found_and_can_be_written() -> None:
    assert message_in({"error": {"message": "odd \ud83d"}}) == "odd \ufffd"
    assert message_in({"detail": "Not Found"}) == "Not Found"
    assert message_in(["x"]) == '["x"]'
