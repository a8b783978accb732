"""Checking task sets by execution: everything that is wrong with them, found in one pass.

Owns what a set must keep: unbroken lines, the manifest's hash, ids and tasks that occur once, no
task of one split told by another, values that can be carried, true references and gold IRs, and,
for our own tasks, hidden cases that decide. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from lift_sys.app import environment
from lift_sys.app.card import manifest_state
from lift_sys.errors import DatasetError
from lift_sys.record import Record
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task, read_tasks
from lift_sys.tasks.similarity import near_duplicates
from metrics.verification import TaskCheck, check_task, same_behaviour

OWN = "lift-sys"
"""Source of the tasks that were written for this project."""

EQUIVALENT = "equivalent_mutants.json"
"""File beside a task file: by task id, mutants that no input can tell from the reference."""


class SetCheck(Record):
    """What was found in one set.

    Attributes:
        name: As it was asked for.
        tasks: How many could be read.
        references: How many of them have a reference.
        gold: How many have a gold IR.
        cases: Visible and hidden ones.
        mutants: Non-equivalent mutants of all references.
        killed: Those that a hidden case noticed.
        equivalent: Mutants listed as equivalent.
    """

    name: str
    tasks: int
    references: int
    gold: int
    cases: int
    mutants: int
    killed: int
    equivalent: int


class Checked(Record):
    """What was found in all sets.

    Attributes:
        sets: One for each set that was asked for.
        problems: What is wrong, each in one sentence.
        notes: What an author may want to know and nothing forbids.
    """

    sets: tuple[SetCheck, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check_table(sets: Iterable[SetCheck]) -> Table:
    """Return one row for each set; ``killed`` is the share of mutants that hidden cases notice."""
    headings = "set tasks references gold cases mutants killed equivalent".split()
    table = Table(*headings, box=None, pad_edge=False)
    for found in sets:
        killed = f"{found.killed / found.mutants:.1%}" if found.mutants else ""
        counts = (found.tasks, found.references, found.gold, found.cases, found.mutants)
        table.add_row(found.name, *map(str, counts), killed, str(found.equivalent))
    return table


def check_sets(names: Sequence[str], sandbox: Sandbox) -> Checked:
    """Check task sets, each for itself, against each other and against those that ship.

    Args:
        names: Shipped sets or paths of task files.
        sandbox: Where references and mutants run.

    Raises:
        SandboxError: The sandbox failed; nothing was found out.
    """
    problems: list[str] = []
    notes: list[str] = []
    sets = {name: _read(name, problems) for name in names}
    others = {name: _read(name, []) for name in environment.shipped_sets() if name not in sets}
    equivalent = _equivalent([n for n, tasks in (sets | others).items() if tasks], problems)
    found = []
    for name, tasks in sets.items():
        if name in environment.SHIPPED and manifest_state(environment.data_file(name)) != "matches":
            problems.append(f"{name} is not the file that manifest.json describes")
        checks = _check_tasks(tasks, equivalent, sandbox)
        problems += [f"{name}, {c.task_id}: {p}" for c in checks for p in c.problems]
        _sort_survivors(name, tasks, checks, problems, notes)
        found.append(_summary(name, tasks, checks, equivalent))
    known = {task.id for part in (sets, others) for tasks in part.values() for task in tasks}
    stray = sorted(equivalent.keys() - known)
    problems += [f"{EQUIVALENT} lists mutants of {name!r}, which is no task" for name in stray]
    for text, wrong in _alike(sets, others, sandbox):
        (problems if wrong else notes).append(text)
    return Checked(sets=tuple(found), problems=tuple(problems), notes=tuple(notes))


def _read(name: str, problems: list[str]) -> list[Task]:
    try:
        tasks, faults = read_tasks(environment.data_file(name))
    except DatasetError as error:
        problems.append(str(error))
        return []
    problems += faults
    return tasks


def _equivalent(names: Iterable[str], problems: list[str]) -> dict[str, dict[str, str]]:
    """Return the equivalent mutants listed beside the files, by task id and description."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted({environment.data_file(name).with_name(EQUIVALENT) for name in names}):
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
            found |= TypeAdapter(dict[str, dict[str, str]]).validate_json(text)
        except (OSError, ValidationError) as error:
            problems.append(f"cannot read the equivalent mutants in {path}: {error}")
    return found


def _check_tasks(
    tasks: Sequence[Task], equivalent: Mapping[str, Mapping[str, str]], sandbox: Sandbox
) -> list[TaskCheck]:
    def check(task: Task) -> TaskCheck:
        return check_task(task, sandbox, equivalent.get(task.id, {}))

    with ThreadPoolExecutor(os.cpu_count() or 1) as executor:
        return list(executor.map(check, tasks))


def _sort_survivors(
    name: str,
    tasks: Iterable[Task],
    checks: Iterable[TaskCheck],
    problems: list[str],
    notes: list[str],
) -> None:
    """Tell of mutants that nothing noticed; in our own tasks there may be few."""
    for task, checked in zip(tasks, checks, strict=True):
        if checked.survivors:
            into = problems if task.source == OWN and not checked.decisive else notes
            into.append(
                f"{name}, {task.id}: the hidden cases miss {len(checked.survivors)} of "
                f"{checked.mutants} mutants: {'; '.join(checked.survivors)}"
            )


def _summary(
    name: str,
    tasks: Sequence[Task],
    checks: Sequence[TaskCheck],
    equivalent: Mapping[str, Mapping[str, str]],
) -> SetCheck:
    return SetCheck(
        name=name,
        tasks=len(tasks),
        references=sum(task.reference_code is not None for task in tasks),
        gold=sum(task.gold_ir is not None for task in tasks),
        cases=sum(len(task.visible) + len(task.hidden) for task in tasks),
        mutants=sum(checked.mutants for checked in checks),
        killed=sum(checked.killed for checked in checks),
        equivalent=sum(len(equivalent.get(task.id, {})) for task in tasks),
    )


def _alike(
    sets: Mapping[str, Sequence[Task]], others: Mapping[str, Sequence[Task]], sandbox: Sandbox
) -> list[tuple[str, bool]]:
    """Return what is said of each pair of tasks that are alike, and whether it is wrong.

    Across splits it is: one would tell about the other. So is an id that occurs twice.
    """
    homes = [(name, task) for part in (sets, others) for name, ts in part.items() for task in ts]
    keys: dict[str, tuple[str, Task]] = {}
    for name, task in homes:
        keys.setdefault(f"{name}/{task.id}", (name, task))
    renamed = [task.model_copy(update={"id": key}) for key, (_, task) in keys.items()]
    pairs = dict.fromkeys(near_duplicates(renamed), "are worded or named nearly the same")
    for pair in same_behaviour(renamed, sandbox):
        pairs.setdefault(pair, "cannot be told apart by what they do")
    said = []
    for (key, other), how in pairs.items():
        (home, task), (other_home, other_task) = keys[key], keys[other]
        if {home, other_home} & sets.keys():
            leak = task.split != other_task.split
            splits = f", and one is {task.split}, the other {other_task.split}" if leak else ""
            said.append((f"{key} and {other} {how}{splits}", leak))
    for (home, task), (other_home, other_task) in combinations(homes, 2):
        if task.id == other_task.id and home != other_home and {home, other_home} & sets.keys():
            said.append((f"the id {task.id!r} occurs in {home} and in {other_home}", True))
    return said
