"""What an answer of each model and stage costs on average: measured, never guessed.

Owns where such rates come from: the answers that earlier runs stored, else ``rates.json``, which
``benchmarks/rates.py`` wrote from runs of ours.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from lift_sys.inference.usage import CallRecord
from lift_sys.record import Record

SHIPPED = Path(__file__).with_name("rates.json")

ENOUGH = 20
"""Answers of earlier runs from which their mean is taken in place of a shipped one."""

Source = Literal["earlier runs", "shipped"]


class StageRate(Record):
    """The mean cost of one answer of a stage.

    Attributes:
        calls: Answers that were measured.
        tokens_out: Tokens generated.
        tokens_in: Tokens of the prompt, cached ones included.
        seconds: Wall time of the answer, in seconds, on the machine that measured it.
        source: Where they were measured.
    """

    calls: int = Field(ge=1)
    tokens_out: float = Field(ge=0)
    tokens_in: float = Field(ge=0)
    seconds: float = Field(ge=0)
    source: Source = "shipped"


Rates = Mapping[tuple[str, str], StageRate]
"""By id of the model and name of the stage."""


def known_rates(runs: Path) -> Rates:
    """Return the rates of every model and stage that was ever measured.

    Args:
        runs: Where run directories are; need not exist. Nothing in it is changed.
    """
    own = rates_of(_stored(runs))
    shipped = shipped_rates()
    return {**own, **shipped, **{key: r for key, r in own.items() if r.calls >= ENOUGH}}


def shipped_rates() -> Rates:
    """Return the rates that come with this release."""
    by_model = TypeAdapter(dict[str, dict[str, StageRate]])
    models = by_model.validate_json(SHIPPED.read_text(encoding="utf-8"))
    return {(m, stage): rate for m, stages in models.items() for stage, rate in stages.items()}


def rates_of(calls: Iterable[CallRecord], source: Source = "earlier runs") -> Rates:
    """Return the mean cost of the answers of each model and stage."""
    grouped: defaultdict[tuple[str, str], list[CallRecord]] = defaultdict(list)
    for call in calls:
        grouped[call.model, call.stage].append(call)
    return {
        key: StageRate(
            calls=len(own),
            tokens_out=round(sum(c.completion_tokens for c in own) / len(own), 1),
            tokens_in=round(sum(c.prompt_tokens for c in own) / len(own), 1),
            seconds=round(sum(c.seconds for c in own) / len(own), 2),
            source=source,
        )
        for key, own in grouped.items()
    }


def stored_calls(file: Path) -> Iterator[CallRecord]:
    """Yield the costs of a run's stored answers; lines that cannot be read tell nothing."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield CallRecord.model_validate(json.loads(line)["record"])
            except (ValueError, ValidationError, LookupError, TypeError):
                continue


def _stored(runs: Path) -> Iterator[CallRecord]:
    for file in sorted(runs.glob("*/calls.jsonl")):
        yield from stored_calls(file)
