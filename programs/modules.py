"""The stages of a program as DSPy modules: each turns one model answer into a typed value.

Owns what a stage sends and how its answer is read. A bad answer raises ``StageFailed``, which the
program turns into a failed attempt; a failing backend raises ``ProviderError`` and goes through.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import dspy
from dspy.signatures.signature import Signature
from dspy.utils.exceptions import AdapterParseError, LMError
from pydantic import ValidationError

from lift_sys.errors import IRError, ProviderError
from lift_sys.inference import usage
from lift_sys.ir.models import SpecIR
from lift_sys.ir.render import render
from lift_sys.ir.schema import WireCritique, from_wire
from lift_sys.verdict import FailureCategory, no_answer
from programs.adapters import CodeAdapter, ProseAdapter, StructuredAdapter
from programs.forms import BASIC, NO_REMINDER, IRForm, Reminder
from programs.hypers import Hyper
from programs.signatures import Analyse, CritiqueIR, RefineIR, WriteCode, WriteIR


class StageFailed(Exception):  # noqa: N818 (an outcome of a model, not an error of ours)
    """A model's answer could not be used; the message is a failure that ``no_answer`` wrote."""

    def __init__(self, category: FailureCategory, reason: str) -> None:
        super().__init__(no_answer(category, reason))


@dataclass(frozen=True)
class Sampling:
    """How one answer is drawn.

    Attributes:
        temperature: 0 is greedy.
        seed: Of the backend's sampler; equal requests with equal seeds give equal answers.
    """

    temperature: float
    seed: int


class Stage(dspy.Module):
    """One predictor, its prompt layout and its token limit."""

    name: ClassVar[str]
    signature: ClassVar[type[Signature]]
    adapter: ClassVar[dspy.Adapter]
    token_limits: ClassVar[tuple[int, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict(self.signature)
        self.max_tokens = Hyper(f"{self.name}.max_tokens", *self.token_limits)

    def ask(
        self, sampling: Sampling, adapter: dspy.Adapter | None = None, **inputs: Any
    ) -> dspy.Prediction:
        """Return the model's fields.

        Args:
            sampling: How the answer is drawn.
            adapter: Where another form than the stage's own is asked for.
            inputs: The signature's; also ``signature`` and ``demos``, for this request only.

        Raises:
            StageFailed: The answer does not parse or was cut off.
            ProviderError: The backend failed.
        """
        config: dict[str, Any] = {
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "max_tokens": self.max_tokens.value,
        }
        adapter = adapter or self.adapter
        if isinstance(adapter, StructuredAdapter):
            config["response_format"] = adapter.response_format
        parse_error: AdapterParseError | None = None
        prediction = None
        with usage.stage(self.name), usage.recording() as calls, dspy.context(adapter=adapter):
            try:
                prediction = self.predict(**inputs, config=config)
            except AdapterParseError as error:
                parse_error = error
            except LMError as error:
                msg = f"the backend failed in the {self.name} stage: {error}"
                raise ProviderError(msg) from error
        if calls and calls[-1].finish_reason == "length":
            msg = f"the {self.name} stage was cut off at {self.max_tokens.value} tokens"
            raise StageFailed(FailureCategory.TRUNCATED, msg)
        if parse_error is not None:
            structured = isinstance(adapter, StructuredAdapter)
            category = FailureCategory.IR_NOT_PARSED if structured else FailureCategory.OTHER
            msg = f"the answer of the {self.name} stage does not have the form asked for"
            raise StageFailed(category, msg) from parse_error
        return prediction


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
            demos=[form.demo(demo) for demo in self.predict.demos],
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
    ) -> str:
        """Return Python source that parses.

        Raises:
            StageFailed: The answer holds no code.
        """
        given = {"spec": spec, "ir": render(ir) if ir else None}
        seen = {key: value for key, value in given.items() if value is not None}
        answer = self.ask(
            sampling,
            signature=reminder.signature(self.predict.signature),
            demos=self._demos_showing(set(seen)),
            name=name,
            **seen,
            **reminder.inputs,
        )
        code: str = answer.code
        if not code.strip():
            raise StageFailed(FailureCategory.OTHER, "the answer of the code stage is empty")
        return without_examples(code, name)

    def _demos_showing(self, seen: set[str]) -> list[dict[str, Any]]:
        """Return the demos cut to what this call sees; those that lack some of it are left out."""
        keep = {"name", "code"} | seen
        demos = [dict(demo) for demo in self.predict.demos]
        return [
            {k: v for k, v in demo.items() if k in keep}
            for demo in demos
            if all(demo.get(k) for k in keep)
        ]


def without_examples(code: str, name: str) -> str:
    """Drop what models add after a function: example calls, asserts, prints, a main block.

    Only expression statements, asserts and ``if __name__`` blocks at module level go; source that
    does not parse, or does not define ``name``, is returned as it is.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return code
    if not any(getattr(node, "name", None) == name for node in tree.body):
        return code
    kept = [
        segment
        for node in tree.body
        if not _is_example(node) and (segment := _source(code, node)) is not None
    ]
    return "\n\n".join(kept) if kept else code


def _is_example(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr | ast.Assert):
        return True
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _source(code: str, node: ast.stmt) -> str:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    lines = re.split(r"\r\n?|\n", code)  # splitlines() also splits at characters inside literals
    return "\n".join(lines[first - 1 : node.end_lineno])
