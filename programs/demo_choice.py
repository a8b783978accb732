"""Which of a predictor's demos one request shows.

Owns the values of the hypers ``demo_choice``, ``demo_count`` and ``demo_tokens``. A predictor may
hold a *bank*, many more demos than a request can show; it is part of the program's state, so an
artifact carries it and the choice stays the same. A demo of the very task that is asked is never
shown.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lift_sys.tasks.tfidf import TfIdf

Demo = Mapping[str, Any]
Show = Callable[[Demo], dict[str, Any] | None]
"""Gives a demo the form that a request shows it in; ``None`` where it lacks what is asked for."""

MOST = 8
"""Most demos of one request."""
NO_LIMIT = 32_768
"""Tokens that no request's demos reach: as many as the embedded models read at most."""
CHARS_PER_TOKEN = 3.4
"""Characters of a demo's JSON for each token that it adds to a prompt.

Measured with the tokenizer of Qwen2.5-Coder on the gold demos of all 120 train tasks in the five
forms that requests show: 3.2 to 3.5 by form. The estimate is off by 8 % of a demo's tokens on
average, by at most 16 % for nine demos in ten and 25 % for the worst. Other scripts than Latin take
more tokens.
"""


@dataclass(frozen=True)
class DemoChoice:
    """How the demos of a request are chosen.

    Attributes:
        how: ``fixed`` takes the first ones in their order; ``nearest`` those whose specs are most
            similar to the spec, the most similar last, where it stands next to the spec.
        count: Most demos.
        tokens: Most tokens of all demos together, by ``estimated_tokens``; ``NO_LIMIT`` is none.
    """

    how: str
    count: int
    tokens: int

    def of(self, demos: Sequence[Demo], spec: str, show: Show) -> list[dict[str, Any]]:
        """Return the demos that a request shows, in the form and the order in which it does.

        What does not fit is left out: of the nearest the least similar first, of the fixed the last
        first.

        Args:
            demos: All that the predictor has.
            spec: The request in plain language.
            show: Gives a demo its form.
        """
        taken: list[dict[str, Any]] = []
        left = self.tokens
        for demo in _RANKED[self.how](demos, spec):
            if len(taken) == self.count:
                break
            shown = None if _is_about(demo, spec) else show(demo)
            if shown is None:
                continue
            if self.tokens < NO_LIMIT:
                left -= estimated_tokens(shown)
            if left < 0:
                break
            taken.append(shown)
        return taken[::-1] if self.how == "nearest" else taken


def estimated_tokens(demo: Demo) -> int:
    """Return about how many tokens a demo adds to a prompt; ``CHARS_PER_TOKEN`` has the error."""
    text = json.dumps(dict(demo), ensure_ascii=False, default=str)
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def _in_order(demos: Sequence[Demo], spec: str) -> Iterable[Demo]:  # noqa: ARG001 (as the others)
    return demos


def _by_similarity(demos: Sequence[Demo], spec: str) -> Iterable[Demo]:
    similar = _index(tuple(_spec_of(demo) for demo in demos)).similarities(spec)
    return [demos[i] for i in (-similar).argsort(kind="stable")]


_RANKED: dict[str, Callable[[Sequence[Demo], str], Iterable[Demo]]] = {
    "fixed": _in_order,
    "nearest": _by_similarity,
}
"""Orders demos, the one to show most first."""
CHOICES = tuple(_RANKED)
"""The values of ``demo_choice``, the default first."""


@functools.lru_cache(maxsize=8)  # a program has one bank for each stage that has demos
def _index(specs: tuple[str, ...]) -> TfIdf:
    return TfIdf(specs)


def _spec_of(demo: Demo) -> str:
    """Return the spec that a demo is about; empty where it was made without one."""
    return str(demo.get("spec") or "")


def _is_about(demo: Demo, spec: str) -> bool:
    """Tell whether a demo is of the task that is asked.

    A stage may see the spec with examples and hints, which start on a new line.
    """
    shorter, longer = sorted((_spec_of(demo).strip(), spec.strip()), key=len)
    return shorter != "" and (longer == shorter or longer.startswith(shorter + "\n"))
