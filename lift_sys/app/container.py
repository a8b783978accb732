"""What runs in a container: one job in, one answer out, executed as on any other machine.

Owns what a container keeps from one job to the next, which is its model and its sandbox; answers
are not kept, so a row does not depend on what the container did before. It knows nothing of the
machine that sent the job and reaches for no network.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dspy
from dspy.lm15 import Request, Response

from lift_sys.app import environment
from lift_sys.app.bench import make_evaluator
from lift_sys.app.export import build_program
from lift_sys.app.models import model_source
from lift_sys.app.task_job import TaskAnswer, TaskJob
from lift_sys.errors import BudgetSpent, ConfigError, InfrastructureError, LiftError
from lift_sys.inference import catalogue
from lift_sys.inference.failures import RefusedError
from lift_sys.inference.replay import Engine, StoredCall
from lift_sys.sandbox import Sandbox, create_sandbox
from optimizers.rows import Row, row_key
from programs.stages import Models


def execute(job: str) -> str:
    """Execute a job and return its answer, both as JSON; a container executes one at a time.

    What goes wrong on the way is told in the answer.
    """
    asked = TaskJob.model_validate_json(job)
    generated: tuple[StoredCall, ...] = ()
    try:
        place = _place(unsafe=asked.unsafe)
        place.begin(asked)
        try:
            answer = TaskAnswer(row=_row(asked, place))
        finally:
            generated = place.generated
    except LiftError as error:
        infrastructure = isinstance(error, InfrastructureError)
        spent = isinstance(error, BudgetSpent)
        answer = TaskAnswer(error=str(error), infrastructure=infrastructure, spent=spent)
    return answer.model_copy(update={"calls": generated}).model_dump_json()


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


class Capped:
    """An engine that is asked nothing more once a job has spent what it may.

    Args:
        engine: Answers.
        refuse_if_spent: Raises then.
    """

    def __init__(self, engine: Engine, refuse_if_spent: Callable[[], None]) -> None:
        self._engine = engine
        self._refuse_if_spent = refuse_if_spent

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time: as many as the engine behind it."""
        return self._engine.concurrency

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            RefusedError: The job has spent what it may.
            EngineError: The engine could not answer.
        """
        self._refuse_if_spent()
        return self._engine.complete(request)


@dataclass
class Place:
    """What a container keeps.

    Attributes:
        sandbox: Where generated code runs.
        calls: Answers of the job that is executed.
        models: Gives models, whose answers go into ``calls``.
    """

    sandbox: Sandbox
    calls: MemoryCalls = field(default_factory=MemoryCalls)

    def begin(self, asked: TaskJob) -> None:
        """Begin a job with the answers that came with it, and none of another."""
        self.calls.clear()
        self.calls.update({call.key: call for call in asked.known})
        self._known = len(self.calls)
        self._budget = asked.budget
        self._begun = time.monotonic()

    @property
    def generated(self) -> tuple[StoredCall, ...]:
        """Answers that were not known when the job began."""
        return tuple(self.calls.values())[self._known :]

    @functools.cached_property
    def models(self) -> Models:
        """What gives models."""
        source = model_source(self.calls)

        @functools.cache
        def give(model_id: str) -> dspy.LM:
            lm = source(model_id)
            lm.engine.put_before(lambda engine, _: Capped(engine, self._refuse_if_spent))
            return lm

        return give

    def _refuse_if_spent(self) -> None:
        budget, records = self._budget, [call.record for call in self.generated]
        tokens = sum(r.prompt_tokens + r.completion_tokens for r in records)
        seconds = time.monotonic() - self._begun
        for spent, most in ((tokens, budget.tokens), (seconds, budget.seconds)):
            if most is not None and spent >= most:
                msg = "the task has spent what it was sent with"
                raise RefusedError(msg)


@functools.cache
def _place(*, unsafe: bool) -> Place:
    environment.prepare()
    return Place(create_sandbox(unsafe=unsafe))


def _row(asked: TaskJob, place: Place) -> Row:
    catalogue.use(asked.own_models)
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
