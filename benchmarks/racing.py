"""How often does racing give up a trial that would have drawn level, and what does it save?

Usage: ``python benchmarks/racing.py [RUN ...] [--alpha 0.05] [--repeats 2000]``, where each RUN is
a directory that ``lift eval`` left with several programs. No model is loaded.

Three tables, each against the exact bound (a trial ends when it cannot draw level even if all its
other tasks pass) and against a test that counts won and lost tasks as binomial draws:

- synthetic pairs: a task's difficulty is shared by both programs, so their outcomes correlate. A
  *false drop* is a trial that was given up although it would have passed at least as many tasks as
  the incumbent; its rate is of the trials that would have.
- recorded pairs: programs that were run on the same tasks, on resampled tasks and orders. The worst
  pair is the one whose interval begins highest; few of a pair's draws may be level.
- whole searches: 20 synthetic programs one after another in one order, each against the best
  complete one so far. Here the error is that another program wins, with fewer tasks passed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.stored import whole_lines  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from optimizers.racing import log_evidence  # noqa: E402

SHARED = 0.6
"""Correlation of two programs' latent results on one task."""
SIZES = (8, 24, 80, 200)
DIFFERENCES = (0.05, 0.0, -0.05, -0.1, -0.2, -0.3)
RATE = 0.55
"""The incumbent's true rate in the synthetic pairs."""
PROGRAMS = 20
PAIR, FEWEST_TASKS = 2, 4
"""What a run must have for the second table, whose first line is about a quarter of the tasks."""
THETAS = np.linspace(0.5, 1.0, 52)[1:-1, None]
"""Chances that a discordant task is lost, mixed uniformly by the binomial test."""


class Stops(NamedTuple):
    """After how many tasks each rule gives a trial up; all of them where it does not."""

    exact: int
    binomial: int
    racing: int


def stops(lost: np.ndarray, alpha: float) -> Stops:
    """Return where each rule ends a trial with these losses; the exact bound is part of all."""
    tasks = len(lost)
    left = tasks - 1 - np.arange(tasks)
    hopeless = np.cumsum(lost) > left
    worse, better = np.cumsum(lost > 0), np.cumsum(lost < 0)
    ratios = worse * np.log(2 * THETAS) + better * np.log(2 * (1 - THETAS))
    binomial = np.exp(ratios).mean(axis=0) >= 1 / alpha
    racing = log_evidence(lost.tolist(), tasks) >= -np.log(alpha)
    rules = (hopeless, hopeless | binomial, hopeless | racing)
    return Stops(*(_first(given_up, tasks) for given_up in rules))


def _first(given_up: np.ndarray, tasks: int) -> int:
    return int(given_up.argmax()) + 1 if given_up.any() else tasks


def outcomes(rates: Sequence[float], tasks: int, rng: np.random.Generator) -> np.ndarray:
    """Return pass or fail by program and task; the tasks' difficulty is shared."""
    quantiles = np.array([NormalDist().inv_cdf(rate) for rate in rates])
    shared = rng.standard_normal(tasks) * np.sqrt(SHARED)
    own = rng.standard_normal((len(rates), tasks)) * np.sqrt(1 - SHARED)
    passed: np.ndarray = shared + own < quantiles[:, None]
    return passed


class Races(NamedTuple):
    """What came of many races.

    Attributes:
        level: Trials that would have passed at least as many tasks as the incumbent.
        binomial: Those of them that the binomial test gave up.
        racing: Those of them that racing gave up.
        ran: Mean number of tasks: under the exact bound, the binomial test, racing, and of all.
    """

    level: int
    binomial: int
    racing: int
    ran: np.ndarray


def race(pairs: Iterator[np.ndarray], alpha: float) -> Races:
    """Return what comes of trials with these losses, each in the order of a race."""
    level, binomial, racing, ran = 0, 0, 0, []
    for lost in pairs:
        found = stops(lost, alpha)
        ran.append([*found, len(lost)])
        if lost.sum() <= 0:
            level += 1
            binomial += _gave_up(lost, found.binomial)
            racing += _gave_up(lost, found.racing)
    return Races(level, binomial, racing, np.mean(ran, axis=0))


def cells(races: Races) -> str:
    """Return the cells of a table."""
    wrong = (races.binomial, races.racing)
    rates = " | ".join(
        str(Rate.of(count, races.level)) if races.level else "none level" for count in wrong
    )
    exact, binomial, racing, tasks = races.ran
    saved = f"{1 - racing / tasks:.0%} | {1 - racing / exact:.0%}"
    return f"{rates} | {exact:.1f} | {binomial:.1f} | {racing:.1f} | {saved}"


def _gave_up(lost: np.ndarray, ran: int) -> bool:
    """Tell whether a trial that ends level was cut off: at the last task nothing is lost by it."""
    return ran < len(lost)


HEAD = (
    "false drops, binomial | false drops, racing | tasks, exact bound | tasks, binomial | "
    "tasks, racing | saved | saved against the exact bound |"
)
RULE = "---|---|---:|---:|---:|---:|---:|"


