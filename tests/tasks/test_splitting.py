"""A division has the wanted sizes and shares, is repeatable, and does not leak."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_sys.errors import DatasetError
from lift_sys.tasks import Case, Split, Task
from lift_sys.tasks.splitting import apportion, split_tasks

SYLLABLES = "ba ce di fo gu ha je ki lo mu".split()


def word(number: int) -> str:
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:03}")


def task(number: int, category: str = "c", difficulty: int = 1, spec: str = "") -> Task:
    return Task(
        id=f"t{number}",
        spec=spec or f"{word(number)} {word(number * 7 % 1000)} {word(number * 13 % 1000)}",
        entry_point=word(number),
        category=category,
        difficulty=difficulty,
        split="dev",
        source="test",
        hidden=(Case(args="()", expected="1"),),
    )


TASKS = [task(n, "abc"[n % 3], 1 + n % 2) for n in range(60)]


def ids(parts: dict[Split, list[Task]]) -> dict[str, list[str]]:
    return {name: [t.id for t in members] for name, members in parts.items()}


def test_each_split_has_its_share_of_every_stratum() -> None:
    parts = split_tasks(TASKS, {"train": 30, "dev": 12, "test": 18}, seed=1)
    for name, each in (("train", 5), ("dev", 2), ("test", 3)):
        members = parts[name]  # type: ignore[index]  # a loop variable is a plain str
        assert Counter((t.category, t.difficulty) for t in members) == {
            (category, level): each for category in "abc" for level in (1, 2)
        }
        assert {t.split for t in members} == {name}
    everywhere = [t.id for members in parts.values() for t in members]
    assert sorted(everywhere) == sorted(t.id for t in TASKS)


def test_the_seed_decides() -> None:
    sizes: dict[Split, int] = {"train": 20, "dev": 10, "test": 10}
    first = ids(split_tasks(TASKS, sizes, seed=1))
    assert ids(split_tasks(TASKS, sizes, seed=1)) == first
    assert ids(split_tasks(TASKS, sizes, seed=2)) != first


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from("aab"), min_size=1, max_size=25),
    st.lists(st.integers(0, 10), min_size=3, max_size=3),
    st.sets(st.integers(0, 24), max_size=6),
    st.integers(0, 5),
)
def test_sizes_are_exact_and_near_duplicates_stay_together(
    categories: list[str], sizes: list[int], same: set[int], seed: int
) -> None:
    text = "Return the sum of all the even numbers that stand in a list, or nothing"
    tasks = [task(n, c, spec=text if n in same else "") for n, c in enumerate(categories)]
    wanted: dict[Split, int] = {"train": sizes[0], "dev": sizes[1], "test": sizes[2]}
    alike = {f"t{n}" for n in same}
    try:
        parts = split_tasks(tasks, wanted, seed)
    except DatasetError:
        assert sum(sizes) > len(tasks) - max(0, len(alike))
        return
    assert {name: len(members) for name, members in parts.items()} == wanted
    assert sum(any(t.id in alike for t in members) for members in parts.values()) <= 1


def test_too_few_tasks_are_said() -> None:
    with pytest.raises(DatasetError, match="need 61 tasks, but only 60 of 60 can be placed"):
        split_tasks(TASKS, {"train": 61, "dev": 0, "test": 0}, seed=0)


def test_shares_are_rounded_by_largest_remainder() -> None:
    counts = {("a", 1): 60, ("b", 1): 60, ("c", 1): 40, ("d", 1): 5}
    # 20 of 165: shares 7.27, 7.27, 4.85, 0.61; the two seats left go to c and d.
    assert apportion(counts, 20) == {("a", 1): 7, ("b", 1): 7, ("c", 1): 5, ("d", 1): 1}


@given(
    st.dictionaries(
        st.tuples(st.text("ab", max_size=3), st.integers(1, 3)), st.integers(1, 50), min_size=1
    ),
    st.data(),
)
def test_a_share_is_off_by_less_than_one(
    counts: dict[tuple[str, int], int], data: st.DataObject
) -> None:
    total = sum(counts.values())
    size = data.draw(st.integers(0, total))
    given_ = apportion(counts, size)
    assert sum(given_.values()) == size
    for stratum, count in counts.items():
        assert abs(given_[stratum] - count * size / total) < 1
        assert given_[stratum] <= count
