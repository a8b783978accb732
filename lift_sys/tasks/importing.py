"""Bringing tasks of other formats in, from a file that the user has.

Owns the one pass over a file in which every record becomes a task or a problem. Nothing comes of a
file with problems, which are all named by file, line (or index in an array) and field. Nothing is
downloaded.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lift_sys.errors import DatasetError
from lift_sys.literals import literal_key
from lift_sys.record import Record
from lift_sys.tasks.asserts import ConvertedTest, strong_share
from lift_sys.tasks.formats import MARKS, RAW, Format, Parts, Run
from lift_sys.tasks.model import Case, Split, Task
from lift_sys.tasks.native import faults_of, lines_of, read_text, refuse, repeated_id
from lift_sys.tasks.reading import BrokenRecordError

CATEGORY = "imported"


class ImportOptions(Record):
    """How a file is read.

    Attributes:
        format: Its format; ``None`` to recognise it by its first record.
        split: What the tasks are for; ``None`` for what a native record says, else test.
        limit: Most records, from the first; ``None`` for all.
        examples: Whether doctest examples in a prompt become visible cases.
    """

    format: Format | None = None
    split: Split | None = None
    limit: int | None = None
    examples: bool = False


@dataclass(frozen=True)
class Imported:
    """What came of a file.

    Attributes:
        format: The format that it was read in.
        tasks: In the order of the file.
        share: Share of the assertions that became cases, in [0, 1].
    """

    format: Format
    tasks: tuple[Task, ...]
    share: float

    @property
    def strong(self) -> int:
        """How many tasks cases alone decide."""
        return sum(task.strong for task in self.tasks)

    @property
    def mixed(self) -> int:
        """How many tasks have cases and weak tests."""
        return sum(not task.strong and bool(task.hidden) for task in self.tasks)

    @property
    def weak(self) -> int:
        """How many tasks have weak tests alone."""
        return sum(not task.strong and not task.hidden for task in self.tasks)


def import_tasks(path: Path, run: Run, options: ImportOptions | None = None) -> Imported:
    """Read a file of any known format.

    Args:
        path: JSONL, also compressed with gzip, or one JSON array.
        run: Runs the canonical solutions of a format that gives no expected outputs.
        options: How it is read.

    Raises:
        DatasetError: The file cannot be read, is of no known format, or holds broken records, which
            are all named.
        SandboxError: From ``run``.
    """
    options = options or ImportOptions()
    records, problems = _records(path, options.limit)
    chosen = options.format or _recognise(path, records)
    tasks: list[Task] = []
    tests: list[ConvertedTest] = []
    seen: dict[str, str] = {}
    for where, record in records:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the parser's, of code that others wrote
                task, test = _read(chosen, record, run, options)
        except ValidationError as error:
            problems += [where + fault for fault in faults_of(error)]
            continue
        except BrokenRecordError as error:
            problems.append(where + str(error))
            continue
        problems += repeated_id(task.id, where, seen)
        tasks.append(task)
        tests.append(test)
    refuse(problems)
    return Imported(format=chosen, tasks=tuple(tasks), share=strong_share(tests))


def _records(path: Path, limit: int | None) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return each record with the words that say where it is, and the lines that are not JSON.

    Raises:
        DatasetError: There are no records at all.
    """
    text = read_text(path)
    records: list[tuple[str, Any]] = []
    problems: list[str] = []
    if text.lstrip().startswith("["):
        try:
            array = json.loads(text)
        except (ValueError, RecursionError) as error:
            msg = f"{path}: not a valid JSON array ({error})"
            raise DatasetError(msg) from error
        records = [(f"{path}, index {index}", record) for index, record in enumerate(array[:limit])]
    else:
        for where, line in lines_of(path, text)[:limit]:
            try:
                records.append((where, json.loads(line)))
            except (ValueError, RecursionError) as error:
                problems.append(f"{where}: not valid JSON ({error})")
    if not records:
        refuse(problems)
        msg = f"{path} holds no records"
        raise DatasetError(msg)
    return records, problems


def _recognise(path: Path, records: Sequence[tuple[str, Any]]) -> Format:
    fields = next((r.keys() for _, r in records if isinstance(r, dict)), {}.keys())
    for known, marks in MARKS.items():
        if marks <= fields:
            return known
    names = ", ".join(sorted(fields)) or "none"
    msg = (
        f"{path} is of no known format (fields of its first record: {names}); "
        f"name one with --format: {', '.join(Format)}"
    )
    raise DatasetError(msg)


def _read(
    chosen: Format, record: Any, run: Run, options: ImportOptions
) -> tuple[Task, ConvertedTest]:
    if not _is_text(record):
        raise BrokenRecordError("the object", "half of a surrogate pair is not text")
    if chosen is Format.NATIVE:
        task = Task.model_validate(record)
        if options.split is not None:
            task = task.model_copy(update={"split": options.split})
        code = task.weak_tests or ""
        return task, ConvertedTest(cases=task.hidden, weak_code=code, weak_count=task.weak_count)
    parts = RAW[chosen].model_validate(record).parts(run)
    visible, hidden = _divided(parts) if options.examples else ((), parts.test.cases)
    task = Task(
        id=parts.id,
        spec=parts.spec,
        entry_point=parts.entry_point,
        category=CATEGORY,
        split=options.split or "test",
        source=parts.source,
        visible=visible,
        hidden=hidden,
        weak_tests=parts.test.weak_code or None,
        reference_code=parts.code,
    )
    return task, parts.test


def _is_text(record: Any) -> bool:
    """Tell whether a record can be written as UTF-8; JSON can escape what is not text."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _divided(parts: Parts) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return visible and hidden cases; nothing is shown where nothing would be left to hide."""
    shown = {literal_key(case.args) for case in parts.examples}
    hidden = [c for c in parts.test.cases if literal_key(c.args) not in shown]
    if not hidden and not parts.test.weak_code:
        return (), parts.test.cases
    return parts.examples, tuple(hidden)
