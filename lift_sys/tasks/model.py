"""What a task is.

Owns the line between what a program may see (``TaskView``: spec, entry point, visible cases) and
what only a metric may see (hidden cases, weak tests, references).
"""

from __future__ import annotations

import ast
import builtins
import functools
import warnings
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lift_sys.ir.models import SpecIR
from lift_sys.literals import is_literal, literal_type, parse_literal
from lift_sys.record import Record, digest

Split = Literal["train", "dev", "test"]

WEAK_NAME = "lift_weak_check"
"""Name of the function that weak tests define; it takes no arguments and raises if it fails."""


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
        if text is not None and literal_type(text) is not tuple:
            parse_literal(text)  # says what is wrong if it is no literal at all
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
        short = len(self.args) <= _CACHED_CHARS
        arguments = _known_arguments(self.args) if short else _arguments(self.args)
        call = f"{entry_point}({arguments})"
        return f"{call} raises {self.raises}" if self.raises else f"{call} == {self.expected}"


def _arguments(args: str) -> str:
    """Return the elements of a tuple's literal text as they stand in a call."""
    written = ast.parse(args.strip(), mode="eval").body
    elements = written.elts if isinstance(written, ast.Tuple) else []
    return ", ".join(map(ast.unparse, elements))


# One answer writes the same few cases at every step, and a search with every candidate.
_CACHED_CHARS = 400
_known_arguments = functools.lru_cache(maxsize=4096)(_arguments)


class TaskView(Record):
    """What a program may know of a task. There is no field for hidden cases or weak tests."""

    spec: str
    entry_point: str | None = None
    visible: tuple[Case, ...] = ()


class Task(Record):
    """A spec with the cases that decide whether code written for it is right.

    A case's expected value never enters the sandbox. Assert-style tests of an imported task that
    could not become cases are kept as *weak tests*: they run beside the code under test, which
    could forge their success. A task with weak tests carries that weaker promise.

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
        weak_tests: Python code that defines ``lift_weak_check``; see ``lift_sys.tasks.asserts``.
        hidden: Cases only a metric sees; empty only where there are weak tests.
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
    weak_tests: str | None = None
    hidden: tuple[Case, ...] = Field(default=(), validate_default=True)
    reference_code: str | None = None
    gold_ir: SpecIR | None = None

    @field_validator("entry_point")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not name.isidentifier():
            msg = f"{name!r} is not a Python identifier"
            raise ValueError(msg)
        return name

    @field_validator("weak_tests")
    @classmethod
    def _defines_check(cls, code: str | None) -> str | None:
        if code is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the parser's, of code that others wrote
                tree = ast.parse(code)
                compile(tree, "weak tests", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            msg = f"the weak tests are not Python: {error}"
            raise ValueError(msg) from error
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if WEAK_NAME not in names or not count_asserts(tree.body):
            msg = f"the weak tests must define {WEAK_NAME}() and assert something"
            raise ValueError(msg)
        return code

    @field_validator("hidden")
    @classmethod
    def _decides(cls, cases: tuple[Case, ...], info: ValidationInfo) -> tuple[Case, ...]:
        if not cases and info.data.get("weak_tests") is None:
            msg = "give hidden cases, without which nothing decides whether code is right"
            raise ValueError(msg)
        return cases

    @property
    def strong(self) -> bool:
        """Whether cases alone decide, so that code under test cannot forge success."""
        return self.weak_tests is None

    @property
    def weak_count(self) -> int:
        """How many assertions the weak tests hold."""
        return count_asserts(ast.parse(self.weak_tests).body) if self.weak_tests else 0

    @property
    def view(self) -> TaskView:
        """The part that a program may see."""
        return TaskView(spec=self.spec, entry_point=self.entry_point, visible=self.visible)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the whole task."""
        return digest(self.model_dump(mode="json"))


def count_asserts(statements: Iterable[ast.stmt]) -> int:
    """Return how many ``assert`` statements there are, at any depth."""
    return sum(isinstance(node, ast.Assert) for top in statements for node in ast.walk(top))
