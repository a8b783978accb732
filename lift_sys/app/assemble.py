"""From a finished search to an artifact: the winner with its evidence."""

from __future__ import annotations

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.export import Artifact, Measured, ModelRef, describe_program
from lift_sys.app.report import Report
from lift_sys.config import RunConfig
from lift_sys.inference import catalogue
from lift_sys.ir.schema import WIRE_VERSION
from metrics.stats import Rate
from optimizers.joint import JointSearch, Trial
from programs.spec_to_code import SpecToCode


def make_artifact(
    config: RunConfig,
    data: Data,
    winner: SpecToCode,
    search: JointSearch,
    report: Report,
) -> Artifact:
    """Return the artifact of a search's winner, with its scores and where they come from."""
    hypers, predictors = describe_program(winner)
    test = report.results[-1]
    return Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id=config.model, sha256=catalogue.get(config.model).sha256),
        hypers=hypers,
        predictors=predictors,
        scores={
            "dev": _measured_trial(config.dev_data, data, search.best),
            "test": Measured(
                data=config.test_data,
                data_sha256=data.hashes[config.test_data],
                passed=test.rate.passed,
                total=test.rate.total,
                low=test.rate.low,
                high=test.rate.high,
                tokens=test.usage.completion_tokens,
                seconds=test.seconds,
                outcomes=test.outcomes,
                categories=test.categories,
            ),
        },
        provenance={
            "seed": config.seed,
            "config": config.model_dump(mode="json"),
            "data_sha256": dict(data.hashes),
            "pool_sha256": search.pool.content_hash,
            "trials": len(search.trials),
            "point": search.best.point,
            "tokens_out": report.usage.completion_tokens,
            "environment": environment.describe(),
        },
    )


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
