"""Pools: which tasks become demos, in an order that only seed and content decide."""

from __future__ import annotations

import random
from typing import Any, get_args

import dspy
import pytest

from lift_sys.config import SetKind
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from lift_sys.tasks import Case, Task
from lift_sys.verdict import Score, Status
from optimizers import pools
from optimizers.pools import DemoSet, Instructions, Pool, build_pool
from optimizers.rows import Row


def ir(name: str) -> SpecIR:
    return SpecIR(intent=Intent(summary=name), signature=FunctionSignature(name="f"))


def task(number: int, *, gold: bool = True) -> Task:
    return Task(
        id=f"t{number}",
        spec="s",
        entry_point="f",
        category=f"c{number % 3}",
        split="train",
        source="test",
        hidden=(Case(args="()", expected="1"),),
        reference_code=f"gold code {number}",
        gold_ir=ir(f"gold {number}") if gold else None,
    )


def row(number: int, *, passed: bool = True, **changes: Any) -> Row:
    status = Status.PASSED if passed else Status.WRONG_ANSWER
    fields: dict[str, Any] = {
        "key": str(number),
        "label": "pool",
        "task_id": f"t{number}",
        "category": "c",
        "score": Score(value=float(passed), passed=passed, status=status, feedback=""),
        "code": f"own code {number}",
        "ir": ir(f"own {number}"),
        "failure": None,
        "attempts": 1,
        "calls": (),
        "seconds": 0.0,
        "trace": (),
    }
    return Row.model_validate(fields | changes)


def make(task: Task, ir: SpecIR | None, code: str) -> dict[str, dict[str, Any]]:
    written = {"a.predict": {"ir": ir.intent.summary, "task": task.id}} if ir else {}
    return {**written, "b.predict": {"code": code}}


TASKS = [task(n) for n in range(9)]
ROWS = [row(n) for n in range(9)]


def pool(tasks: list[Task], rows: list[Row], *, size: int = 2, seed: int = 0) -> Pool:
    return build_pool(tasks, {"bootstrapped": rows}, make, size=size, seed=seed)


def test_the_sets_of_a_pool() -> None:
    built = pool(TASKS, ROWS)
    assert built.names == ("none", "gold-2", "bootstrapped-2")
    assert built["none"].demos == {}
    for name, word in (("gold-2", "gold"), ("bootstrapped-2", "own")):
        chosen = built[name]
        assert len(chosen.tasks) == len(set(chosen.tasks)) == 2
        assert [d["task"] for d in chosen.demos["a.predict"]] == list(chosen.tasks)
        numbers = [t.removeprefix("t") for t in chosen.tasks]
        assert [d["ir"] for d in chosen.demos["a.predict"]] == [f"{word} {n}" for n in numbers]
        assert [d["code"] for d in chosen.demos["b.predict"]] == [
            f"{word} code {n}" for n in numbers
        ]


@pytest.mark.parametrize("seed", range(5))
def test_only_content_and_seed_decide(seed: int) -> None:
    built = pool(TASKS, ROWS, seed=seed)
    tasks, rows = TASKS.copy(), ROWS.copy()
    random.Random(seed).shuffle(tasks)  # noqa: S311 (not a secret)
    random.Random(seed + 1).shuffle(rows)  # noqa: S311 (likewise)
    assert pool(tasks, rows, seed=seed).content_hash == built.content_hash
    assert Pool.model_validate_json(built.model_dump_json()).content_hash == built.content_hash


KINDS = get_args(SetKind)


def test_a_bank_has_every_source_and_begins_with_the_spread_set() -> None:
    built = build_pool(TASKS, {"bootstrapped": ROWS[:5]}, make, size=2, seed=0, kinds=KINDS)
    assert built.names == (
        *("none", "gold-2", "gold-short-2", "gold-bank"),
        *("bootstrapped-2", "bootstrapped-short-2", "bootstrapped-bank"),
    )
    for origin, count in (("gold", 9), ("bootstrapped", 5)):
        bank = built[f"{origin}-bank"]
        assert len(set(bank.tasks)) == count
        assert [d["task"] for d in bank.demos["a.predict"]] == list(bank.tasks)
        assert bank.tasks[:2] == built[f"{origin}-2"].tasks


def test_a_bank_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_IN_BANK", 4)
    assert len(build_pool(TASKS, {}, make, size=2, seed=0, kinds=("bank",))["gold-bank"].tasks) == 4


def test_a_short_set_is_of_easy_and_short_tasks_the_shortest_first() -> None:
    tasks = [
        TASKS[0].model_copy(update={"spec": "much longer"}),
        TASKS[1].model_copy(update={"spec": "longer"}),
        TASKS[2].model_copy(update={"difficulty": 3}),
        TASKS[3].model_copy(update={"difficulty": 1, "spec": "the longest of all"}),
        TASKS[4],
    ]
    for seed in range(3):
        built = build_pool(tasks, {}, make, size=3, seed=seed, kinds=("short",))
        assert built.names == ("none", "gold-short-3")
        # one of each category: t0 and t3 are of one, t1 and t4 of another
        assert built["gold-short-3"].tasks == ("t3", "t4", "t2")


def test_what_an_earlier_set_shows_is_no_other_set() -> None:
    names = build_pool(TASKS[:2], {}, make, size=2, seed=0, kinds=KINDS).names
    assert "gold-bank" not in names
    assert build_pool(TASKS, {}, make, size=2, seed=0, kinds=()).names == ("none",)
    assert build_pool(TASKS[:1], {}, make, size=1, seed=0, kinds=KINDS).names == ("none", "gold-1")