def synthetic(tasks: int, difference: float, alpha: float, repeats: int) -> str:
    """Return a line of the first table."""
    rng = np.random.default_rng([tasks, round((difference + 1) * 100)])

    def pairs() -> Iterator[np.ndarray]:
        for _ in range(repeats):
            trial, incumbent = outcomes((RATE + difference, RATE), tasks, rng).astype(int)
            yield incumbent - trial

    return f"| {tasks} | {100 * difference:+.0f} | {cells(race(pairs(), alpha))} |"


def recorded(run: Path) -> dict[str, dict[str, bool]]:
    """Return pass or fail by program and task id, of the programs that ran on most tasks.

    A last line that is still being written is left out.
    """
    found: dict[str, dict[str, bool]] = {}
    for line in whole_lines(run / "rows.jsonl"):
        row = json.loads(line)
        found.setdefault(row["label"], {})[row["task_id"]] = row["score"]["passed"]
    most = max(map(len, found.values()), default=0)
    return {name: passed for name, passed in found.items() if len(passed) == most}


def resampled(found: dict[str, dict[str, bool]], tasks: int, alpha: float, repeats: int) -> str:
    """Return a line of the second table: every program as trial and as incumbent of every other.

    Each race is over tasks drawn anew from those that were run, in the order of the draw.
    """
    rng = np.random.default_rng(tasks)
    each = []
    for trial, incumbent in permutations(found.values(), 2):
        lost = np.array([int(incumbent[i]) - int(trial[i]) for i in sorted(trial)])
        draws = (rng.permutation(lost)[:tasks] for _ in range(repeats))
        each.append(race(draws, alpha))
    level, binomial, racing = np.sum([races[:3] for races in each], axis=0).tolist()
    together = Races(level, binomial, racing, np.mean([races.ran for races in each], axis=0))
    rates = [Rate.of(races.racing, races.level) for races in each if races.level]
    worst = max(rates, key=lambda rate: rate.low, default="none level")
    return f"| {tasks} | {len(each)} | {worst} | {cells(together)} |"


def searches(tasks: int, alpha: float, repeats: int) -> str:
    """Return a line of the third table."""
    rng = np.random.default_rng(tasks)
    changed, lost, ran = [0, 0], [0, 0], np.zeros(3)
    for _ in range(repeats):
        passed = outcomes(rng.uniform(0.3, 0.6, PROGRAMS).tolist(), tasks, rng)
        totals = passed.sum(axis=1)
        for rule in range(3):
            best, count = _winner(passed, rule, alpha)
            ran[rule] += count
            if rule:
                short = int(totals.max() - totals[best])
                changed[rule - 1] += short > 0
                lost[rule - 1] += short
    exact, binomial, racing = ran / repeats
    whole = PROGRAMS * tasks
    errors = " | ".join(
        f"{Rate.of(count, repeats)} | {100 * short / repeats / tasks:.2f}"
        for count, short in zip(changed, lost, strict=True)
    )
    saved = f"{1 - racing / whole:.0%} | {1 - racing / exact:.0%}"
    return f"| {tasks} | {errors} | {exact:.0f} | {binomial:.0f} | {racing:.0f} | {saved} |"


def _winner(passed: np.ndarray, rule: int, alpha: float) -> tuple[int, int]:
    """Return which program a search ends with under one rule, and the tasks that it ran."""
    best, ran = 0, passed.shape[1]
    for index in range(1, len(passed)):
        lost = passed[best].astype(int) - passed[index].astype(int)
        count = stops(lost, alpha)[rule]
        ran += count
        if count == len(lost) and lost.sum() < 0:
            best = index
    return best, ran


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=2000)
    given = parser.parse_args()
    alpha, repeats = given.alpha, given.repeats
    if not (0 < alpha < 1 and repeats > 0):
        parser.error("--alpha lies between 0 and 1, --repeats is at least 1")
    print(f"Synthetic pairs: {repeats} a line, alpha {alpha}, the incumbent's rate {RATE:.0%}.\n")
    print(f"| tasks | true difference, points | {HEAD}\n|---:|---:|{RULE}")
    for tasks in SIZES:
        for difference in DIFFERENCES:
            print(synthetic(tasks, difference, alpha, repeats))
    few = max(1, repeats // 10)
    for run in given.runs:
        found = recorded(run)
        size = len(next(iter(found.values()), ()))
        if len(found) < PAIR or size < FEWEST_TASKS:
            sys.exit(f"{run}: no two programs that ran on the same {FEWEST_TASKS} tasks or more")
        print(f"\nRecorded pairs of {'; '.join(found)}: {few} draws a pair, alpha {alpha}.\n")
        print(f"| tasks | pairs | false drops, racing, worst pair | {HEAD}\n|---:|---:|---:|{RULE}")
        for tasks in (size // 4, size // 2, size):
            print(resampled(found, tasks, alpha, few))
    some = max(1, repeats // 4)
    print(f"\nWhole searches: {PROGRAMS} programs (true rates 30 % to 60 %), {some} a line.\n")
    print(
        "| tasks | another winner, binomial | points lost by it | another winner, racing | "
        "points lost by it | tasks, exact bound | tasks, binomial | tasks, racing | saved | "
        "saved against the exact bound |\n|---:|---|---:|---|---:|---:|---:|---:|---:|---:|"
    )
    for tasks in SIZES:
        print(searches(tasks, alpha, some))


if __name__ == "__main__":
    main()
