"""TF-IDF ranks texts by the rare words they have in common."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.tasks.tfidf import DECIMALS, TfIdf

texts = st.lists(st.sampled_from("the a list of all numbers sum 10 word".split()), max_size=12)
some_texts = st.lists(texts.map(" ".join), max_size=6)


def test_a_cosine_worked_out_by_hand() -> None:
    index = TfIdf(["sum sum list", "the list"])
    rare, common = 1 + math.log(3 / 2), 1.0
    twice = (1 + math.log(2)) * rare
    lengths = math.hypot(twice, common), math.hypot(rare, common)
    expected = [
        (rare * twice + common * common) / (lengths[0] * lengths[1]),
        common * common / (lengths[1] * lengths[1]),
    ]
    assert index.similarities("A sum: LIST") == pytest.approx(expected, abs=10**-DECIMALS)


def test_a_rare_word_in_common_counts_more_than_common_ones() -> None:
    common, same, rare = TfIdf(["sum list", "sum list", "median list"]).similarities("sum median")
    assert rare > common == same > 0


@given(some_texts, texts.map(" ".join))
def test_similarities_are_cosines(known: list[str], text: str) -> None:
    found = TfIdf(known).similarities(text)
    assert found.shape == (len(known),)
    assert ((found >= 0) & (found <= 1)).all()
    for own, similarity in zip(known, TfIdf([*known, text]).similarities(text), strict=False):
        if own == text and text:
            assert similarity == 1


def test_nothing_in_common_is_no_similarity() -> None:
    assert list(TfIdf(["sum a list", "", "?!"]).similarities("median")) == [0, 0, 0]
    assert list(TfIdf(["sum a list"]).similarities("")) == [0]
    assert list(TfIdf([]).similarities("sum")) == []


def test_other_terms_than_words() -> None:
    index = TfIdf(["abc", "xyz"], terms=list)
    assert list(index.similarities("ab")) == [pytest.approx(math.sqrt(2 / 3), abs=1e-6), 0]
