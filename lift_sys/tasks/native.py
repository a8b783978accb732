"""The native format: JSONL, one task a line.

Owns reading, where every broken line is named by file, line and field, and writing, which is
canonical: fields in the order of the model, those that are empty left out, text as UTF-8. A file is
written whole or not at all.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lift_sys.errors import DatasetError
from lift_sys.files import write_atomically
from lift_sys.tasks.model import Task

MOST_PROBLEMS = 20
"""Broken records that are listed before the rest is only counted."""

_GZIP = b"\x1f\x8b"


def load_tasks(path: Path) -> list[Task]:
    """Read a task file, one JSON object a line.

    Raises:
        DatasetError: The file is missing, lines are broken (each named by file, line and field) or
            an id occurs twice.
    """
    tasks, problems = read_tasks(path)
    refuse(problems)
    return tasks


def read_tasks(path: Path) -> tuple[list[Task], list[str]]:
    """Return the tasks of a file that can be read and everything that is wrong with the rest.

    Raises:
        DatasetError: The file is missing, is not text, or holds nothing.
    """
    tasks: list[Task] = []
    seen: dict[str, str] = {}
    problems: list[str] = []
    for where, line in lines_of(path, read_text(path)):
        try:
            task = Task.model_validate_json(line)
        except ValidationError as error:
            problems += [where + fault for fault in faults_of(error)]
            continue
        problems += repeated_id(task.id, where, seen)
        tasks.append(task)
    if not tasks and not problems:
        msg = f"{path} holds no tasks; write one JSON object a line"
        raise DatasetError(msg)
    return tasks, problems


def dump_tasks(tasks: Iterable[Task]) -> str:
    """Return the canonical text of a task file."""
    return "".join(json.dumps(_lean(task), ensure_ascii=False) + "\n" for task in tasks)


def write_tasks(path: Path, tasks: Iterable[Task]) -> Path:
    """Write a task file, whole or not at all.

    Raises:
        StoreError: The disk refused; the old file, if any, is still there.
    """
    return write_atomically(path, dump_tasks(tasks))


def read_text(path: Path) -> str:
    """Return the text of a file that may be compressed with gzip.

    Raises:
        DatasetError: It is missing, or not UTF-8, or cut off.
    """
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        msg = f"cannot read the task file {path}: {error}"
        raise DatasetError(msg) from error


def lines_of(path: Path, text: str) -> list[tuple[str, str]]:
    """Return the lines that are not blank, each with the words that say where it is."""
    numbered = enumerate(text.split("\n"), start=1)  # only a newline ends a line of JSONL
    return [(f"{path}, line {number}", line) for number, line in numbered if line.strip()]


def faults_of(error: ValidationError) -> list[str]:
    """Return what follows 'where', for each fault: the field and what is wrong with it."""
    faults = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "json_invalid":
            return [f": not valid JSON ({fault['ctx']['error']})"]
        field = ".".join(str(part) for part in fault["loc"]) or "the object"
        faults.append(f", field {field}: {fault['msg']}")
    return faults


def repeated_id(name: str, where: str, seen: dict[str, str]) -> list[str]:
    """Return a problem if an id was seen before, and remember where it is."""
    first = seen.setdefault(name, where)
    if first is where:
        return []
    return [f"{where}: id {name!r} is already used on {first.rpartition(', ')[2]}"]


def refuse(problems: Sequence[str], remark: str = "") -> None:
    """Raise if there are problems, naming all of them up to ``MOST_PROBLEMS``.

    Raises:
        DatasetError: The one problem, or a list of them.
    """
    if not problems:
        return
    listed = list(problems[:MOST_PROBLEMS])
    if len(problems) > len(listed):
        listed.append(f"and {len(problems) - len(listed)} more")
    if len(problems) > 1:
        listed = [f"{len(problems)} things are wrong:", *listed]
    raise DatasetError("\n  ".join(listed) + remark)


def _lean(record: BaseModel) -> dict[str, Any]:
    """Return a record's fields in order, without those that are empty by default."""
    fields = type(record).model_fields
    return {
        name: _plain(value)
        for name, value in record
        if fields[name].is_required() or value or value != fields[name].default
    }


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return _lean(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
