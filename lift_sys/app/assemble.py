"""From a finished search to an artifact: the winner with its evidence."""

from __future__ import annotations

from collections import Counter

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.export import Artifact, Measured, ModelRef, Opening, describe_program
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
    config: RunConfig, data: Data, winner: SpecToCode, search: JointSearch
) -> Artifact:
    """Return the artifact of a search's winner, with its dev score and where it comes from."""
    hypers, predictors = describe_program(winner)
    fresh = _fresh(search)
    again = {"dev_again": _measured(config.dev_data, data, fresh)} if fresh else {}
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef.of(config.model),
        models=tuple(ModelRef.of(named) for named in named_models(winner)),
        hypers=hypers,
        predictors=predictors,
        scores={"dev": _measured(config.dev_data, data, search.best), **again},
        provenance={
            "seed": config.seed,
            "config": config.asked(),
            "data_sha256": dict(data.hashes),
            "pool_sha256": search.pool.content_hash,
            "trials": len(search.trials),
            "configurations": summarise_search(search).configurations,
            "point": search.best.point,
            "search_tokens_out": search.tokens_spent,
            "environment": environment.describe(),
        },
    )


def summarise_search(search: JointSearch) -> Search:
    """Return the figures of a finished search."""
    fresh = _fresh(search)
    return Search(
        trials=len(search.trials),
        configurations=len({canonical_json(t.point) for t in search.trials}),
        dropped=Counter(t.dropped for t in search.trials if t.dropped),
        before=Rate.of(search.best.passed, search.best.tried),
        after=Rate.of(fresh.passed, fresh.tried) if fresh else None,
        repeated=fresh is not None and fresh.repeated,
    )


def _fresh(search: JointSearch) -> Reevaluation | None:
    """Return the winner's re-evaluation, if there was one."""
    return next((r for r in search.reevaluations if r.number == search.best.number), None)


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
