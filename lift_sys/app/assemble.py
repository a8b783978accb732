"""From a finished search to artifacts: the winner, and the front, with their evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.export import (
    Artifact,
    Measured,
    ModelRef,
    Opening,
    describe_program,
    kind_of,
    save_artifact,
)
from lift_sys.app.front import FRONT, artifact_of
from lift_sys.app.report import Compilation, Report, Search
from lift_sys.config import RunConfig
from lift_sys.inference.usage import CallRecord
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.record import canonical_json
from metrics.stats import Rate
from optimizers.evaluate import Row
from optimizers.joint import JointSearch
from optimizers.trials import Reevaluation, Trial
from programs.ensemble import Program
from programs.stages import named_models


@dataclass(frozen=True)
class Found:
    """What an optimizer found.

    Attributes:
        winner: The program.
        artifact: It with its evidence.
        told: What the report says of the search, by field.
        calls: Of the model, for what no row has.
        cut: Whether the budget ended the search.
    """

    winner: Program
    artifact: Artifact
    told: Mapping[str, Any]
    calls: Sequence[CallRecord] = ()
    cut: bool = False


def make_artifact(
    config: RunConfig,
    data: Data,
    program: Program,
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
    fresh = _fresh(search, trial)
    again = {"dev_again": _measured(config.dev_data, data, fresh)} if fresh else {}
    scores = {"dev": _measured(config.dev_data, data, trial), **again}
    found = {
        "pool_sha256": search.pool.content_hash,
        "trials": len(search.trials),
        "configurations": summarise_search(search).configurations,
        "point": trial.point,
        "search_tokens_out": search.tokens_spent,
    }
    return _artifact(config, data, program, scores, found)


def compiled_artifact(
    config: RunConfig,
    data: Data,
    winner: Program,
    rows: Sequence[Row],
    summary: Compilation,
) -> Artifact:
    """Return the artifact of a program that one of DSPy's optimizers made.

    Args:
        config: The job.
        data: Its task sets.
        winner: The program.
        rows: Of it on the dev tasks.
        summary: What the optimizer did.
    """
    tokens = sum(row.usage.completion_tokens for row in rows)
    dev = _rated(config.dev_data, data, summary.after, tokens)
    found = {
        "optimizer": summary.optimizer,
        "programs": summary.programs,
        "scored": summary.scored,
        "search_tokens_out": summary.tokens,
    }
    return _artifact(config, data, winner, {"dev": dev}, found)


def _artifact(
    config: RunConfig,
    data: Data,
    winner: Program,
    scores: dict[str, Measured],
    found: Mapping[str, Any],
) -> Artifact:
    """Return an artifact; ``found`` says how its program was found."""
    hypers, predictors = describe_program(winner)
    return Artifact(
        program=kind_of(winner),
        wire_version=WIRE_VERSION,
        model=ModelRef.of(config.model),
        models=tuple(ModelRef.of(named) for named in named_models(winner)),
        hypers=hypers,
        predictors=predictors,
        scores=scores,
        provenance={
            "seed": config.seed,
            "config": config.asked(),
            "data_sha256": dict(data.hashes),
            **found,
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
    config: RunConfig, data: Data, student: Program, search: JointSearch, run: Path
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
    return _rated(name, data, Rate.of(trial.passed, trial.tried), trial.tokens)


def _rated(name: str, data: Data, rate: Rate, tokens: int) -> Measured:
    return Measured(
        data=name,
        data_sha256=data.hashes[name],
        passed=rate.passed,
        total=rate.total,
        low=rate.low,
        high=rate.high,
        tokens=tokens,
    )
