"""From a finished search to artifacts: the winner, and the front, with their evidence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.export import (
    Artifact,
    Measured,
    ModelRef,
    Opening,
    describe_program,
    save_artifact,
)
from lift_sys.app.front import FRONT, artifact_of
from lift_sys.app.report import Report, Search
from lift_sys.config import RunConfig
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.record import canonical_json
from metrics.stats import Rate
from optimizers.joint import JointSearch
from optimizers.trials import Reevaluation, Trial
from programs.spec_to_code import SpecToCode
from programs.stages import named_models


def make_artifact(
    config: RunConfig,
    data: Data,
    program: SpecToCode,
    search: JointSearch,
    trial: Trial | None = None,
) -> Artifact:
    """Return the artifact of a search's program, with its dev score and where it comes from.

    Args:
        config: The job.
        data: Its task sets.
        program: At the trial's point.
        search: Finished.
        trial: By default the winner.
    """
    trial = trial or search.best
    hypers, predictors = describe_program(program)
    fresh = _fresh(search, trial)
    again = {"dev_again": _measured(config.dev_data, data, fresh)} if fresh else {}
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef.of(config.model),
        models=tuple(ModelRef.of(named) for named in named_models(program)),
        hypers=hypers,
        predictors=predictors,
        scores={"dev": _measured(config.dev_data, data, trial), **again},
        provenance={
            "seed": config.seed,
            "config": config.asked(),
            "data_sha256": dict(data.hashes),
            "pool_sha256": search.pool.content_hash,
            "trials": len(search.trials),
            "configurations": summarise_search(search).configurations,
            "point": trial.point,
            "search_tokens_out": search.tokens_spent,
            "environment": environment.describe(),
        },
    )


def summarise_search(search: JointSearch) -> Search:
    """Return the figures of a finished search."""
    fresh = _fresh(search, search.best)
    return Search(
        trials=len(search.trials),
        configurations=len({canonical_json(t.point) for t in search.trials}),
        dropped=Counter(t.dropped for t in search.trials if t.dropped),
        before=Rate.of(search.best.passed, search.best.tried),
        after=Rate.of(fresh.passed, fresh.tried) if fresh else None,
        repeated=fresh is not None and fresh.repeated,
    )


def save_front(
    config: RunConfig, data: Data, student: SpecToCode, search: JointSearch, run: Path
) -> None:
    """Keep an artifact for each program of a search's front, and none of an earlier front.

    Raises:
        StoreError: The disk refused.
    """
    kept = {run / artifact_of(trial): trial for trial in search.front}
    for stale in (run / FRONT).glob("*.json"):
        if stale not in kept:
            stale.unlink()
    for path, trial in kept.items():
        path.parent.mkdir(exist_ok=True)
        program = search.at(student, trial.point)
        save_artifact(make_artifact(config, data, program, search, trial), path)


def _fresh(search: JointSearch, trial: Trial) -> Reevaluation | None:
    """Return a trial's re-evaluation, if there was one."""
    return next((r for r in search.reevaluations if r.number == trial.number), None)


def with_test(artifact: Artifact, report: Report, opening: Opening | None) -> Artifact:
    """Return the artifact with the last result of a report as its test score.

    Args:
        artifact: Of the program that the result belongs to.
        report: On a test set.
        opening: The finished opening of that set, to be written into the artifact.
    """
    result = report.results[-1]
    test = Measured(
        data=report.data,
        data_sha256=report.data_sha256,
        passed=result.rate.passed,
        total=result.rate.total,
        low=result.rate.low,
        high=result.rate.high,
        tokens=result.usage.completion_tokens,
        seconds=result.seconds,
        outcomes=result.outcomes,
        categories=result.categories,
    )
    openings = artifact.openings if opening is None else (*artifact.openings, opening)
    changed = {"scores": {**artifact.scores, "test": test}, "openings": openings}
    return artifact.model_copy(update=changed)


def _measured(name: str, data: Data, trial: Trial | Reevaluation) -> Measured:
    rate = Rate.of(trial.passed, trial.tried)
    return Measured(
        data=name,
        data_sha256=data.hashes[name],
        passed=rate.passed,
        total=rate.total,
        low=rate.low,
        high=rate.high,
        tokens=trial.tokens,
    )
