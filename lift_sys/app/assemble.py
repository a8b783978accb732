"""From a finished search to an artifact: the winner with its evidence."""

from __future__ import annotations

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.export import Artifact, Measured, ModelRef, Opening, describe_program
from lift_sys.app.report import Report
from lift_sys.config import RunConfig
from lift_sys.ir.schema import WIRE_VERSION
from metrics.stats import Rate
from optimizers.joint import JointSearch, Trial
from programs.spec_to_code import SpecToCode
from programs.stages import named_models


def make_artifact(
    config: RunConfig, data: Data, winner: SpecToCode, search: JointSearch
) -> Artifact:
    """Return the artifact of a search's winner, with its dev score and where it comes from."""
    hypers, predictors = describe_program(winner)
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef.of(config.model),
        models=tuple(ModelRef.of(named) for named in named_models(winner)),
        hypers=hypers,
        predictors=predictors,
        scores={"dev": _measured_trial(config.dev_data, data, search.best)},
        provenance={
            "seed": config.seed,
            "config": config.model_dump(mode="json"),
            "data_sha256": dict(data.hashes),
            "pool_sha256": search.pool.content_hash,
            "trials": len(search.trials),
            "point": search.best.point,
            "search_tokens_out": search.tokens_spent,
            "environment": environment.describe(),
        },
    )


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


def _measured_trial(name: str, data: Data, trial: Trial) -> Measured:
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
