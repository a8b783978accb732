"""Containers keep to a budget: together they pass it by one call each at most."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lift_sys.app.containers import ContainerExecutor
from lift_sys.app.ledger_file import LedgerFile
from lift_sys.app.lines import KeyedLines
from lift_sys.app.task_job import TaskAnswer, TaskJob
from lift_sys.config import Budget, Executor, RunConfig
from lift_sys.errors import BudgetSpent
from lift_sys.inference.budget import Account
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.usage import CallRecord
from lift_sys.sandbox.base import ClosedSandbox
from lift_sys.tasks import Case, Task
from lift_sys.verdict import Score
from optimizers.evaluate import Prepared
from optimizers.rows import Row
from programs.presets import make_program
from tests.app.container_process import Model
from tests.app.standing_modal import StandingModal
from tests.app.test_modal_executor import IN_ONE, JOB, entries, here, modal, run_of, start

__all__ = ["here", "modal"]  # fixtures

TWO = ("--executor", "modal", "--containers", "2")
TASK = Task(
    id="t", spec="Add one.", entry_point="f", category="c", split="dev", source="",
    hidden=(Case(args="(1,)", expected="2"),),
)  # fmt: skip


def test_two_containers_pass_a_budget_by_one_call_each_at_most(
    modal: StandingModal, here: Model, tmp_path: Path
) -> None:
    start(tmp_path, *TWO, runs="whole")
    whole = entries(run_of(tmp_path, "whole"))
    total, dearest = sum(e.spend.tokens for e in whole), max(e.spend.tokens for e in whole)

    for share in (7, 3, 2):
        cap = total // share
        with pytest.raises(BudgetSpent):
            start(tmp_path, *TWO, "--budget", f"tokens={cap}", runs=f"runs{share}")
        run = run_of(tmp_path, f"runs{share}")
        assert sum(e.spend.tokens for e in entries(run)) < cap + 2 * dearest
    start(tmp_path, *TWO, "--budget", f"tokens={2 * total}", runs="runs2")
    assert {row.key for row in run.rows()} == {row.key for row in run_of(tmp_path, "whole").rows()}


@pytest.mark.parametrize("containers", [IN_ONE, TWO])
def test_a_budget_of_less_than_a_call_pays_for_one(
    modal: StandingModal, here: Model, tmp_path: Path, containers: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(JOB, "pool_tasks", 2)  # two tasks of two calls each
    with pytest.raises(BudgetSpent, match="spent in the demo pool phase"):
        start(tmp_path, *containers, "--budget", "tokens=20")

    assert len(entries(run_of(tmp_path, rows=False))) == 1


Send = Callable[[TaskJob], TaskAnswer]


def executor(folder: Path, tokens: int, send: Send, containers: int = 2) -> ContainerExecutor:
    account = Account(lambda: Budget(tokens=tokens), LedgerFile(folder / "ledger.jsonl"))
    account.enter("search")
    return ContainerExecutor(
        RunConfig(executor=Executor(kind="modal", containers=containers)),
        lambda job: send(TaskJob.model_validate_json(job)).model_dump_json(),
        KeyedLines(folder / "calls.jsonl", StoredCall),
        account,
    )


def call(key: str, tokens: int = 10) -> StoredCall:
    record = CallRecord(
        model="m", prompt_tokens=tokens - 1, completion_tokens=1, seconds=0.0, key=key
    )
    return StoredCall(key=key, text="x", record=record)


def done(job: TaskJob, *calls: StoredCall) -> TaskAnswer:
    row = Row(
        key=job.key, label="x", task_id="t", category="c", code=None, ir=None, failure="none",
        score=Score(value=0, passed=False, status=None, feedback=""), attempts=1, seconds=0.0,
        calls=(), trace=(),
    )  # fmt: skip
    return TaskAnswer(row=row, calls=calls)


def execute(one: ContainerExecutor, key: str) -> Row:
    evaluator: object = None
    program = make_program("single", ClosedSandbox())
    return one.execute(Prepared(evaluator, program, {}, "", "x", 0), TASK, key)  # type: ignore[arg-type]


def test_the_first_task_has_all_that_there_is_and_the_next_ones_a_share(tmp_path: Path) -> None:
    sent: list[tuple[str, int | None]] = []
    both = threading.Barrier(2, timeout=20)

    def send(job: TaskJob) -> TaskAnswer:
        sent.append((job.key, job.budget.tokens))
        if len(sent) > 1:
            both.wait()  # the second and the third are under way at the same time
        return done(job, call(job.key, 30))

    one = executor(tmp_path, 1_000, send)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda key: execute(one, key), "abc"))

    assert [tokens for _, tokens in sent] == [1_000, 60, 60]


def test_nothing_is_sent_while_those_under_way_may_reach_the_budget(tmp_path: Path) -> None:
    under_way, most = [0], [0]

    def send(job: TaskJob) -> TaskAnswer:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.05)
        under_way[0] -= 1
        return done(job, call(job.key, 30))

    one = executor(tmp_path, 100, send, containers=4)
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(execute, one, key) for key in "abcdefgh"]

    finished = [end for end in ends if end.exception() is None]
    assert len(finished) == 4  # the fourth reaches 100
    assert all(isinstance(e.exception(), BudgetSpent) for e in ends if e not in finished)
    assert most[0] == 2


def test_a_task_that_was_cut_off_early_goes_on_with_its_answers(tmp_path: Path) -> None:
    jobs: list[TaskJob] = []

    def send(job: TaskJob) -> TaskAnswer:
        jobs.append(job)
        if job.key == "small":
            return done(job, call("s", 10))
        if not job.known:
            return TaskAnswer(calls=(call("1", 20),), error="spent", spent=True)
        return done(job, call("2", 20))

    one = executor(tmp_path, 1_000, send)
    execute(one, "small")
    row = execute(one, "large")

    assert row.key == "large"
    assert [(job.budget.tokens, [c.key for c in job.known]) for job in jobs] == [
        (1_000, []),
        (20, []),
        (40, ["1"]),
    ]
    assert [entry.key for entry in one.calls] == ["s", "1", "2"]  # type: ignore[attr-defined]
