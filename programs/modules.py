"""The stages of a program: each turns one model answer into a typed value.

Owns what each stage sends and how its answer is read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from pydantic import ValidationError

from lift_sys.errors import IRError
from lift_sys.ir.models import SpecIR
from lift_sys.ir.render import render
from lift_sys.ir.schema import WireCritique, from_wire
from lift_sys.verdict import FailureCategory
from programs.adapters import CodeAdapter, ProseAdapter, StructuredAdapter
from programs.cleaning import defines, without_examples
from programs.critique import Critique, Issue, listed
from programs.forms import BASIC, NO_REMINDER, IRForm, Reminder
from programs.signatures import Analyse, CritiqueIR, RefineIR, RepairCode, WriteCode, WriteIR
from programs.stages import Sampling, Stage, StageFailed


class Reasoner(Stage):
    """Thinks about a spec before anything is written."""

    name = "reason"
    signature = Analyse
    adapter = ProseAdapter()
    token_limits = (256, 512)

    def forward(self, name: str, spec: str, sampling: Sampling) -> str:
        """Return the analysis."""
        return str(self.ask(sampling, name=name, spec=spec).analysis)


class IRWriter(Stage):
    """A stage whose answer is an IR, in any of its forms."""

    adapter = BASIC.adapter
    token_limits = (512, 1024)

    def write(
        self, name: str, sampling: Sampling, form: IRForm, reminder: Reminder, **inputs: Any
    ) -> SpecIR:
        """Return the IR.

        Raises:
            StageFailed: What the model filled is not an IR.
        """
        answer = self.ask(
            sampling,
            form.adapter,
            signature=reminder.signature(form.signature(self.predict.signature)),
            demos=self.demos_for(str(inputs["spec"]), form.demo, form.asked),
            name=name,
            **inputs,
            **reminder.inputs,
        )
        try:
            return from_wire(form.read(answer, inputs["spec"]), name)
        except (IRError, ValidationError) as error:
            msg = f"the answer of the {self.name} stage is not an IR ({_why(error)})"
            raise StageFailed(FailureCategory.IR_NOT_PARSED, msg) from error


def _why(error: IRError | ValidationError) -> str:
    if isinstance(error, IRError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


class IRGenerator(IRWriter):
    """Turns a spec into an IR."""

    name = "ir"
    signature = WriteIR

    def forward(
        self,
        name: str,
        spec: str,
        analysis: str | None,
        sampling: Sampling,
        form: IRForm = BASIC,
        reminder: Reminder = NO_REMINDER,
    ) -> SpecIR:
        """Return the IR.

        Raises:
            StageFailed: What the model filled is not an IR.
        """
        inputs = {"spec": spec} | ({"analysis": analysis} if analysis else {})
        return self.write(name, sampling, form, reminder, **inputs)


class Critic(Stage):
    """Looks for what is wrong with an IR."""

    name = "critic"
    signature = CritiqueIR
    adapter = StructuredAdapter(WireCritique)
    token_limits = (512, 256)

    def forward(self, spec: str, ir: SpecIR, sampling: Sampling) -> Critique:
        """Return the critique.

        Raises:
            StageFailed: What the model filled is not a critique.
        """
        answer = self.ask(sampling, spec=spec, ir=render(ir))
        issues = tuple(Issue.model_validate(issue) for issue in answer.issues)
        return Critique(issues=issues, overall_quality=answer.overall_quality)


class Refiner(IRWriter):
    """Rewrites an IR so that issues are fixed."""

    name = "refine"
    signature = RefineIR

    def forward(
        self,
        spec: str,
        ir: SpecIR,
        issues: Sequence[Issue],
        sampling: Sampling,
        form: IRForm = BASIC,
    ) -> SpecIR:
        """Return the rewritten IR.

        Raises:
            StageFailed: What the model filled is not an IR.
        """
        inputs = {"spec": spec, "ir": render(ir), "issues": listed(issues)}
        return self.write(ir.signature.name, sampling, form, NO_REMINDER, **inputs)


class CodeWriter(Stage):
    """A stage whose answer is a function."""

    adapter = CodeAdapter()
    token_limits = (512, 1024)

    def read(self, answer: dspy.Prediction, name: str) -> str:
        """Return Python source.

        Raises:
            StageFailed: The answer holds no code, or code that does not define the function.
        """
        code: str = answer.code
        of = f"the answer of the {self.name} stage"
        if not code.strip():
            raise StageFailed(FailureCategory.OTHER, f"{of} is empty")
        defined = defines(code, name)
        if defined is None:
            raise StageFailed(FailureCategory.SYNTAX, f"{of} is not Python")
        if not defined:
            msg = f"{of} does not define {name}"
            raise StageFailed(FailureCategory.ENTRY_POINT_OR_ARITY, msg)
        return without_examples(code, name)


class CodeGenerator(CodeWriter):
    """Turns an IR, a spec, or both into a function."""

    name = "code"
    signature = WriteCode

    def forward(
        self,
        name: str,
        spec: str | None,
        ir: SpecIR | None,
        sampling: Sampling,
        reminder: Reminder = NO_REMINDER,
        sees: str = "spec_and_ir",
    ) -> str:
        """Return Python source.

        Args:
            name: Of the function.
            spec: Chooses the demos, also where it is not seen.
            ir: Of the function.
            sampling: How the answer is drawn.
            reminder: Of quirks of Python.
            sees: A value of the hyper ``code_sees``: which of spec and IR the request shows.

        Raises:
            StageFailed: The answer holds no code, or code that does not define the function.
        """
        given = {
            "spec": None if sees == "ir" else spec,
            "ir": None if ir is None or sees == "spec" else render(ir),
        }
        seen = {key: value for key, value in given.items() if value is not None}
        answer = self.ask(
            sampling,
            _code_of(name),
            signature=reminder.signature(self.predict.signature),
            demos=self.demos_for(spec or "", lambda demo: _cut(demo, {"name", "code", *seen})),
            name=name,
            **seen,
            **reminder.inputs,
        )
        return self.read(answer, name)


class Repairer(CodeWriter):
    """Rewrites a function so that problems are solved."""

    name = "repair"
    signature = RepairCode

    def forward(
        self, name: str, spec: str, code: str, problems: Sequence[Issue], sampling: Sampling
    ) -> str:
        """Return Python source.

        Raises:
            StageFailed: The answer holds no code, or code that does not define the function.
        """
        inputs = {"name": name, "spec": spec, "draft": code, "problems": listed(problems)}
        answer = self.ask(sampling, _code_of(name), **inputs)
        return self.read(answer, name)


_code_of = functools.lru_cache(maxsize=64)(CodeAdapter)  # all candidates of an answer ask with one


def _cut(demo: Mapping[str, Any], keys: set[str]) -> dict[str, Any] | None:
    """Return these fields of a demo; ``None`` where it lacks some."""
    return {k: v for k, v in demo.items() if k in keys} if all(map(demo.get, keys)) else None
