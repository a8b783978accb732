"""What an artifact and a report say of the search behind a winner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lift_sys.app.assemble import make_artifact, summarise_search
from lift_sys.app.data import Data
from lift_sys.config import RunConfig
from metrics.stats import Rate
from optimizers.trials import Dropped, Reevaluation, Trial
from programs.presets import make_program


def trial(number: int, passed: int, tried: int = 8, why: Dropped | None = None) -> Trial:
    return Trial(
        number=number,
        point={"n": number % 3},
        passed=passed,
        tried=tried,
        tokens=100,
        complete=tried == 8,
        dropped=why,
    )


TRIALS = [trial(0, 6), trial(1, 0, 3, "racing"), trial(2, 5), trial(3, 1, 5, "hopeless")]


def search(*again: Reevaluation, best: int = 0) -> Any:
    pool = SimpleNamespace(content_hash="0" * 64)
    return SimpleNamespace(
        trials=TRIALS, reevaluations=again, best=TRIALS[best], pool=pool, tokens_spent=400,
        unpaid=False,
    )  # fmt: skip


AGAIN = (
    Reevaluation(number=0, passed=4, tried=8, tokens=110, repeated=False),
    Reevaluation(number=2, passed=5, tried=8, tokens=100, repeated=True),
)


def test_the_figures_of_a_search_count_points_and_reasons() -> None:
    found = summarise_search(search())
    assert (found.trials, found.configurations) == (4, 3)
    assert found.dropped == {"racing": 1, "hopeless": 1}
    assert (found.before, found.after, found.repeated) == (Rate.of(6, 8), None, False)


@pytest.mark.parametrize(
    ("best", "before", "after", "repeated"), [(0, 6, 4, False), (2, 5, 5, True)]
)
def test_they_are_of_the_winner(best: int, before: int, after: int, repeated: bool) -> None:
    found = summarise_search(search(*AGAIN, best=best))
    assert (found.before, found.after) == (Rate.of(before, 8), Rate.of(after, 8))
    assert found.repeated == repeated


def test_an_artifact_has_both_scores_of_a_winner_that_ran_again() -> None:
    hashes = {"train": "a" * 64, "dev": "b" * 64, "phase3": "c" * 64}
    data = Data(train=(), dev=(), test=(), hashes=hashes)
    no_sandbox: Any = None
    winner = make_program("single", no_sandbox)
    once = make_artifact(RunConfig(), data, winner, search())
    assert list(once.scores) == ["dev"]
    twice = make_artifact(RunConfig(), data, winner, search(*AGAIN))
    assert {name: (m.passed, m.tokens) for name, m in twice.scores.items()} == {
        "dev": (6, 100),
        "dev_again": (4, 110),
    }
    assert twice.provenance["configurations"] == 3
    same = make_artifact(RunConfig(), data, winner, search(*AGAIN, best=2))
    assert list(same.scores) == ["dev"]  # nothing is sampled: no second score
