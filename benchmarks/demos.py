"""How well demos are chosen by the spec's text, without a model, and what choosing costs.

Usage: ``python benchmarks/demos.py [dev|FILE] [--similarity] [--rounds 200]``. For each task of the
set the train tasks are ranked by how similar their specs are, as a program sees them. Precision at
k is the share of the k nearest that have the task's category: a proxy, since what counts is whether
the model does better with them. Intervals are Wilson's, 95 %; for k above 1 they take the k of a
task as independent, which makes them too narrow. ``random`` is what a choice without looking gives.
``--similarity`` adds the measures that tell near-duplicates, which take minutes.

On dev (80 tasks, 120 train tasks), at 1, 2, 4: TF-IDF over words 42.5 % (32-53 %), 43.8 %, 38.1 %,
over three characters 45.0 % (35-56 %), 41.9 %, 36.9 %, over both 48.8 % (38-60 %), 43.1 %, 37.8 %;
word trigrams 33.8 % (24-45 %), characters in order 25.0 % (17-35 %), random 17.3 %. TF-IDF is far
above chance in each form and none is told from another, so the program counts words, which is
simplest. Choosing takes 0.2 ms of processor time from a bank of 120 demos, which adds 144 KB (code)
and 168 KB (IR) to an artifact.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app.export import PredictorState  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from lift_sys.tasks.similarity import normalised, similarity  # noqa: E402
from lift_sys.tasks.tfidf import TfIdf  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from optimizers.pools import build_pool  # noqa: E402
from programs.demo_choice import NO_LIMIT, DemoChoice  # noqa: E402
from programs.demos import make_demos  # noqa: E402
from programs.requests import spec_with_examples  # noqa: E402

NEAREST = (1, 2, 4)
Ranking = Callable[[str], Any]
"""Gives how similar each train spec is to a text, as a sequence of numbers."""


def grams(text: str) -> list[str]:
    """Return the runs of three characters, blanks between words included."""
    plain = f" {' '.join(normalised(text))} "
    return [plain[i : i + 3] for i in range(len(plain) - 2)]


def rankings(specs: Sequence[str]) -> dict[str, Ranking]:
    """Return the ways to compare a text with the train specs, by name."""
    ways = {
        "words (the program's)": normalised,
        "3 characters": grams,
        "words and 3 characters": lambda text: normalised(text) + grams(text),
    }
    return {f"TF-IDF, {name}": TfIdf(specs, terms).similarities for name, terms in ways.items()}


def near_duplicate_rankings(specs: Sequence[str]) -> dict[str, Ranking]:
    """Return the two measures that tell near-duplicates, by name."""

    @functools.cache
    def both(text: str) -> list[tuple[float, float]]:
        return [similarity(text, spec) for spec in specs]

    return {
        "characters in order": lambda text: [ratio for ratio, _ in both(text)],
        "word trigrams, Jaccard": lambda text: [shared for _, shared in both(text)],
    }


def precisions(ranking: Ranking, tasks: Sequence[Task], train: Sequence[Task]) -> list[Rate]:
    """Return for each k the share of the k nearest train tasks that have the task's category."""
    hits = []
    for task in tasks:
        similar = ranking(spec_with_examples(task.view))
        nearest = sorted(range(len(train)), key=lambda i: -similar[i])[: max(NEAREST)]
        hits.append([train[i].category == task.category for i in nearest])
    return [Rate.of(sum(sum(h[:k]) for h in hits), k * len(tasks)) for k in NEAREST]


def by_chance(tasks: Sequence[Task], train: Sequence[Task]) -> float:
    """Return the precision of a random choice."""
    pairs = [task.category == other.category for task in tasks for other in train]
    return sum(pairs) / len(pairs)


def measure_cost(tasks: Sequence[Task], train: Sequence[Task], rounds: int) -> None:
    """Print processor time of choosing from a bank of every train task, and the bank's size."""
    pool = build_pool(train, {}, make_demos, size=1, seed=0, kinds=("bank",))
    specs = [spec_with_examples(task.view) for task in tasks]
    for path, bank in pool["gold-bank"].demos.items():
        choice = DemoChoice("nearest", 4, NO_LIMIT)
        started = time.process_time()
        choice.of(bank, specs[0], dict)
        first = time.process_time() - started
        seconds = []
        for number in range(rounds):
            started = time.process_time()
            choice.of(bank, specs[number % len(specs)], dict)
            seconds.append(time.process_time() - started)
        state = PredictorState(instructions="", fields=(), demos=bank)
        print(
            f"{path}: {len(bank)} demos, {len(state.model_dump_json(indent=2)) / 1024:.0f} KB; "
            f"first choice {first * 1e3:.1f} ms, then {statistics.median(seconds) * 1e3:.2f} ms "
            f"(at most {max(seconds) * 1e3:.2f} ms)"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="?", default="dev", help="a shipped set or a file")
    parser.add_argument("--similarity", action="store_true", help="compare them as well; slow")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    shipped = ROOT / "datasets" / f"{options.tasks}.jsonl"
    tasks = load_tasks(shipped if shipped.exists() else Path(options.tasks))
    train = load_tasks(ROOT / "datasets" / "train.jsonl")
    print(f"{len(tasks)} tasks of {options.tasks}, {len(train)} train tasks; precision at k")
    specs = [spec_with_examples(task.view) for task in train]
    compared = rankings(specs) | (near_duplicate_rankings(specs) if options.similarity else {})
    for name, ranking in compared.items():
        rates = zip(NEAREST, precisions(ranking, tasks, train), strict=True)
        print(f"{name:31} " + "   ".join(f"@{k} {rate}" for k, rate in rates))
    print(f"{'random':31} {by_chance(tasks, train):.1%}")
    measure_cost(tasks, train, options.rounds)


if __name__ == "__main__":
    main()
