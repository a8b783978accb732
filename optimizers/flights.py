"""Trials in flight: which of their tasks are begun next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from lift_sys.tasks import Task
from optimizers.ahead import Ahead, Begun
from optimizers.evaluate import Prepared
from optimizers.rows import Row
from optimizers.space import Point


@dataclass
class Flight:
    """A trial whose tasks are being run.

    Attributes:
        point: What is tried.
        program: The program at that point.
        begun: Tasks that have been begun and not looked at, in order.
        tasks: How many have been begun in all.
    """

    point: Point
    program: Prepared
    begun: deque[Begun[Row]] = field(default_factory=deque)
    tasks: int = 0


def begin_tasks(flights: Sequence[Flight], tasks: Sequence[Task], ahead: Ahead) -> None:
    """Begin as many tasks as may run ahead, those of earlier trials first."""
    room = ahead.of_all - sum(len(flight.begun) for flight in flights)
    for flight in flights:
        end = min(len(tasks), flight.tasks + min(room, ahead.of_one - len(flight.begun)))
        flight.begun.extend(flight.program.begin(task) for task in tasks[flight.tasks : end])
        room -= end - flight.tasks
        flight.tasks = end
