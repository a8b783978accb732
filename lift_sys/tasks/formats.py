"""The formats of published benchmarks, and how a record of each becomes a task.

Owns the fields that are read of each format (others are ignored) and their meaning:

- *humaneval*: HumanEval, and HumanEval+ in the same fields. The tests are a function
  ``check(candidate)``.
- *evalplus*: HumanEval+ and MBPP+ as EvalPlus writes them: inputs, for which the canonical solution
  gives the expected outputs. It is run by a callable that the caller passes. EvalPlus judges three
  tasks (``find_zero``, ``are_equivalent``, ``sum_div``) by rules of their own; here they are
  compared with the canonical solution like all others.
- *mbpp*: MBPP, full and sanitized. The tests are a list of assertions.

The spec is the text that the benchmark shows. What the tests compare becomes cases where it can;
see ``lift_sys.tasks.asserts``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from lift_sys.errors import DatasetError
from lift_sys.literals import parse_literal, write_literal
from lift_sys.tasks.asserts import ConvertedTest, equality_tolerance, holds
from lift_sys.tasks.model import Case
from lift_sys.tasks.reading import (
    BrokenRecordError,
    called,
    converted,
    examples,
    shown,
    surroundings,
    typed_arguments,
    whole_code,
)

Run = Callable[[str, str, Sequence[str]], Sequence[str]]
"""Runs code: (source, entry point, argument tuples as literals) to returned values as literals.

Raises ``DatasetError`` if a call gives no value that can be written as a literal.
"""

_FLOAT_TOLERANCE = 1e-6
"""EvalPlus allows it where floats are expected and the record allows nothing."""

_RELATIVE_TOLERANCE = 1e-7
"""EvalPlus compares with numpy's ``assert_allclose``, which adds this share of the value."""


class Format(StrEnum):
    """A format that can be imported."""

    NATIVE = "native"
    HUMANEVAL = "humaneval"
    EVALPLUS = "evalplus"
    MBPP = "mbpp"


MARKS: dict[Format, frozenset[str]] = {
    Format.EVALPLUS: frozenset(("base_input", "canonical_solution")),
    Format.MBPP: frozenset(("code", "test_list")),
    Format.HUMANEVAL: frozenset(("prompt", "entry_point", "test")),
    Format.NATIVE: frozenset(("spec", "entry_point")),
}
"""Fields by which a record is recognised; the first format that fits is taken."""


@dataclass(frozen=True)
class Parts:
    """What a record of any format comes down to."""

    id: str
    spec: str
    entry_point: str
    source: str
    code: str
    test: ConvertedTest
    examples: tuple[Case, ...] = ()


class _Raw(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class HumanEval(_Raw):
    """A record of HumanEval."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str

    def parts(self, run: Run) -> Parts:  # noqa: ARG002 (the formats share it)
        """Return the parts of a task.

        Raises:
            BrokenRecordError: A field cannot be used.
        """
        # HumanEval runs the tests below the prompt, so they may use what else it defines.
        test = "\n".join((surroundings(self.prompt, self.entry_point), self.test))
        return Parts(
            id=self.task_id,
            spec=self.prompt.strip(),
            entry_point=self.entry_point,
            source="humaneval",
            code=whole_code(self.prompt, self.canonical_solution, self.entry_point),
            test=converted(test, self.entry_point, "test"),
            examples=examples(self.prompt, self.entry_point),
        )


class EvalPlus(_Raw):
    """A record of EvalPlus."""

    task_id: str | int
    prompt: str
    entry_point: str
    canonical_solution: str
    base_input: list[list[Any]] = Field(min_length=1)
    plus_input: list[list[Any]] = []
    assertion: str = ""
    atol: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def parts(self, run: Run) -> Parts:
        """Return the parts of a task; the canonical solution is run on every input.

        Raises:
            BrokenRecordError: A field cannot be used.
        """
        code = whole_code(self.prompt, self.canonical_solution, self.entry_point)
        inputs = [
            typed_arguments(given, self.assertion, self.entry_point)
            for given in (*self.base_input, *self.plus_input)
        ]
        arguments = list(dict.fromkeys(map(write_literal, inputs)))
        try:
            values = run(code, self.entry_point, arguments)
        except DatasetError as error:
            raise BrokenRecordError("canonical_solution", error) from error
        pairs = zip(arguments, values, strict=True)
        cases = tuple(
            Case(args=args, expected=value, tolerance=self._tolerance(parse_literal(value)))
            for args, value in pairs
        )
        ours = str(self.task_id)
        return Parts(
            id=ours if isinstance(self.task_id, str) else f"Mbpp/{ours}",
            spec=shown(self.prompt),
            entry_point=self.entry_point,
            source="humanevalplus" if ours.startswith("HumanEval") else "mbppplus",
            code=code,
            test=ConvertedTest(cases=cases),
            examples=examples(self.prompt, self.entry_point),
        )

    def _tolerance(self, expected: object) -> float | None:
        floats = [abs(x) for x in _numbers(expected) if isinstance(x, float) and math.isfinite(x)]
        absolute = self.atol or (_FLOAT_TOLERANCE if holds(expected, (float,)) else 0.0)
        if absolute:
            return absolute + _RELATIVE_TOLERANCE * max(floats, default=0.0)
        return equality_tolerance(expected)


class Mbpp(_Raw):
    """A record of MBPP: ``text`` in the full set, ``prompt`` in the sanitized one."""

    task_id: str | int
    text: str = Field(validation_alias=AliasChoices("text", "prompt"))
    code: str
    test_list: list[str] = Field(min_length=1)
    challenge_test_list: list[str] = []
    test_setup_code: str = ""
    test_imports: list[str] = []

    def parts(self, run: Run) -> Parts:  # noqa: ARG002 (the formats share it)
        """Return the parts of a task.

        Raises:
            BrokenRecordError: A field cannot be used.
        """
        assertions = (*self.test_list, *self.challenge_test_list)
        entry_point = called(self.code, "\n".join(assertions))
        test = "\n".join((*self.test_imports, self.test_setup_code, *assertions))
        name = str(self.task_id)
        return Parts(
            id=name if isinstance(self.task_id, str) else f"mbpp/{name}",
            spec=self.text.strip(),
            entry_point=entry_point,
            source="mbpp",
            code=self.code,
            test=converted(test, entry_point, "test_list"),
        )


RAW: dict[Format, type[HumanEval | EvalPlus | Mbpp]] = {
    Format.HUMANEVAL: HumanEval,
    Format.EVALPLUS: EvalPlus,
    Format.MBPP: Mbpp,
}


def _numbers(value: object) -> Iterator[object]:
    """Yield what a value's containers hold, at any depth; or the value itself."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _numbers(item)
    else:
        yield value
