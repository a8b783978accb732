"""Dividing tasks among train, dev and test.

Owns the rules: sizes are exact; each split has its share of every stratum (category and
difficulty), rounded by largest remainder; near-duplicates stay together, so that no split tells
about another; the same seed and tasks give the same division.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from lift_sys.errors import DatasetError
from lift_sys.tasks.model import Split, Task
from lift_sys.tasks.similarity import duplicate_pairs

Stratum = tuple[str, int]


def split_tasks(
    tasks: Sequence[Task], sizes: Mapping[Split, int], seed: int
) -> dict[Split, list[Task]]:
    """Divide tasks.

    Near-duplicates are placed first, a whole group in the split with most room. The rest is drawn
    for one split after the other. Where the sizes add up to less than there are tasks, tasks are
    left over; a group that fits nowhere is left over too.

    Args:
        tasks: With different ids.
        sizes: How many tasks each split gets.
        seed: Of the drawing.

    Returns:
        For each split its tasks, marked as of it, in the order in which they were given.

    Raises:
        DatasetError: There are too few tasks, or too few left beside groups that fit nowhere.
    """
    groups = _groups(tasks)
    random.Random(f"{seed}/split").shuffle(groups)  # noqa: S311 (not a secret)
    chosen = _place_groups([group for group in groups if len(group) > 1], sizes)
    left = [group[0] for group in groups if len(group) == 1]
    placed = sum(map(len, chosen.values()))
    if sum(sizes.values()) > placed + len(left):
        msg = (
            f"the splits need {sum(sizes.values())} tasks, but only {placed + len(left)} of "
            f"{len(tasks)} can be placed (near-duplicates stay together); ask for fewer"
        )
        raise DatasetError(msg)
    for name, size in sizes.items():
        drawn = _draw(left, size - len(chosen[name]))
        chosen[name] += drawn
        ids = {task.id for task in drawn}
        left = [task for task in left if task.id not in ids]
    order = {task.id: place for place, task in enumerate(tasks)}
    for name, members in chosen.items():
        members.sort(key=lambda task: order[task.id])
        chosen[name] = [task.model_copy(update={"split": name}) for task in members]
    return chosen


def apportion(counts: Mapping[Stratum, int], size: int) -> dict[Stratum, int]:
    """Return how many of each stratum a sample of a size has: its share, by largest remainder.

    Equal remainders go to the larger stratum, then to the first by name.

    Args:
        counts: Tasks in each stratum.
        size: In [0, sum of the counts].
    """
    total = sum(counts.values())
    shares = {stratum: divmod(count * size, total) for stratum, count in counts.items()}
    given = {stratum: whole for stratum, (whole, _) in shares.items()}
    ranked = sorted(counts, key=lambda s: (-shares[s][1], -counts[s], s))
    for stratum in ranked[: size - sum(given.values())]:
        given[stratum] += 1
    return given


def _place_groups(
    groups: Sequence[Sequence[Task]], sizes: Mapping[Split, int]
) -> dict[Split, list[Task]]:
    """Return the splits with the groups in them, the largest first where most room is."""
    chosen: dict[Split, list[Task]] = {name: [] for name in sizes}
    for group in sorted(groups, key=len, reverse=True):
        room = {name: size - len(chosen[name]) for name, size in sizes.items()}
        name = max(sizes, key=lambda split: room[split])
        if room[name] >= len(group):
            chosen[name] += group
    return chosen


def _draw(tasks: Sequence[Task], size: int) -> list[Task]:
    """Return the first tasks of each stratum, as many as its share."""
    if not size:
        return []
    open_ = Counter(apportion(Counter(map(_stratum, tasks)), size))
    drawn = []
    for task in tasks:
        if open_[_stratum(task)]:
            open_[_stratum(task)] -= 1
            drawn.append(task)
    return drawn


def _stratum(task: Task) -> Stratum:
    return task.category, task.difficulty


def _groups(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return the tasks in groups: those that near-duplicates connect are in one."""
    group_of = {task.id: [task] for task in tasks}
    for a, b in duplicate_pairs(tasks):
        mine, other = group_of[a.id], group_of[b.id]
        if mine is not other:
            mine += other
            for task in other:
                group_of[task.id] = mine
    distinct: dict[int, list[Task]] = {id(group): group for group in group_of.values()}
    return list(distinct.values())
