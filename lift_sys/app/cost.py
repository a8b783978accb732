"""What programs cost in USD and how long they take: per task, per stage, per run.

Owns the figures; ``cost_tables`` owns how they are said. Where everything is free nothing is told.
A sum of which a part is not known is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Self

import numpy as np

from lift_sys.inference import catalogue
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.usage import CallRecord, Usage
from lift_sys.record import Record
from optimizers.rows import Row


class Spent(Record):
    """What some calls cost.

    Attributes:
        usd: US dollars at the catalogue's prices; ``None`` where one is not known.
        models: Ids of the models that answered.
        unpriced: Those of them whose price is not known.
        as_of: When the oldest price that is not nothing was written down; ``None`` where unknown.
    """

    usd: float | None
    models: tuple[str, ...]
    unpriced: tuple[str, ...] = ()
    as_of: date | None = None

    @classmethod
    def of(cls, calls: Iterable[CallRecord]) -> Self | None:
        """Return what calls cost; ``None`` where they are all free."""
        rows = list(calls)
        prices = {call.model: catalogue.price_of(call.model) for call in rows}
        if all(price is not None and price.free for price in prices.values()):
            return None
        dates = [price.as_of for price in prices.values() if price and price.as_of]
        return cls(
            usd=total_usd(rows),
            models=tuple(prices),
            unpriced=tuple(model for model, price in prices.items() if price is None),
            as_of=min(dates, default=None),
        )


class Latency(Record):
    """How long some things took, in seconds."""

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Return it of at least one thing; between two values it is interpolated."""
        median, p95 = np.quantile(seconds, (0.5, 0.95))
        return cls(median=float(median), p95=float(p95))


class StageCost(Record):
    """What the calls of a stage cost.

    Attributes:
        stage: Its name.
        usd: Of all of them; ``None`` where it is not known.
        latency: Of one.
    """

    stage: str
    usd: float | None
    latency: Latency


class ProgramCost(Record):
    """What a program cost on a task set.

    Attributes:
        spent: On all tasks.
        tasks: USD by task id; ``None`` where it is not known.
        latency: Of a task, program and metric together.
        stages: In the order in which they are first called.
    """

    spent: Spent
    tasks: dict[str, float | None]
    latency: Latency
    stages: tuple[StageCost, ...]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self | None:
        """Return what executed tasks cost; ``None`` where it is nothing."""
        spent = Spent.of(call for row in rows for call in row.calls)
        if spent is None:
            return None
        by_stage: dict[str, list[CallRecord]] = {}
        for call in (call for row in rows for call in row.calls):
            by_stage.setdefault(call.stage, []).append(call)
        return cls(
            spent=spent,
            tasks={row.task_id: total_usd(row.calls) for row in rows},
            latency=Latency.of([row.seconds for row in rows]),
            stages=tuple(
                StageCost(
                    stage=stage,
                    usd=total_usd(calls),
                    latency=Latency.of([call.seconds for call in calls]),
                )
                for stage, calls in by_stage.items()
            ),
        )


def total_usd(calls: Iterable[CallRecord]) -> float | None:
    """Return what calls cost together; ``None`` where the price of one is not known."""
    costs = [catalogue.usd(call) for call in calls]
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if len(known) == len(costs) else None


def whole_cost(
    rows: Sequence[Row],
    others: Sequence[CallRecord] = (),
    kept: Iterable[StoredCall] | None = None,
) -> dict[str, Any]:
    """Return what a report tells of all answers of a run, by field.

    What was generated elsewhere cost this run nothing, and neither did rows that are made of such
    answers alone.

    Args:
        rows: Executed tasks.
        others: Calls that no row has to have.
        kept: Answers of the run, which tell what it generated itself; by default it did all.
    """
    mine = None if kept is None else {call.key for call in kept if not call.record.reused}

    def own(call: CallRecord) -> bool:
        return mine is None or not call.key or call.key in mine

    every = generated(rows, others)
    own_calls = [call for call in every if own(call)]
    outside = outside_model([r for r in rows if not r.calls or any(map(own, r.calls))])
    return {
        "usage": Usage.of(own_calls),
        "taken": Usage.of(call for call in every if not own(call)),
        "overhead_seconds": outside,
        "busy_seconds": sum(c.machine_seconds for c in own_calls) if outside is None else None,
        "spent": Spent.of(own_calls),
    }


def generated(rows: Sequence[Row], others: Sequence[CallRecord] = ()) -> list[CallRecord]:
    """Return every answer, each once, however many rows used it.

    Args:
        rows: Executed tasks.
        others: Calls that no row has to have, e.g. of an optimizer that runs programs itself.
    """
    calls = {c.key or f"{r.key}/{i}": c for r in rows for i, c in enumerate(r.calls)}
    return list({**{c.key: c for c in others}, **calls}.values())


def outside_model(rows: Sequence[Row]) -> float | None:
    """Return the seconds of rows that no model worked on; ``None`` where their calls overlapped."""
    if any(call.share is not None for row in rows for call in row.calls):
        return None
    return sum(row.seconds - row.usage.seconds for row in rows)
