"""One job in several processes: begun by one, helped with by another, ended by the first."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import dspy
import pytest
import sqlalchemy as sa
from dspy.lm15 import Request
from rich.console import Console

from lift_sys.app import affordable, bench
from lift_sys.app.data import load_data
from lift_sys.app.database import LEDGER, Database
from lift_sys.app.export import load_artifact
from lift_sys.app.job import Job
from lift_sys.app.progress import Progress
from lift_sys.app.run import optimize
from lift_sys.app.worker import Meeting, joined_run, opened_run, work
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import BudgetSpent, ConfigError
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.leases import Leases
from lift_sys.inference.model_info import FREE
from lift_sys.inference.replay import Calls, ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.base import ClosedSandbox
from programs.stages import Models
from tests.app.test_blame import IR

NAMES = ("alpha", "beta", "gamma", "delta")


def answer(request: Request) -> str:
    """Know how to double; one name is forgotten."""
    if request.config.response_format:
        return json.dumps({**IR, "assertions": []})
    asked = str(request.messages[-1])
    name = next(name for name in NAMES if name in asked)
    return f"```python\ndef {name}(x):\n    return {'x' if name == 'beta' else '2 * x'}\n```"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """The model of every process; it counts what is asked."""
    engine = ScriptedEngine(answer)

    def source(calls: Calls, account: Account, leases: Leases) -> Models:
        replaying = ReplayEngine(engine, "w", calls)
        replaying.leases = leases
        lm = dspy.LM("local/scripted", engine=replaying, cache=False, num_retries=0)
        pay_from(account, lm, "scripted", FREE)
        return lambda _: lm

    monkeypatch.setattr(bench, "model_source", source)
    # Scripted answers are shorter than those of the model whose rates are known.
    monkeypatch.setattr(affordable, "shipped_rates", dict)
    return engine


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(
        train_data=str(write_tasks(tmp_path / "train.jsonl", "train", "alpha")),
        dev_data=str(write_tasks(tmp_path / "dev.jsonl", "dev", "beta", "gamma")),
        test_data=str(write_tasks(tmp_path / "last.jsonl", "dev", "delta")),
        pool_tasks=1,
        demos=1,
        trials=4,
        search_tokens=10**6,
        space={"code_sees": ("spec", "spec_and_ir"), "temperature": (0.0,), "n": (1,)},
    )


def write_tasks(path: Path, split: str, *names: str) -> Path:
    tasks = [
        {
            "id": name, "spec": f"Double x in {name}.", "entry_point": name,
            "category": "mathematical", "split": split, "source": "test",
            "hidden": [{"args": "(5,)", "expected": "10"}],
        }
        for name in names
    ]  # fmt: skip
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    return path


def quiet() -> Progress:
    return Progress(Console(file=io.StringIO()), {})


def job_of(config: RunConfig, sandbox: Sandbox) -> Job:
    return Job.of(config, load_data(config), sandbox)


def begin(config: RunConfig, runs: Path, meeting: Meeting | None, sandbox: Sandbox) -> Any:
    job = job_of(config, sandbox)
    with opened_run(job, runs, meeting) as run:
        return optimize(job, run, sandbox, quiet())


def helped(meeting: Meeting, folder: Path, sandbox: Sandbox) -> Any:
    with joined_run(meeting, folder) as (run, data):
        return work(run, data, sandbox, quiet())


def test_a_job_in_two_processes_asks_and_ends_as_in_one(
    engine: ScriptedEngine, config: RunConfig, storage: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    alone = begin(config, tmp_path / "alone", None, sandbox)
    asked = sorted(str(body) for body in engine.bodies)
    engine.bodies.clear()

    meeting = Meeting(storage, "job", slots=2)
    with opened_run(job_of(config, sandbox), tmp_path / "runs", meeting):
        pass  # begun, so that the worker finds it
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(begin, config, tmp_path / "runs", meeting, sandbox)
        second = pool.submit(helped, meeting, tmp_path / "helper", sandbox)
        shared, search = first.result(), second.result()

    assert len(search.trials) == config.trials
    assert load_artifact(shared.artifact).hypers == load_artifact(alone.artifact).hypers
    assert shared.report.usage.calls >= alone.report.usage.calls > 0
    results = [[(r.name, r.outcomes) for r in o.report.results] for o in (alone, shared)]
    assert results[0] == results[1]
    bodies = [str(body) for body in engine.bodies]
    assert len(bodies) == len(set(bodies))  # nothing is generated by both
    assert set(asked) <= set(bodies)
    assert (shared.run / "pool.json").read_text() == (alone.run / "pool.json").read_text()

    again = begin(config, tmp_path / "runs", meeting, sandbox)
    assert again.text == shared.text
    assert len(engine.bodies) == len(bodies)


def test_a_worker_with_other_tasks_is_refused(
    config: RunConfig, sandbox: Sandbox, tmp_path: Path
) -> None:
    meeting = Meeting(f"sqlite:///{tmp_path}/study.db", "job")
    with opened_run(job_of(config, sandbox), tmp_path / "runs", meeting):
        pass
    write_tasks(Path(config.dev_data), "dev", "beta", "delta")

    with pytest.raises(ConfigError, match="was begun with other data"):
        helped(meeting, tmp_path / "helper", sandbox)


def test_a_budget_is_shared_and_a_larger_one_ends_as_if_there_had_been_none(
    engine: ScriptedEngine, config: RunConfig, storage: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    alone = begin(config, tmp_path / "alone", None, sandbox)
    meeting, whole = Meeting(storage, "job", slots=2), alone.report.usage.total_tokens

    def start(tokens: int) -> list[Any]:
        job = config.model_copy(update={"budget": Budget(tokens=tokens)})
        with opened_run(job_of(job, sandbox), tmp_path / "runs", meeting):
            pass  # begun, so that the worker finds it

        def end(call: Any, *args: Any) -> Any:
            try:
                return call(*args)
            except BudgetSpent as spent:
                return spent

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(end, begin, job, tmp_path / "runs", meeting, sandbox)
            second = pool.submit(end, helped, meeting, tmp_path / "helper", sandbox)
            return [first.result(), second.result()]

    caps = (whole // 8, whole // 2)
    for cap in caps:
        ends = start(cap)
        spent, dearest = ledger_of(storage)
        assert spent <= cap + 2 * dearest
        assert isinstance(ends[0], BudgetSpent) or ends[0].report.budget.ended_search
        if isinstance(ends[1], BudgetSpent):
            assert f"the budget of {cap:,} tokens is spent" in str(ends[1])
        else:
            assert ends[1].cut is not None
    shared, search = start(100 * whole)

    assert search.cut is None
    assert load_artifact(shared.artifact).hypers == load_artifact(alone.artifact).hypers
    results = [[(r.name, r.outcomes) for r in o.report.results] for o in (alone, shared)]
    assert results[0] == results[1]
    assert f"of {100 * whole:,} tokens spent" in shared.text


def test_a_worker_that_joins_early_has_the_budget_of_the_last_start(
    config: RunConfig, sandbox: Sandbox, tmp_path: Path
) -> None:
    meeting = Meeting(f"sqlite:///{tmp_path}/study.db", "job")
    for budget in (Budget(tokens=5), Budget(tokens=7), Budget()):
        job = job_of(config.model_copy(update={"budget": budget}), sandbox)
        with (
            opened_run(job, tmp_path / "runs", meeting),
            joined_run(meeting, tmp_path / "helper") as (helper, _),
        ):
            assert helper.allowance().budget == budget


def ledger_of(storage: str) -> tuple[int, int]:
    """Return the tokens that a study has spent, and those of its dearest call."""
    with closing(Database(storage)) as database, database.reading() as connection:
        tokens = list(connection.execute(sa.select(LEDGER.c.tokens)).scalars())
        reserved = sa.select(LEDGER.c.key).where(LEDGER.c.holder.is_not(None))
        assert not connection.execute(reserved).all()
    return sum(tokens), max(tokens, default=0)


def test_an_optimizer_that_works_in_one_process_is_refused(
    config: RunConfig, tmp_path: Path
) -> None:
    meeting = Meeting(f"sqlite:///{tmp_path}/study.db", "job")
    other = config.model_copy(update={"optimizer": "simba"})

    with pytest.raises(ConfigError, match="'simba' works in one process"):
        opened_run(job_of(other, ClosedSandbox()), tmp_path / "runs", meeting).__enter__()


@pytest.mark.parametrize("named", [("sqlite:///x", None, None), (None, "s", None), (None, None, 4)])
def test_half_a_place_to_meet_is_refused(named: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ConfigError, match="needs both --storage URL and --study NAME"):
        Meeting.of(*named)


def test_no_place_to_meet_is_a_run_directory() -> None:
    assert Meeting.of(None, None, None) is None
    assert Meeting.of("sqlite:///x", "s", None) == Meeting("sqlite:///x", "s")
