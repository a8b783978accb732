"""How alike texts are in their rare words.

Owns TF-IDF vectors of a fixed set of texts and the cosine of another text with each of them. The
words are those of ``similarity.normalised``. It ranks where ``similarity`` decides: near-duplicates
have sequences of words in common, related texts only some rare words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lift_sys.tasks.similarity import normalised

DECIMALS = 6
"""To how many decimals similarities are given, so that no order hangs on how a sum was computed."""


class TfIdf:
    """Texts as vectors that another text is compared with.

    A term that occurs ``c`` times in a text and in ``d`` of the ``n`` texts weighs ``(1 + ln c)``
    times ``1 + ln((1 + n) / (1 + d))``; a vector has length 1. Terms that no text has are ignored.

    Args:
        texts: What is compared with.
        terms: Splits a text into terms.
    """

    def __init__(
        self, texts: Sequence[str], terms: Callable[[str], list[str]] = normalised
    ) -> None:
        self._terms = terms
        counts = [Counter(terms(text)) for text in texts]
        found = Counter(term for counted in counts for term in counted)
        self._row = {term: row for row, term in enumerate(found)}
        self._rarity = np.array([1 + math.log((1 + len(texts)) / (1 + d)) for d in found.values()])
        self._weights = np.zeros((len(found), len(texts)))
        for column, counted in enumerate(counts):
            rows, weights = self._vector(counted)
            self._weights[rows, column] = weights

    def similarities(self, text: str) -> NDArray[np.float64]:
        """Return the cosine with each text, in [0, 1] and in the texts' order."""
        rows, weights = self._vector(Counter(self._terms(text)))
        return np.round(weights @ self._weights[rows], DECIMALS)

    def _vector(self, counted: Counter[str]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        known = [(self._row[term], count) for term, count in counted.items() if term in self._row]
        rows = np.array([row for row, _ in known], dtype=np.intp)
        weights = self._rarity[rows] * np.array([1 + math.log(count) for _, count in known])
        length = float(np.linalg.norm(weights))
        return rows, weights / length if length else weights
