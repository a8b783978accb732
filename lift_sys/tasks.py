"""Tasks: what a program is asked for and how its answer is checked.

Owns the native JSONL format and the line between what a program may see (``TaskView``: spec,
entry point, visible cases) and what only a metric may see (hidden cases, references).
"""

from __future__ import annotations

import ast
import builtins
import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from lift_sys.errors import DatasetError
from lift_sys.ir.models import SpecIR
from lift_sys.literals import is_literal, parse_literal
from lift_sys.record import Record, digest

Split = Literal["train", "dev", "test"]


class Case(Record):
    """One call of the entry point and what it must give.

    Values are kept as Python literal text, so that a task file is readable, hashable and exact.

    Attributes:
        args: Literal text of a tuple, the positional arguments.
        expected: Literal text of the returned value.
        raises: Name of the builtin exception type that must be raised instead.
        tolerance: Absolute difference allowed between numbers; ``None`` means exact types and
            values.
        args_after: Literal text of the arguments after the call, where mutation is part of the
            spec.
    """

    args: str
    expected: str | None = None
    raises: str | None = None
    tolerance: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    args_after: str | None = None

    @field_validator("args", "args_after")
    @classmethod
    def _is_tuple(cls, text: str | None) -> str | None:
        if text is not None and not isinstance(parse_literal(text), tuple):
            msg = f"{text!r} is not the literal of a tuple (one argument is written '(x,)')"
            raise ValueError(msg)
        return text

    @field_validator("expected")
    @classmethod
    def _is_literal(cls, text: str | None) -> str | None:
        if text is not None and not is_literal(text):
            msg = f"{text!r} is not a Python literal"
            raise ValueError(msg)
        return text

    @field_validator("raises")
    @classmethod
    def _is_exception(cls, name: str | None) -> str | None:
        kind = getattr(builtins, name, None) if name is not None else Exception
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            msg = f"{name!r} is not a builtin exception"
            raise ValueError(msg)  # noqa: TRY004 (pydantic's way to refuse a value)
        return name

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if (self.expected is None) == (self.raises is None):
            msg = "give exactly one of 'expected' and 'raises'"
            raise ValueError(msg)
        return self

    def render(self, entry_point: str) -> str:
        """Return the case as one line of Python, e.g. ``f(1, 2) == 3``."""
        written = ast.parse(self.args.strip(), mode="eval").body
        elements = written.elts if isinstance(written, ast.Tuple) else []
        call = f"{entry_point}({', '.join(ast.unparse(e) for e in elements)})"
        return f"{call} raises {self.raises}" if self.raises else f"{call} == {self.expected}"


class TaskView(Record):
    """What a program may know of a task. There is no field for hidden cases."""

    spec: str
    entry_point: str | None = None
    visible: tuple[Case, ...] = ()


class Task(Record):
    """A spec with the cases that decide whether code written for it is right.

    Attributes:
        id: Unique within a file.
        spec: The request in plain language.
        entry_point: Name of the function to write.
        category: One of the plan's categories, e.g. ``control_flow``.
        difficulty: 1 (easy) to 3 (hard).
        split: Where the task may be used: demos from train, selection on dev, reports on test.
        source: Where the task comes from.
        tags: What makes it hard, e.g. ``boundary``.
        visible: Cases a program may see and execute.
        hidden: Cases only a metric sees.
        reference_code: A solution that passes every case.
        gold_ir: A hand-checked IR, for demos and attribution.
    """

    id: str
    spec: str
    entry_point: str
    category: str
    difficulty: int = 2
    split: Split
    source: str
    tags: tuple[str, ...] = ()
    visible: tuple[Case, ...] = ()
    hidden: tuple[Case, ...] = Field(min_length=1)
    reference_code: str | None = None
    gold_ir: SpecIR | None = None

    @field_validator("entry_point")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not name.isidentifier():
            msg = f"{name!r} is not a Python identifier"
            raise ValueError(msg)
        return name

    @property
    def view(self) -> TaskView:
        """The part that a program may see."""
        return TaskView(spec=self.spec, entry_point=self.entry_point, visible=self.visible)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the whole task."""
        return digest(self.model_dump(mode="json"))


def load_tasks(path: Path) -> list[Task]:
    """Read a task file, one JSON object a line.

    Raises:
        DatasetError: The file is missing, a line is broken (named by file, line and field) or an
            id occurs twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the task file {path}: {error}"
        raise DatasetError(msg) from error
    tasks: list[Task] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        task = _parse_line(line, f"{path}, line {number}")
        if task.id in seen:
            msg = f"{path}, line {number}: id {task.id!r} is already used on line {seen[task.id]}"
            raise DatasetError(msg)
        seen[task.id] = number
        tasks.append(task)
    if not tasks:
        msg = f"{path} holds no tasks; write one JSON object a line"
        raise DatasetError(msg)
    return tasks


def _parse_line(line: str, where: str) -> Task:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: not valid JSON ({error})"
        raise DatasetError(msg) from error
    try:
        return Task.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the object"
        msg = f"{where}, field {field}: {first['msg']}"
        raise DatasetError(msg) from error
