"""The stages of a program: each turns one model answer into a typed value.

Owns what each stage sends and how its answer is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lift_sys.errors import IRError
from lift_sys.ir.models import SpecIR
from lift_sys.ir.render import render
from lift_sys.ir.schema import WireCritique, from_wire
from lift_sys.verdict import FailureCategory
from programs.adapters import CodeAdapter, ProseAdapter, StructuredAdapter
from programs.cleaning import without_examples
from programs.forms import BASIC, NO_REMINDER, IRForm, Reminder
from programs.signatures import Analyse, CritiqueIR, RefineIR, WriteCode, WriteIR
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
            demos=self.demos_for(str(inputs["spec"]), form.demo),
            name=name,
            **inputs,
            **reminder.inputs,
        )
        fields = {key: answer.get(key) for key in form.wire.model_fields}
        try:
            return from_wire(form.wire.model_validate(fields), name)
        except (IRError, ValidationError) as error:
            msg = f"the answer of the {self.name} stage is not an IR ({str(error).splitlines()[0]})"
            raise StageFailed(FailureCategory.IR_NOT_PARSED, msg) from error


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


@dataclass(frozen=True)
class Critique:
    """What a critic found.

    Attributes:
        issues: Each with its fix.
        overall_quality: 0 (useless) to 10 (perfect).
    """

    issues: tuple[str, ...]
    overall_quality: int


class Critic(Stage):
    """Looks for what is wrong with an IR."""

    name = "critic"
    signature = CritiqueIR
    adapter = StructuredAdapter(WireCritique)
    token_limits = (256, 512)

    def forward(self, spec: str, ir: SpecIR, sampling: Sampling) -> Critique:
        """Return the critique."""
        answer = self.ask(sampling, spec=spec, ir=render(ir))
        return Critique(issues=tuple(answer.issues), overall_quality=answer.overall_quality)


class Refiner(IRWriter):
    """Rewrites an IR according to a critique."""

    name = "refine"
    signature = RefineIR

    def forward(
        self, spec: str, ir: SpecIR, critique: Critique, sampling: Sampling, form: IRForm = BASIC
    ) -> SpecIR:
        """Return the rewritten IR.

        Raises:
            StageFailed: What the model filled is not an IR.
        """
        issues = "\n".join(f"- {issue}" for issue in critique.issues)
        inputs = {"spec": spec, "ir": render(ir), "issues": issues}
        return self.write(ir.signature.name, sampling, form, NO_REMINDER, **inputs)


class CodeGenerator(Stage):
    """Turns an IR, a spec, or both into a function."""

    name = "code"
    signature = WriteCode
    adapter = CodeAdapter()
    token_limits = (512, 1024)

    def forward(
        self,
        name: str,
        spec: str | None,
        ir: SpecIR | None,
        sampling: Sampling,
        reminder: Reminder = NO_REMINDER,
        sees: str = "spec_and_ir",
    ) -> str:
        """Return Python source that parses.

        Args:
            name: Of the function.
            spec: Chooses the demos, also where it is not seen.
            ir: Of the function.
            sampling: How the answer is drawn.
            reminder: Of quirks of Python.
            sees: A value of the hyper ``code_sees``: which of spec and IR the request shows.

        Raises:
            StageFailed: The answer holds no code.
        """
        given = {
            "spec": None if sees == "ir" else spec,
            "ir": None if ir is None or sees == "spec" else render(ir),
        }
        seen = {key: value for key, value in given.items() if value is not None}
        answer = self.ask(
            sampling,
            signature=reminder.signature(self.predict.signature),
            demos=self.demos_for(spec or "", lambda demo: _cut(demo, {"name", "code", *seen})),
            name=name,
            **seen,
            **reminder.inputs,
        )
        code: str = answer.code
        if not code.strip():
            raise StageFailed(FailureCategory.OTHER, "the answer of the code stage is empty")
        return without_examples(code, name)


def _cut(demo: Mapping[str, Any], keys: set[str]) -> dict[str, Any] | None:
    """Return these fields of a demo; ``None`` where it lacks some."""
    return {k: v for k, v in demo.items() if k in keys} if all(map(demo.get, keys)) else None
