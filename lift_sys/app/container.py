"""What runs in a container: one job in, one answer out, executed as on any other machine.

Owns what a container keeps from one job to the next, which is its model and its sandbox; answers
are not kept, so a row does not depend on what the container did before. It knows nothing of the
machine that sent the job and reaches for no network.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from lift_sys.app import environment
from lift_sys.app.bench import make_evaluator
from lift_sys.app.export import build_program
from lift_sys.app.models import model_source
from lift_sys.app.task_job import TaskAnswer, TaskJob
from lift_sys.errors import ConfigError, InfrastructureError, LiftError
from lift_sys.inference.replay import StoredCall
from lift_sys.sandbox import Sandbox, create_sandbox
from optimizers.rows import Row, row_key
from programs.stages import Models


def execute(job: str) -> str:
    """Execute a job and return its answer, both as JSON; a container executes one at a time.

    What goes wrong on the way is told in the answer.
    """
    asked = TaskJob.model_validate_json(job)
    calls = MemoryCalls()
    answer = TaskAnswer()
    try:
        place = _place(unsafe=asked.unsafe)
        calls = place.calls
        calls.clear()
        answer = TaskAnswer(row=_row(asked, place))
    except LiftError as error:
        infrastructure = isinstance(error, InfrastructureError)
        answer = TaskAnswer(error=str(error), infrastructure=infrastructure)
    return answer.model_copy(update={"calls": tuple(calls.values())}).model_dump_json()


class MemoryCalls(dict[str, StoredCall]):
    """Generated answers by key."""

    def put(self, entry: StoredCall) -> None:
        """Keep an answer."""
        self[entry.key] = entry


class MemoryRows(dict[str, Row]):
    """Rows by key."""

    def put(self, row: Row) -> None:
        """Keep a row."""
        self[row.key] = row


@dataclass(frozen=True)
class Place:
    """What a container keeps.

    Attributes:
        sandbox: Where generated code runs.
        calls: Answers of the job that is executed.
        models: Gives models, whose answers go into ``calls``.
    """

    sandbox: Sandbox
    calls: MemoryCalls = field(default_factory=MemoryCalls)

    @functools.cached_property
    def models(self) -> Models:
        """What gives models."""
        return model_source(self.calls)


@functools.cache
def _place(*, unsafe: bool) -> Place:
    environment.prepare()
    return Place(create_sandbox(unsafe=unsafe))


def _row(asked: TaskJob, place: Place) -> Row:
    program = build_program(asked.program, place.sandbox).with_models(place.models)
    evaluator = make_evaluator(asked.program.model.id, place.sandbox, MemoryRows(), place.models)
    prepared = evaluator.prepare(program, asked.label, asked.rollout)
    key = row_key(prepared.program_hash, evaluator.identity, asked.task, asked.rollout)
    if key != asked.key:
        msg = (
            "a container has other code of lift-sys, or another program, than was sent to it; "
            "start the job again from the code that began it"
        )
        raise ConfigError(msg)
    return prepared.begin(asked.task).take()
