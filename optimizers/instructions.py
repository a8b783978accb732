"""Candidates for the instructions of a program's predictors, proposed by a model.

Owns which proposals are kept; ``optimizers.proposers`` makes them. One is dropped if it is empty,
longer than ``MOST_CHARS``, says what the predictor's own instructions or an earlier proposal say,
or tells of a train task or a demo (``Told``). What is dropped is counted.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dspy

from lift_sys.config import Proposer
from lift_sys.inference import usage
from lift_sys.tasks import Task
from lift_sys.tasks.similarity import normalised
from optimizers.pools import DemoSet, Instructions
from optimizers.proposers import PROPOSERS, Brief
from optimizers.watching import Metric

MOST_CHARS = 3_000
"""Longest instructions that are kept, in characters: some 900 tokens of every prompt."""
RUN_OF_WORDS = 8
"""Words in a row, shared with a task or a demo, that count as telling of it."""
FEWEST_WORDS = 4
"""Words of the shortest text that a proposal must not repeat."""

STAGE = "propose"
"""What the calls of proposers are labelled with."""

Found = tuple[dict[str, tuple[Instructions, ...]], dict[str, int]]
"""Candidates by predictor path, and how many proposals were dropped by reason: ``empty``, ``long``,
``duplicate``, ``leak``, or ``failed`` where a proposer's model gave no usable answer."""


def propose(
    program: dspy.Module,
    metric: Metric,
    brief: Brief,
    wanted: Mapping[Proposer, int],
    tasks: Iterable[Task],
) -> Found:
    """Return candidates for the instructions of a program.

    Args:
        program: Never changed.
        metric: Higher is better.
        brief: What proposers are shown.
        wanted: How many candidates for each predictor, by proposer.
        tasks: Of which nothing may be told: those of the brief and its demos.

    Raises:
        ProviderError: The backend failed.
        SandboxError: The sandbox failed.
    """
    told = Told.of(tasks, brief.demos)
    own = {path: p.signature.instructions for path, p in program.named_predictors()}
    dropped: Counter[str] = Counter()
    kept: dict[str, tuple[Instructions, ...]] = {}
    for name, count in wanted.items():
        # DSPy's optimizers tell on standard error of every step.
        with usage.stage(STAGE), contextlib.redirect_stderr(io.StringIO()):
            proposals = PROPOSERS[name](program, metric, brief, count)
        dropped["failed"] += proposals.failed
        for path in brief.predictors:
            before = kept.get(path, ())
            known = [own[path], *(candidate.text for candidate in before)]
            texts = _kept(proposals.texts.get(path, ()), known, told, dropped)
            more = [
                Instructions(name=f"{name}-{number}", text=text)
                for number, text in enumerate(texts[:count], start=1)
            ]
            kept[path] = (*before, *more)
    return {path: found for path, found in kept.items() if found}, dict(+dropped)


def _kept(
    proposed: Iterable[str], known: Sequence[str], told: Told, dropped: Counter[str]
) -> list[str]:
    seen = [normalised(text) for text in known]
    kept = []
    for raw in proposed:
        text = raw.strip().strip('"').strip()
        words = normalised(text)
        reason = (
            ("empty" if not words else "")
            or ("long" if len(text) > MOST_CHARS else "")
            or ("duplicate" if words in seen else "")
            or ("leak" if told.by(text, known[0]) else "")
        )
        seen.append(words)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(text)
    return kept


@dataclass(frozen=True)
class Told:
    """What instructions must not tell of train tasks and demos.

    Attributes:
        runs: Words in a row of their texts: ``RUN_OF_WORDS`` of each, or all of a shorter text.
        names: Of their functions.
    """

    runs: frozenset[tuple[str, ...]]
    names: frozenset[str]

    @classmethod
    def of(cls, tasks: Iterable[Task], demos: Iterable[DemoSet]) -> Told:
        """Return what these tasks and demos hold."""
        names, texts = set(), _strings([demo_set.demos for demo_set in demos])
        for task in tasks:
            names.add(task.entry_point)
            gold = task.gold_ir.model_dump(mode="json") if task.gold_ir else None
            texts += _strings([task.spec, task.reference_code, gold])
        runs = {run for text in texts for run in _runs(normalised(text))}
        return cls(frozenset(runs), frozenset(names))

    def by(self, text: str, own: str) -> bool:
        """Tell whether a text tells of them what the predictor's own instructions do not.

        A function is told of where its name has several words, or where a call of it is shown.
        """
        if (self._said(text) - self._said(own)) & self.runs:
            return True
        found = re.findall(r"\b([A-Za-z_]\w*)(\s*\()?", text)
        return any(name in self.names and ("_" in name or call) for name, call in found)

    def _said(self, text: str) -> set[tuple[str, ...]]:
        words = normalised(text)
        return {run for size in self._sizes for run in _windows(words, size)}

    @cached_property
    def _sizes(self) -> set[int]:
        return {len(run) for run in self.runs}


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if len(words) >= FEWEST_WORDS:
        yield from _windows(words, min(RUN_OF_WORDS, len(words)))


def _windows(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def _strings(value: Any) -> list[str]:
    """Return all texts inside a value of plain data."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        return [text for part in inner for text in _strings(part)]
    return []
