"""Near-duplicates: tasks that would let one split tell about another.

Owns what "nearly the same" means: of the words and numbers of two specs in lower case, more than
``MAX_SHARED_TRIGRAMS`` of the word trigrams are shared or more than ``MAX_SEQUENCE_RATIO`` of the
characters match in order, or the entry points have the same words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lift_sys.tasks.model import Task

MAX_SEQUENCE_RATIO = 0.80
"""Above this share of matching characters two normalised specs count as near-duplicates."""

MAX_SHARED_TRIGRAMS = 0.30
"""Above this Jaccard index of word trigrams two specs count as near-duplicates."""


def normalised(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case."""
    return re.findall(r"[^\W\d_]+|\d+", text.lower())


def similarity(first: str, second: str) -> tuple[float, float]:
    """Return the share of matching characters and the Jaccard index of word trigrams."""
    a, b = _Text.of(first), _Text.of(second)
    return a.ratio(b), a.shared(b)


def near_duplicates(tasks: Sequence[Task]) -> list[tuple[str, str]]:
    """Return the pairs of ids whose specs are nearly the same or whose entry points are."""
    return [(a.id, b.id) for a, b in duplicate_pairs(tasks)]


def duplicate_pairs(tasks: Sequence[Task]) -> Iterator[tuple[Task, Task]]:
    """Yield the pairs of tasks whose specs are nearly the same or whose entry points are."""
    texts = [(task, normalised(task.entry_point), _Text.of(task.spec)) for task in tasks]
    for (a, name, text), (b, other_name, other) in combinations(texts, 2):
        if name == other_name or text.is_near(other):
            yield a, b


@dataclass(frozen=True)
class _Text:
    """A normalised spec with what comparing it needs.

    Attributes:
        plain: Its words, one blank between them.
        places: For each character, the places where it stands, as bits.
        trigrams: Its word trigrams.
    """

    plain: str
    places: Mapping[str, int]
    trigrams: frozenset[tuple[str, str, str]]

    @classmethod
    def of(cls, spec: str) -> _Text:
        words = normalised(spec)
        plain = " ".join(words)
        places: dict[str, int] = {}
        for index, character in enumerate(plain):
            places[character] = places.get(character, 0) | (1 << index)
        return cls(plain, places, frozenset(zip(words, words[1:], words[2:], strict=False)))

    def is_near(self, other: _Text) -> bool:
        """Tell whether one of the two limits is passed."""
        return self.shared(other) > MAX_SHARED_TRIGRAMS or (
            self._may_match(other) and self.ratio(other) > MAX_SEQUENCE_RATIO
        )

    def shared(self, other: _Text) -> float:
        """Return the Jaccard index of the word trigrams; 0 where there are none."""
        common = len(self.trigrams & other.trigrams)
        union = len(self.trigrams) + len(other.trigrams) - common
        return common / union if union else 0.0

    def ratio(self, other: _Text) -> float:
        """Return the share of matching characters, in [0, 1]."""
        matcher = difflib.SequenceMatcher(None, self.plain, other.plain, autojunk=False)
        return matcher.ratio()

    def _may_match(self, other: _Text) -> bool:
        """Tell whether ``ratio`` could pass its limit; false for nearly all pairs, and quick.

        What ``difflib`` matches is a common subsequence, so the longest one bounds it. Its length
        grows with the characters read of the shorter text, one bit of ``open_`` less for each
        (Allison and Dix, "A bit-string longest-common-subsequence algorithm", 1986); once too many
        characters were read in vain, the rest need not be.
        """
        shorter, longer = sorted((self, other), key=lambda text: len(text.plain))
        size = len(longer.plain)
        wanted = MAX_SEQUENCE_RATIO * (size + len(shorter.plain)) / 2
        spare = len(shorter.plain) - wanted
        if spare < 0:
            return False
        places = longer.places.get
        full = open_ = (1 << size) - 1
        for start in range(0, len(shorter.plain), _CHECKED_EVERY):
            part = shorter.plain[start : start + _CHECKED_EVERY]
            for character in part:
                hits = open_ & places(character, 0)
                open_ = (open_ + hits) | (open_ - hits)
            open_ &= full
            if start + len(part) - (size - open_.bit_count()) > spare:
                return False
        return True


_CHECKED_EVERY = 16
