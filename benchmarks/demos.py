"""How well demos are chosen by the spec's text, without a model, and what choosing costs.

Usage: ``python benchmarks/demos.py [dev|FILE] [--similarity] [--vectors FILE] [--rounds 200]``.
For each task of the set the train tasks are ranked by how similar their specs
are, as a program sees them. Two proxies, since what counts is whether the model does better with
them: precision at k is the share of the k nearest that have the task's category, and ``code`` how
alike the reference code of the nearest is to the task's (cosine of the counts of syntax nodes,
operators and called names). Intervals are 95 %, Wilson's and of the mean; for k above 1 they take
the k of a task as independent, which makes them too narrow. ``random`` is what a choice without
looking gives. ``--similarity`` adds the measures that tell near-duplicates, which take minutes;
``--vectors`` those of an embedding, as they are and less their mean over train: a file of JSON from
each text to its numbers (``--texts`` prints the texts).

On dev (80 tasks, 120 train tasks), at 1, 2, 4: TF-IDF over words 42.5 % (32-53 %), 43.8 %, 38.1 %,
over three characters 45.0 % (35-56 %), 41.9 %, 36.9 %, over both 48.8 % (38-60 %), 43.1 %, 37.8 %;
word trigrams 33.8 % (24-45 %), characters in order 25.0 % (17-35 %), random 17.3 %. TF-IDF is far
above chance in each form and none is told from another, so the program counts words, which is
simplest. ``docs/evidence.md`` has the embedding that was tried. Choosing takes 0.2 ms of processor
time from a bank of 120 demos, which adds 144 KB (code) and 168 KB (IR) to an artifact.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def vector_rankings(
    specs: Sequence[str], vectors: dict[str, list[float]], name: str
) -> dict[str, Ranking]:
    """Return the cosine of a text's vector with each spec's, and that of centred vectors."""
    train = np.array([vectors[spec] for spec in specs])

    def cosines(origin: NDArray[np.float64], text: str) -> NDArray[np.float64]:
        rows, asked = train - origin, np.array(vectors[text]) - origin
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(asked)
        return np.asarray(rows @ asked / lengths, dtype=np.float64)

    return {
        name: functools.partial(cosines, np.zeros(train.shape[1])),
        f"{name}, centred": functools.partial(cosines, train.mean(axis=0)),
    }


def operations(code: str | None) -> Counter[str]:
    """Count the kinds of syntax nodes and the called names of Python source."""
    counted: Counter[str] = Counter()
    for node in ast.walk(ast.parse(code or "")):
        counted[type(node).__name__] += 1
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            counted[f"{name}()"] += 1
    return counted


def alike(first: Counter[str], second: Counter[str]) -> float:
    """Return the cosine of two counts."""
    shared = sum(count * second[key] for key, count in first.items())
    lengths = [math.hypot(*counted.values()) for counted in (first, second)]
    return shared / math.prod(lengths)


def neighbours(ranking: Ranking, tasks: Sequence[Task], train: Sequence[Task]) -> list[list[Task]]:
    """Return the nearest train tasks of each task, the most similar first."""
    nearest = []
    for task in tasks:
        similar = ranking(spec_with_examples(task.view))
        order = sorted(range(len(train)), key=lambda i: -similar[i])
        nearest.append([train[i] for i in order[: max(NEAREST)]])
    return nearest


def precisions(nearest: Sequence[Sequence[Task]], tasks: Sequence[Task]) -> list[Rate]:
    """Return for each k the share of the k nearest train tasks that have the task's category."""
    hits = [
        [other.category == task.category for other in found]
        for task, found in zip(tasks, nearest, strict=True)
    ]
    return [Rate.of(sum(sum(h[:k]) for h in hits), k * len(tasks)) for k in NEAREST]


def code_similarity(nearest: Sequence[Sequence[Task]], tasks: Sequence[Task]) -> str:
    """Return how alike the code of the nearest is, on average over tasks, with its interval."""
    values = [
        statistics.mean(
            alike(operations(task.reference_code), operations(other.reference_code))
            for other in found
        )
        for task, found in zip(tasks, nearest, strict=True)
    ]
    error = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.3f} ± {error:.3f}"


def report(name: str, nearest: Sequence[Sequence[Task]], tasks: Sequence[Task]) -> None:
    """Print a line for one way to choose."""
    rates = zip(NEAREST, precisions(nearest, tasks), strict=True)
    shown = "   ".join(f"@{k} {rate}" for k, rate in rates)
    print(f"{name:31} {shown}   code {code_similarity(nearest, tasks)}")


def by_chance(tasks: Sequence[Task], train: Sequence[Task]) -> str:
    """Return the precision of a random choice, and how alike its code is."""
    pairs = [(task, other) for task in tasks for other in train]
    same = statistics.mean(task.category == other.category for task, other in pairs)
    code = statistics.mean(
        alike(operations(task.reference_code), operations(other.reference_code))
        for task, other in pairs
    )
    return f"{same:.1%}   code {code:.3f}"


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
    parser.add_argument("--vectors", type=Path, help="JSON of each text's vector")
    parser.add_argument("--texts", action="store_true", help="print all texts as JSON, and end")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    shipped = ROOT / "datasets" / f"{options.tasks}.jsonl"
    tasks = load_tasks(shipped if shipped.exists() else Path(options.tasks))
    train = load_tasks(ROOT / "datasets" / "train.jsonl")
    specs = [spec_with_examples(task.view) for task in train]
    texts = [*specs, *(spec_with_examples(task.view) for task in tasks)]
    if options.texts:
        print(json.dumps(texts))
        return
    print(f"{len(tasks)} tasks of {options.tasks}, {len(train)} train tasks; precision at k")
    compared = rankings(specs) | (near_duplicate_rankings(specs) if options.similarity else {})
    if options.vectors:
        vectors = json.loads(options.vectors.read_text(encoding="utf-8"))
        compared |= vector_rankings(specs, vectors, options.vectors.stem)
    for name, ranking in compared.items():
        report(name, neighbours(ranking, tasks, train), tasks)
    print(f"{'random':31} {by_chance(tasks, train)}")
    measure_cost(tasks, train, options.rounds)


if __name__ == "__main__":
    main()
