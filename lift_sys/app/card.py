"""The data card of task sets: what they hold, counted from the files.

Owns the counts and their tables. Nothing is said of a task here but numbers, tags and names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from lift_sys.errors import DatasetError
from lift_sys.files import file_sha256, write_atomically
from lift_sys.record import Record
from lift_sys.tasks import Task, load_tasks

MANIFEST = "manifest.json"
Manifest = Literal["matches", "differs", "unlisted"]


class Stratum(Record):
    """How many tasks of a set have the same split, category and difficulty."""

    split: str
    category: str
    difficulty: int
    tasks: int


class Card(Record):
    """What a task set holds.

    Attributes:
        name: As it was asked for.
        sha256: Of the file.
        manifest: Whether the manifest beside the file gives that SHA-256.
        tasks: How many.
        strata: Tasks by split, category and difficulty.
        visible: Cases that programs see.
        hidden: Cases that only the metric sees.
        weak_tests: Assertions that are not cases.
        strong: Tasks decided by cases alone.
        mixed: Tasks with hidden cases and weak tests.
        weak: Tasks with weak tests alone.
        tags: Tasks with each tag, the most frequent first.
        entry_points: Names of the functions asked for, in order.
    """

    name: str
    sha256: str
    manifest: Manifest
    tasks: int
    strata: tuple[Stratum, ...]
    visible: int
    hidden: int
    weak_tests: int
    strong: int
    mixed: int
    weak: int
    tags: dict[str, int]
    entry_points: tuple[str, ...]


def make_card(name: str, path: Path) -> Card:
    """Count a task set.

    Raises:
        DatasetError: The file is missing or broken.
    """
    tasks = load_tasks(path)
    sha256 = file_sha256(path)
    strata = Counter((t.split, t.category, t.difficulty) for t in tasks)
    return Card(
        name=name,
        sha256=sha256,
        manifest=manifest_state(path),
        tasks=len(tasks),
        strata=tuple(
            Stratum(split=split, category=category, difficulty=difficulty, tasks=count)
            for (split, category, difficulty), count in sorted(strata.items())
        ),
        visible=sum(len(t.visible) for t in tasks),
        hidden=sum(len(t.hidden) for t in tasks),
        weak_tests=sum(t.weak_count for t in tasks),
        strong=sum(t.strong for t in tasks),
        mixed=sum(not t.strong and bool(t.hidden) for t in tasks),
        weak=sum(not t.hidden for t in tasks),
        tags=dict(Counter(tag for t in tasks for tag in t.tags).most_common()),
        entry_points=tuple(t.entry_point for t in tasks),
    )


def overview(cards: Sequence[Card]) -> Table:
    """Return one row for each set; ``names`` counts different entry points."""
    table = _table("set", *"tasks visible hidden strong mixed weak names SHA-256 manifest".split())
    for card in cards:
        names = len(set(card.entry_points))
        counts = (card.tasks, card.visible, card.hidden, card.strong, card.mixed, card.weak, names)
        manifest = card.manifest.upper() if card.manifest == "differs" else card.manifest
        table.add_row(card.name, *map(str, counts), card.sha256[:8], manifest)
    return table


def strata_table(cards: Iterable[Card]) -> Table:
    """Return tasks by category in rows, by set, split and difficulty in columns."""
    cells = {
        (card.name, s.split, s.category, s.difficulty): s.tasks
        for card in cards
        for s in card.strata
    }
    rows = dict.fromkeys((name, split, category) for name, split, category, _ in cells)
    levels = sorted({level for *_, level in cells})
    table = _table("set", "split", "category", *(f"level {n}" for n in levels), "all")
    for row in rows:
        counts = [cells.get((*row, level), 0) for level in levels]
        table.add_row(*row, *(str(n) if n else "" for n in counts), str(sum(counts)))
    return table


def tag_table(cards: Iterable[Card]) -> Table:
    """Return how many tasks have each tag."""
    cards = list(cards)
    total: Counter[str] = Counter()
    for card in cards:
        total.update(card.tags)
    table = _table("tag", *(card.name for card in cards))
    for tag, _ in total.most_common():
        table.add_row(tag, *(str(card.tags.get(tag, "")) for card in cards))
    return table


_SPEC_SHOWN = 60


def manifest_state(path: Path) -> Manifest:
    """Return whether a file is the one that the manifest beside it describes."""
    sha256 = file_sha256(path)
    try:
        files = json.loads((path.parent / MANIFEST).read_text(encoding="utf-8"))["files"]
        listed = files[path.name]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return "unlisted"
    return "matches" if listed == sha256 else "differs"


def write_manifest(folder: Path) -> Path:
    """Write ``manifest.json``: for each task file of a folder its SHA-256 and counts.

    Other JSON files in the folder are listed with their SHA-256 alone.

    Raises:
        DatasetError: A task file is broken, or there is none; the manifest stays as it was.
        StoreError: The disk refused.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        msg = f"{folder} holds no task files (*.jsonl)"
        raise DatasetError(msg)
    files = {path.name: _manifest_entry(path, load_tasks(path)) for path in paths}
    for path in sorted(folder.glob("*.json")):
        if path.name != MANIFEST:
            files[path.name] = {"sha256": file_sha256(path)}
    text = json.dumps({"schema_version": 1, "files": files}, indent=2) + "\n"
    return write_atomically(folder / MANIFEST, text)


def _manifest_entry(path: Path, tasks: Sequence[Task]) -> dict[str, Any]:
    return {
        "sha256": file_sha256(path),
        "tasks": len(tasks),
        "splits": _counted(task.split for task in tasks),
        "categories": _counted(task.category for task in tasks),
        "difficulties": _counted(str(task.difficulty) for task in tasks),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def task_table(tasks: Iterable[Task]) -> Table:
    """Return one row for each task; cases are visible ones and hidden ones."""
    table = _table("id", "split", "category", "level", "cases", "weak tests", "spec")
    table.columns[0].no_wrap = table.columns[-1].no_wrap = True
    for task in tasks:
        spec = " ".join(task.spec.split())[:_SPEC_SHOWN]
        cases = f"{len(task.visible)} + {len(task.hidden)}"
        weak, level = str(task.weak_count or ""), str(task.difficulty)
        table.add_row(task.id, task.split, task.category, level, cases, weak, spec)
    return table


def _table(*headings: str) -> Table:
    return Table(*headings, box=None, pad_edge=False)
