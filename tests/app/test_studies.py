"""Studies in one database: each takes what another has done, and waits for no row of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lift_sys.app import environment
from lift_sys.app.database import CALLS, LEDGER, ROWS, Database
from lift_sys.app.shared_run import SharedRun
from lift_sys.app.sql_store import SqlEntries
from lift_sys.app.worker import Meeting
from lift_sys.config import RunConfig
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch
from optimizers.rows import Row
from programs.hypers import set_hypers
from tests.app import test_worker as jobs
from tests.app.test_fleet import ROOT, lines, wait_for_stuck
from tests.optimizers.searching import CONFIG, EXAMPLES, POOL, Fake, Job, in_memory

engine, config = jobs.engine, jobs.config


def asked(engine: ScriptedEngine) -> list[str]:
    """Return what was asked since this was last called."""
    bodies = [str(body) for body in engine.bodies]
    engine.bodies.clear()
    return bodies


def wider(config: RunConfig) -> RunConfig:
    """Return a job that has points in common with another, and points of its own."""
    space = {**config.space, "code_sees": ("spec", "spec_and_ir", "ir")}
    return config.model_copy(update={"space": space, "trials": 5})


def outcome(done: Any) -> list[Any]:
    """Return what a job is worth, which does not depend on what it had to ask."""
    return [
        done.report.search,
        [(r.name, r.outcomes, r.usage.total_tokens, r.candidates) for r in done.report.results],
        [(t.point, t.passed, t.tokens, t.dropped) for t in done.search.trials],
    ]


def keys_of(storage: str, table: sa.Table, study: str) -> set[str]:
    query = sa.select(table.c.key).where(table.c.study == study)
    with closing(Database(storage)) as database, database.reading() as connection:
        return set(connection.execute(query).scalars())


def test_the_next_study_asks_only_what_is_new_and_ends_as_alone(
    engine: ScriptedEngine, config: RunConfig, storage: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    second = wider(config)
    alone = jobs.begin(second, tmp_path / "alone", None, sandbox)
    needed = set(asked(engine))
    first = jobs.begin(config, tmp_path / "runs", Meeting(storage, "first", slots=2), sandbox)
    known = set(asked(engine))
    both = jobs.begin(second, tmp_path / "runs", Meeting(storage, "second", slots=1), sandbox)
    new = asked(engine)

    assert sorted(new) == sorted(needed - known)
    assert 0 < len(new) < len(needed)
    assert outcome(both) == outcome(alone)
    assert len(keys_of(storage, LEDGER, "second")) == len(new) == both.report.usage.calls
    taken = both.report.taken.calls
    assert taken == alone.report.usage.calls - len(new)
    assert f"Whole run: {len(new)} answers generated" in both.text
    assert f"; {taken} more with " in both.text
    assert first.report.taken.calls == alone.report.taken.calls == 0
    with closing(Database(storage)) as database:
        calls = SqlEntries(database, CALLS, "second", StoredCall)
        assert sum(not call.record.reused for call in calls) == len(new)


def test_a_study_takes_no_row_of_other_tasks_or_other_code(
    engine: ScriptedEngine, config: RunConfig, storage: str, sandbox: Sandbox, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def begin(study: str) -> Any:
        return jobs.begin(config, tmp_path / "runs", Meeting(storage, study, slots=1), sandbox)

    before = begin("before")
    passed = before.report.results[0].outcomes
    asked(engine)
    path = Path(config.test_data)
    path.write_text(path.read_text().replace('"10"', '"11"'))
    harder = begin("harder")

    assert passed == {"delta": True}
    assert [r.outcomes for r in harder.report.results] == [{"delta": False}] * 3
    ours, theirs = (keys_of(storage, ROWS, study) for study in ("harder", "before"))
    assert 0 < len(ours - theirs) < len(ours)  # those of the task that is another
    assert asked(engine) == []  # its spec is the same

    monkeypatch.setattr(environment, "source_digest", lambda: "other code")
    other = begin("other code")
    assert not keys_of(storage, ROWS, "other code") & ours
    assert outcome(other) == outcome(harder)
    assert asked(engine) == []


def search_in(storage: str, folder: Path, study: str, job: Job) -> list[Row]:
    """Run a search as the one process of a study, and return its rows."""
    with closing(SharedRun(folder, Database(storage), study)) as run:
        no_model: Any = None
        sharing = run.sharing(lambda: 1)
        evaluator = Evaluator(lambda: no_model, "m", job.score, run.rows(), sharing=sharing)
        search = JointSearch(CONFIG, POOL, evaluator, run.study(["maximize"]), set_hypers, run.tell)
        search.compile(Fake(0), valset=EXAMPLES)
        return list(run.rows())


@pytest.mark.slow
def test_a_row_that_another_study_holds_blocks_nobody_and_the_killed_lose_nothing(
    storage: str, tmp_path: Path
) -> None:
    def fleet(victims: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.app.fleet", storage, str(tmp_path), "1"]
        with (tmp_path / "errors").open("w") as errors:
            return subprocess.Popen(
                [*command, str(victims)], cwd=ROOT, stderr=errors, start_new_session=True
            )

    job = Job(0, in_memory)
    with fleet(victims=1) as stuck:
        (victim,) = wait_for_stuck(tmp_path, 1, stuck)
        finished = keys_of(storage, ROWS, "s")
        enough = threading.Timer(60, os.kill, (victim, signal.SIGKILL))
        enough.start()
        rows = search_in(storage, tmp_path / "b", "b", job)
        alive = stuck.poll() is None
        enough.cancel()
        os.kill(victim, signal.SIGKILL)
        stuck.wait(timeout=60)
    begun = len(lines(tmp_path, "begun"))
    (tmp_path / "log").write_text("")
    with fleet(victims=0) as again:
        again.wait(timeout=120)

    assert alive  # its row was held all the time
    assert len(finished) == begun - 1 == 1
    assert finished <= {row.key for row in rows}
    assert job.executed == len(rows) - len(finished)
    assert again.returncode == 0, (tmp_path / "errors").read_text()
    assert lines(tmp_path, "begun") == []
    assert keys_of(storage, ROWS, "s") == {row.key for row in rows}
