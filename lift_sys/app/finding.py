"""Finding the program of a job: by the joint search, or by one of DSPy's optimizers.

Owns the phases before the final table, what each may spend, and what a finished search leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy

from lift_sys.app.assemble import Found, make_artifact, save_front, summarise_search
from lift_sys.app.bench import Bench
from lift_sys.app.compiling import compile_job
from lift_sys.app.export import save_artifact
from lift_sys.app.front import front_of
from lift_sys.app.models import priced
from lift_sys.app.pool import POOL
from lift_sys.app.searching import SEARCH, compile_winner, prepare_search
from lift_sys.config import JOINT
from lift_sys.errors import BudgetSpent
from optimizers.joint import JointSearch
from optimizers.trials import Trial
from programs.ensemble import Ensemble
from programs.spec_to_code import SpecToCode


def find(bench: Bench) -> Found:
    """Let the optimizer of a job find its program.

    Raises:
        BudgetSpent: Before there was a program.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    if bench.job.optimizer == JOINT:
        search, winner = search_jointly(bench)
        return _found(bench, search, winner)
    bench.spending.account.enter(SEARCH)
    bench.progress.begin(SEARCH)
    try:
        found = compile_job(bench)
    except BudgetSpent as refused:
        msg = f"{refused}; {bench.job.optimizer_name} was not done, and there is no winner yet"
        raise BudgetSpent(msg) from refused
    bench.progress.end()
    return found


def search_jointly(bench: Bench) -> tuple[JointSearch, dspy.Module]:
    """Make the pool, or take the one that is there, search, and return the program that won.

    Raises:
        BudgetSpent: Before a trial was complete.
        LiftError: A model, disk, backend or sandbox failure. What was done is kept.
    """
    bench.spending.account.enter(POOL)
    student, data = bench.student, bench.job.data
    search = prepare_search(bench.source, student, bench.run, bench.progress)
    with bench.spending.search(SEARCH, len(data.dev)):
        return search, compile_winner(search, student, data, bench.progress)


def _found(bench: Bench, search: JointSearch, winner: dspy.Module) -> Found:
    job, student = bench.job, bench.student

    def save(trial: Trial, path: Path) -> None:
        program: Any = search.at(student, trial.point)
        if job.exportable:
            save_artifact(make_artifact(job.config, job.data, program, search, trial), path)
        else:
            program.save(str(path))

    known = job.lm is None and priced(job.config)
    front = front_of(search, job.config, job.data.dev, priced=known) if job.config.costs else None
    if front:
        save_front(search, bench.run.path, save)
    told = {"search": summarise_search(search), "front": front}
    ours = job.exportable and isinstance(winner, SpecToCode | Ensemble)
    artifact = make_artifact(job.config, job.data, winner, search) if ours else None
    return Found(winner, artifact, told, search=search)
