"""Tasks that are executed in containers, as the machine that sends them sees it.

Owns the order of things here: reserve what a task may spend, send it, note what its calls cost,
keep them, give the row. How a job gets to a container is not known here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError

from lift_sys.app.export import Artifact, ModelRef, describe_program
from lift_sys.app.models import models_of_job
from lift_sys.app.task_job import TaskAnswer, TaskJob
from lift_sys.config import JOINT, RunConfig
from lift_sys.errors import ConfigError, InfrastructureError
from lift_sys.inference import catalogue
from lift_sys.inference.budget import Account
from lift_sys.inference.charge import Charge
from lift_sys.inference.model_info import FREE, ModelInfo
from lift_sys.inference.replay import Calls, StoredCall
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.tasks import Task
from optimizers.evaluate import Prepared
from optimizers.rows import Row
from programs.spec_to_code import SpecToCode
from programs.stages import named_models

Send = Callable[[str], str]
"""Has a container execute a job and returns its answer, both as JSON."""


def check_executor(config: RunConfig) -> None:
    """Refuse a job that containers cannot execute.

    Raises:
        ConfigError: It has a budget in USD, which nobody can keep there, an optimizer that runs
            programs itself, or a model that is not in containers.
        ModelError: There is no such model.
    """
    if config.executor.kind == "local":
        return
    if config.optimizer != JOINT:
        msg = (
            f"the optimizer {config.optimizer!r} runs its programs here; only joint uses containers"
        )
        raise ConfigError(msg)
    if config.budget.usd is not None:
        msg = (
            "what Modal charges for containers is not known here, so no usd budget can be kept "
            "with the modal executor; cap tokens or seconds"
        )
        raise ConfigError(msg)
    for model_id in _asked_there(config):
        if not catalogue.get(model_id).embedded:
            msg = (
                f"containers have no network and no keys, so {model_id} cannot be asked there; "
                "choose an embedded model of `lift models list`, or the local executor"
            )
            raise ConfigError(msg)


def _asked_there(config: RunConfig) -> tuple[str, ...]:
    """Return the ids of the models that programs may ask; instructions are written here."""
    return models_of_job(config.model_copy(update={"prompt_model": None}))


@contextmanager
def sent_elsewhere(config: RunConfig) -> Iterator[Send | None]:
    """Give what sends jobs to the containers of a job; ``None`` where tasks are executed here.

    Raises:
        ConfigError: The client of Modal is not installed.
    """
    if config.executor.kind == "local":
        yield None
        return
    from lift_sys.app.modal_executor import opened_modal  # noqa: PLC0415  # rarely wanted

    with opened_modal(config.executor.containers, _asked_there(config)) as send:
        yield send


@dataclass
class ContainerExecutor:
    """Executes tasks in containers.

    With a budget in tokens a task is sent with twice what the dearest has cost so far, which is
    reserved while it is under way; the first one with all that there is. A container asks its model
    nothing more when that is spent, so the budget is passed by one call for each container at most.
    A task that ends so, though the budget is not spent, is sent again with the answers that it has.

    Attributes:
        config: The job.
        send: Reaches a container.
        calls: Where answers are kept.
        account: What their calls are booked in.
    """

    config: RunConfig
    send: Send
    calls: Calls
    account: Account
    _dearest: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        # A task that only waits for a container has nothing reserved.
        self._free = threading.BoundedSemaphore(self.slots)

    @property
    def slots(self) -> int:
        """How many tasks are executed at the same time: one a container."""
        return self.config.executor.containers

    def execute(self, prepared: Prepared, task: Task, key: str) -> Row:
        """Return the row of a task.

        Raises:
            BudgetSpent: The budget is spent; answers of the task that were generated are kept.
            ConfigError: The program is not ours, or the container has other code than this machine.
            InfrastructureError: The container was lost or failed, or answered for something else.
        """
        job = self._job(prepared, task, key)
        while True:
            answer = self._sent(job)
            job = job.model_copy(update={"known": (*job.known, *answer.calls)})
            if not answer.spent:
                return _row(answer, task, key)

    def _sent(self, job: TaskJob) -> TaskAnswer:
        """Have a container execute a job with a share of the budget; keep what it generated."""
        key = f"task/{job.key}"
        with self._free, self.account.entrusting(key, lambda: 2 * self._dearest) as budget:
            sent = job.model_copy(update={"budget": budget})
            answer = _read(self.send(sent.model_dump_json()))
            for call in answer.calls:
                self.account.book(_charge(call), call.record)
                self.calls.put(call)
            self._note((*job.known, *answer.calls))
        return answer

    def _note(self, calls: Iterable[StoredCall]) -> None:
        """Take note of what a task has cost."""
        cost = sum(c.record.prompt_tokens + c.record.completion_tokens for c in calls)
        with self._lock:
            self._dearest = max(self._dearest, cost)

    def _job(self, prepared: Prepared, task: Task, key: str) -> TaskJob:
        program = prepared.program
        if not isinstance(program, SpecToCode):
            msg = f"containers execute lift-sys's own program, not {type(program).__name__}"
            raise ConfigError(msg)
        hypers, predictors = describe_program(program)
        return TaskJob(
            key=key,
            program=Artifact(
                wire_version=WIRE_VERSION,
                model=ModelRef.of(self.config.model),
                models=tuple(ModelRef.of(named) for named in named_models(program)),
                hypers=hypers,
                predictors=predictors,
            ),
            task=task,
            label=prepared.label,
            rollout=prepared.rollout,
            unsafe=self.config.executor.unsafe,
            own_models=_own_models(),
        )


def _own_models() -> tuple[ModelInfo, ...]:
    known, shipped = catalogue.all_models(), catalogue.shipped()
    return tuple(info.model_copy(update={"urls": ()}) for info in known if info not in shipped)


def _row(answer: TaskAnswer, task: Task, key: str) -> Row:
    if answer.row is None:
        kind = InfrastructureError if answer.infrastructure else ConfigError
        raise kind(answer.error)
    if (answer.row.key, answer.row.task_id) != (key, task.id):
        msg = f"a container answered for another task than {task.id!r}; run the job again"
        raise InfrastructureError(msg)
    return answer.row


def _read(answer: str) -> TaskAnswer:
    try:
        return TaskAnswer.model_validate_json(answer)
    except ValidationError as error:
        msg = f"a container's answer cannot be read: {error.errors()[0]['msg']}; run the job again"
        raise InfrastructureError(msg) from error


def _charge(call: StoredCall) -> Charge:
    """Return the charge of a call there: only embedded models run in containers."""
    record = call.record
    return Charge(call.key, record.model, FREE, record.prompt_tokens, record.completion_tokens)
