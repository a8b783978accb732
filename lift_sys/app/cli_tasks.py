"""``lift tasks``: bring tasks in, look at them, divide and count them."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from lift_sys.tasks import Task
    from lift_sys.tasks.importing import Imported

app = typer.Typer(help="Import, show, split and count tasks.", no_args_is_help=True)

_FILE_WIDTH = 200
Unsafe = Annotated[
    bool, typer.Option("--unsafe", help="Run solutions even where no sandbox layer holds.")
]
TaskSet = Annotated[str, typer.Argument(help="train, dev, test, phase3, or a task file.")]


@app.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="The file, .jsonl, .jsonl.gz or .json.")],
    out: Annotated[Path, typer.Option(help="Task file to write.")],
    format_: Annotated[
        Literal["native", "humaneval", "evalplus", "mbpp"] | None,
        typer.Option("--format", help="Default: recognised by the fields."),
    ] = None,
    split: Annotated[
        Literal["train", "dev", "test"] | None,
        typer.Option(help="What the tasks are for; default: what they say, else test."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most records.")] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Make doctest examples of the spec visible cases.")
    ] = False,
    unsafe: Unsafe = False,
) -> None:
    """Turn HumanEval, HumanEval+, MBPP, MBPP+ or native tasks into a task file.

    EvalPlus gives no expected outputs: its canonical solutions are run in the sandbox.
    """
    from lift_sys.app.references import ReferenceRunner
    from lift_sys.sandbox import create_sandbox
    from lift_sys.tasks import write_tasks
    from lift_sys.tasks.formats import Format
    from lift_sys.tasks.importing import ImportOptions, import_tasks

    options = ImportOptions(
        format=Format(format_) if format_ else None, split=split, limit=limit, examples=examples
    )
    with closing(ReferenceRunner(lambda: create_sandbox(unsafe=unsafe))) as run:
        imported = import_tasks(path, run, options)
    write_tasks(out, imported.tasks)
    sys.stdout.write(_summary(imported, out))


def _summary(imported: Imported, out: Path) -> str:
    return (
        f"{len(imported.tasks)} tasks ({imported.format}) written to {out}\n"
        f"{imported.strong} strong: cases alone decide\n"
        f"{imported.mixed} mixed: cases, and assert-style tests that code under test could fool\n"
        f"{imported.weak} weak: assert-style tests alone\n"
        f"{imported.share:.1%} of the assertions became cases\n"
    )


@app.command()
def show(
    tasks: TaskSet,
    task_id: Annotated[str | None, typer.Argument(help="One task; default: list all.")] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Show what test tasks are judged by, too.")
    ] = False,
) -> None:
    """List tasks, or print one."""
    from lift_sys.app import environment
    from lift_sys.app.card import task_table
    from lift_sys.errors import DatasetError
    from lift_sys.tasks import load_tasks

    path = environment.data_file(tasks)
    found = load_tasks(path)
    if task_id is None:
        _print([task_table(found)])
        return
    task = next((task for task in found if task.id == task_id), None)
    if task is None:
        msg = f"{path} has no task {task_id!r}; list them with: lift tasks show {tasks}"
        raise DatasetError(msg)
    sys.stdout.write(_readable(task, judged_by=hidden or task.split != "test"))


def _readable(task: Task, *, judged_by: bool) -> str:
    from lift_sys.ir.render import render

    weak = f", {task.weak_count} assert-style tests" if task.weak_count else ""
    lines = [
        f"{task.id}: {task.category}, difficulty {task.difficulty}, {task.split}, {task.source}",
        f"tags: {', '.join(task.tags) or 'none'}",
        "",
        task.spec,
        "",
        f"visible cases ({len(task.visible)}):",
        *(f"  {case.render(task.entry_point)}" for case in task.visible),
        f"hidden cases ({len(task.hidden)}{weak}):",
    ]
    if not judged_by:
        lines.append("  not shown for a test task, nor is the reference; --hidden shows them")
        return "\n".join(lines) + "\n"
    lines += [f"  {case.render(task.entry_point)}" for case in task.hidden]
    for title, code in (("weak tests", task.weak_tests), ("reference", task.reference_code)):
        if code:
            lines += ["", f"{title}:", code.strip("\n")]
    if task.gold_ir is not None:
        lines += ["", "gold IR:", render(task.gold_ir)]
    return "\n".join(lines) + "\n"


@app.command()
def split(
    path: Annotated[str, typer.Argument(help="A task file, or a shipped set.")],
    out: Annotated[Path, typer.Option(help="Folder for train.jsonl, dev.jsonl and test.jsonl.")],
    train: Annotated[int, typer.Option(min=0, help="Tasks in train.")] = 0,
    dev: Annotated[int, typer.Option(min=0, help="Tasks in dev.")] = 0,
    test: Annotated[int, typer.Option(min=0, help="Tasks in test.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
) -> None:
    """Divide tasks by category and difficulty; near-duplicates stay on one side."""
    from lift_sys.app import environment
    from lift_sys.errors import ConfigError, StoreError
    from lift_sys.tasks import load_tasks, write_tasks
    from lift_sys.tasks.splitting import split_tasks

    if not train + dev + test:
        msg = "say how many tasks each split gets: --train, --dev, --test"
        raise ConfigError(msg)
    tasks = load_tasks(environment.data_file(path))
    parts = split_tasks(tasks, {"train": train, "dev": dev, "test": test}, seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {out}: {error.strerror}"
        raise StoreError(msg) from error
    for name, members in parts.items():
        if members:
            file = write_tasks(out / f"{name}.jsonl", members)
            sys.stdout.write(f"{len(members)} tasks written to {file}\n")


@app.command()
def check(
    sets: Annotated[
        list[str] | None, typer.Argument(help="Task sets; default: all that ship.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    unsafe: Unsafe = False,
) -> None:
    """Verify tasks by running their references, mutants of them, and gold assertions.

    Lists everything that is wrong. Tasks are also compared with all that ship.
    """
    import os

    from rich.console import Console

    from lift_sys.app import environment
    from lift_sys.app.check import check_sets, check_table
    from lift_sys.sandbox import create_sandbox

    names = sets or environment.shipped_sets()
    status = Console(stderr=True).status("running references and their mutants")
    with closing(create_sandbox(workers=os.cpu_count() or 1, unsafe=unsafe)) as sandbox, status:
        checked = check_sets(names, sandbox)
    if as_json:
        sys.stdout.write(checked.model_dump_json() + "\n")
    else:
        _print([check_table(checked.sets)])
        for kind, lines in (("note", checked.notes), ("problem", checked.problems)):
            sys.stdout.writelines(f"{kind}: {line}\n" for line in lines)
        sys.stdout.write(f"{len(checked.problems) or 'no'} problems\n")
    if checked.problems:
        raise typer.Exit(2)


@app.command()
def stats(
    sets: Annotated[
        list[str] | None, typer.Argument(help="Task sets; default: all that ship.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the data card: what task sets hold, counted."""
    import json

    from lift_sys.app import card, environment

    names = sets or environment.shipped_sets()
    cards = [card.make_card(name, environment.data_file(name)) for name in names]
    if as_json:
        document = [made.model_dump(mode="json") for made in cards]
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    _print([card.overview(cards), card.strata_table(cards), card.tag_table(cards)])


@app.command()
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of task files.")],
) -> None:
    """Write manifest.json: SHA-256 and counts of the task files of a folder."""
    from lift_sys.app.card import write_manifest

    sys.stdout.write(f"written to {write_manifest(folder)}\n")


def _print(tables: Sequence[Table]) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:  # what a file or a program reads is not cut to a screen
        console = Console(width=_FILE_WIDTH)
    for number, table in enumerate(tables):
        console.print(*([""] if number else []), table, sep="\n")