def test_seeds_choose_differently() -> None:
    assert len({pool(TASKS, ROWS, seed=seed)["gold-2"].tasks for seed in range(20)}) > 3


@pytest.mark.parametrize("seed", range(10))
def test_demos_are_of_different_categories_first(seed: int) -> None:
    for name in ("gold-5", "bootstrapped-5"):
        shown = pool(TASKS, ROWS, size=5, seed=seed)[name].tasks
        categories = [int(t.removeprefix("t")) % 3 for t in shown]
        assert set(categories[:3]) == {0, 1, 2}
        assert len(set(shown)) == 5


@pytest.mark.parametrize(
    ("tasks", "rows", "names"),
    [
        (TASKS, [], ("none", "gold-2")),
        (TASKS[:1], [], ("none",)),
        (TASKS, [row(0, passed=False), row(1)], ("none", "gold-2")),
        ([task(n, gold=False) for n in range(3)], ROWS[:3], ("none", "bootstrapped-2")),
        (TASKS, [row(0), row(1, code=None)], ("none", "gold-2")),
        (TASKS, [row(0), row(1)], ("none", "gold-2", "bootstrapped-2")),
    ],
)
def test_a_set_that_cannot_be_filled_is_left_out(
    tasks: list[Task], rows: list[Row], names: tuple[str, ...]
) -> None:
    assert pool(tasks, rows).names == names


def test_every_teacher_has_sets_of_its_own_and_equal_ones_are_kept_once() -> None:
    other = [row(n, code=f"other code {n}") for n in range(9)]
    taught = {"bootstrapped": ROWS, "bootstrapped-refine": other}
    built = build_pool(TASKS, taught, make, size=2, seed=0)
    assert built.names == ("none", "gold-2", "bootstrapped-2", "bootstrapped-refine-2")
    for name, word in (("bootstrapped-2", "own"), ("bootstrapped-refine-2", "other")):
        assert all(word in demo["code"] for demo in built[name].demos["b.predict"])
    alike = {"bootstrapped": ROWS[:1], "again": ROWS[:1], "few": []}
    names = build_pool(TASKS, alike, make, size=1, seed=0).names
    assert names == ("none", "gold-1", "bootstrapped-1")


def test_answers_without_an_ir_make_demos_of_their_code() -> None:
    built = pool(TASKS, [row(0, ir=None), row(1)])
    demos = built["bootstrapped-2"].demos
    assert [demo["task"] for demo in demos["a.predict"]] == ["t1"]
    assert {demo["code"] for demo in demos["b.predict"]} == {"own code 0", "own code 1"}
    only_code = pool(TASKS, [row(0, ir=None), row(1, ir=None)])
    assert only_code.names_for("a") == ("none", "gold-2")
    assert only_code.names_for("b") == ("none", "gold-2", "bootstrapped-2")


class Two(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = dspy.Predict(dspy.Signature("x -> y", "own a"))
        self.b = dspy.Predict(dspy.Signature("x -> y", "own b"))


def two() -> Two:
    program = Two()
    program.a.demos, program.b.demos = [{"x": "old"}], [{"x": "old"}]
    return program


CHOICES = Pool(
    sets=(
        DemoSet(name="none", tasks=(), demos={}),
        DemoSet(name="s", tasks=("t",), demos={"a": ({"x": "new", "y": "1"},)}),
        DemoSet(name="l", tasks=("t",), demos={"a": ({"x": "l"},), "b": ({"x": "l"},)}),
    ),
    instructions={"b": (Instructions(name="copro-1", text="Do better."),)},
)


def test_a_point_replaces_every_demo_and_shares_none() -> None:
    program = two()
    assert CHOICES.apply(program, {"demos": "s", "n": 2, "a.model": "m"}) == {
        "n": 2,
        "a.model": "m",
    }
    assert (program.a.demos, program.b.demos) == ([{"x": "new", "y": "1"}], [])
    program.a.demos[0]["x"] = "changed"
    assert CHOICES["s"].demos["a"][0]["x"] == "new"


def test_a_point_may_choose_demos_and_instructions_for_each_predictor() -> None:
    program, other = two(), two()
    point = {"a.demos": "s", "b.demos": "l", "b.instructions": "copro-1", "b.seed": 1}
    assert CHOICES.apply(program, point) == {"b.seed": 1}
    assert (program.a.demos, program.b.demos) == ([{"x": "new", "y": "1"}], [{"x": "l"}])
    told = [p.signature.instructions for p in program.predictors()]
    assert told == [other.a.signature.instructions, "Do better."]
    CHOICES.apply(other, {**point, "b.demos": "none", "b.instructions": "own"})
    assert other.b.demos == []
    assert other.b.signature.instructions == two().b.signature.instructions


def test_the_dimensions_of_a_pool() -> None:
    instructions = {"b.instructions": ("own", "copro-1")}
    one = {"demos": ("none", "s", "l")}
    assert CHOICES.dimensions(per_predictor=False) == one | instructions
    each = {"a.demos": ("none", "s", "l"), "b.demos": ("none", "l")}
    assert CHOICES.dimensions(per_predictor=True) == each | instructions
    assert Pool.model_validate_json(CHOICES.model_dump_json()) == CHOICES
    less = CHOICES.model_copy(update={"instructions": {}})
    assert less.content_hash != CHOICES.content_hash
