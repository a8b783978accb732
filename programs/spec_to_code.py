"""The program: one module whose hypers make it any of the strategies.

Owns the order of the stages and the drawing of candidates. There is no branch per technique:
chain of thought, best-of-N, refinement and direct prompting are values of the hypers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import dspy

from lift_sys.errors import ConfigError
from lift_sys.ir.models import FunctionSignature, SpecIR
from lift_sys.knowledge.constraints import Extraction, extract
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, TaskView
from programs.agreement import check_agreement
from programs.attempts import Attempt, Draw, Remembering
from programs.forms import IR_FORMS, NO_REMINDER, remind
from programs.hypers import Hyper
from programs.modules import (
    CodeGenerator,
    Critic,
    IRGenerator,
    Reasoner,
    Refiner,
)
from programs.naming import function_name
from programs.select import RULES
from programs.stages import Sampling, StageFailed
from programs.stated import stated_cases, with_hints, with_stated

MAX_SPEC_CHARS = 16_000
"""Longest spec that is accepted, in characters; longer ones do not fit a model's context."""

GOOD_ENOUGH = 8
"""A critic's quality, 0 to 10, from which an IR is not refined any more (the plan's threshold)."""

Trace = list[Any]


class Borrowed:
    """A reference to something a program uses but does not own: copies share it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __deepcopy__(self, memo: dict[int, Any]) -> Borrowed:
        return self


class SpecToCode(dspy.Module):
    """Turns a spec into an IR and a Python function.

    Hypers:
        ir_detail: ``none`` asks for code directly; ``basic`` makes an IR first; ``structured`` one
            whose effects also say how, what exactly is returned and what comes first.
        quirks: Which quirks of Python the IR stage is told of, and the code stage where it sees the
            spec: ``off``, ``all``, or those ``triggered`` by the spec.
        reason: Whether the spec is analysed before the IR is written.
        n: Most candidates drawn.
        temperature: Of every stage of every candidate but greedy ones; at 0 all candidates would
            be the same, so only one is drawn.
        refine_iterations: Most rounds of critique and rewriting of each IR.
        code_sees: What the code stage reads: the IR, the spec and the IR, or the spec alone, in
            which case the IR only verifies.
        extract_assertions: Whether what the spec's text states is extracted: examples and
            properties become stated assertions, the rest hints for the IR stage.
        select: The rule that chooses among candidates (``programs.select``).

    Each stage has hypers of its own (``programs.stages``), among them which of its demos a request
    shows: ``demo_choice``, ``demo_count`` and ``demo_tokens`` (``programs.demo_choice``).
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.borrowed = Borrowed(sandbox)
        self.reasoner = Reasoner()
        self.ir_generator = IRGenerator()
        self.critic = Critic()
        self.refiner = Refiner()
        self.code_generator = CodeGenerator()
        self.ir_detail = Hyper("ir_detail", "basic", "none", "structured")
        self.quirks = Hyper("quirks", "off", "all", "triggered")
        self.reason = Hyper("reason", False, True)
        self.n = Hyper("n", *range(1, 17))
        self.temperature = Hyper("temperature", 0.0, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
        self.refine_iterations = Hyper("refine_iterations", *range(5))
        self.code_sees = Hyper("code_sees", "ir", "spec_and_ir", "spec")
        self.extract_assertions = Hyper("extract_assertions", "off", "on")
        self.select = Hyper("select", *RULES)

    def forward(
        self,
        spec: str,
        entry_point: str | None = None,
        visible: Sequence[Case] = (),
        rollout: int = 0,
    ) -> dspy.Prediction:
        """Write the function.

        Args:
            spec: The request in plain language.
            entry_point: Name of the function; made from the spec where it is missing.
            visible: Cases the program may see and run.
            rollout: Another number draws other samples of the same program.

        Returns:
            A prediction with ``code`` (str or None), ``ir`` (SpecIR or None), ``entry_point``,
            ``failure`` (str or None) and ``attempts`` (every candidate, in order).

        Raises:
            ConfigError: The spec is empty or too long.
            ProviderError: The backend failed.
            SandboxError: The sandbox failed.
        """
        refuse_unusable(spec)
        view = TaskView(
            spec=spec, entry_point=entry_point or function_name(spec), visible=tuple(visible)
        )
        rule = RULES[str(self.select.value)]
        draw = Draw(view, int(self.n.value), Remembering(self.borrowed.sandbox))
        attempts: list[Attempt] = []
        traces: list[Trace] = []
        for index in range(draw.n):
            attempt, trace = self._draw(view, index, rollout, write=rule.needs_code)
            attempts.append(attempt)
            traces.append(trace)
            if rule.enough(attempts, draw) or self.temperature.value == 0:
                break
        chosen = rule.choose(attempts, draw)
        if chosen.code is None and chosen.failure is None:
            chosen, trace = self._finish(chosen, view, rollout)
            attempts[chosen.index] = chosen
            traces[chosen.index] += trace
        if dspy.settings.trace is not None:
            dspy.settings.trace.extend(traces[chosen.index])
        return dspy.Prediction(
            code=chosen.code,
            ir=chosen.ir,
            entry_point=view.entry_point,
            failure=chosen.failure,
            attempts=tuple(attempts),
        )

    def _draw(
        self, view: TaskView, index: int, rollout: int, *, write: bool
    ) -> tuple[Attempt, Trace]:
        """Make one candidate: its IR and, if asked, its code."""
        trace: Trace = []
        ir = None
        with dspy.context(trace=trace):
            try:
                if self.ir_detail.value != "none":
                    ir = self._write_ir(view, index, rollout)
                attempt = Attempt(index=index, ir=ir)
                if write:
                    attempt = self._write_code(attempt, view, rollout)
            except StageFailed as failed:
                attempt = Attempt(index=index, ir=ir, failure=str(failed))
        return attempt, trace

    def _finish(self, attempt: Attempt, view: TaskView, rollout: int) -> tuple[Attempt, Trace]:
        """Write the code of a candidate that was chosen by its IR."""
        trace: Trace = []
        with dspy.context(trace=trace):
            try:
                attempt = self._write_code(attempt, view, rollout)
            except StageFailed as failed:
                attempt = attempt.model_copy(update={"failure": str(failed)})
        return attempt, trace

    def _write_ir(self, view: TaskView, index: int, rollout: int) -> SpecIR:
        name, spec = str(view.entry_point), spec_with_examples(view)
        form = IR_FORMS[str(self.ir_detail.value)]
        analysis = None
        if self.reason.value:
            sampling = self._sampling(spec, "reason", index, rollout)
            analysis = self.reasoner(name=name, spec=spec, sampling=sampling)
        ir = self.ir_generator(
            name=name,
            spec=with_hints(spec, self._extract(view, None)),
            analysis=analysis,
            sampling=self._sampling(spec, "ir", index, rollout),
            form=form,
            reminder=remind(str(self.quirks.value), view.spec),
        )
        for iteration in range(int(self.refine_iterations.value)):
            step = f"refine{iteration}"
            critique = self.critic(
                spec=spec, ir=ir, sampling=self._sampling(spec, "critic" + step, index, rollout)
            )
            if critique.overall_quality >= GOOD_ENOUGH or not critique.issues:
                break
            ir = self.refiner(
                spec=spec,
                ir=ir,
                critique=critique,
                sampling=self._sampling(spec, step, index, rollout),
                form=form,
            )
        return with_stated(ir, view.visible, self._extract(view, ir.signature))

    def _write_code(self, attempt: Attempt, view: TaskView, rollout: int) -> Attempt:
        name, spec = str(view.entry_point), spec_with_examples(view)
        sees = "spec" if attempt.ir is None else str(self.code_sees.value)
        code = self.code_generator(
            name=name,
            spec=spec,
            ir=attempt.ir,
            sampling=self._sampling(spec, "code", attempt.index, rollout),
            reminder=NO_REMINDER if sees == "ir" else remind(str(self.quirks.value), view.spec),
            sees=sees,
        )
        extraction = self._extract(view, attempt.ir.signature if attempt.ir else None)
        stated = stated_cases(view.visible, extraction)
        agreement = check_agreement(code, name, attempt.ir, stated, self.borrowed.sandbox)
        return attempt.model_copy(update={"code": code, "agreement": agreement})

    def _extract(self, view: TaskView, signature: FunctionSignature | None) -> Extraction:
        """Return what the spec's text states of a function with this signature."""
        if self.extract_assertions.value == "off":
            return Extraction()
        return extract(view.spec, str(view.entry_point), signature)

    def _sampling(self, spec: str, stage: str, index: int, rollout: int) -> Sampling:
        """Derive the seed from everything that names this answer."""
        text = f"{rollout}\0{index}\0{stage}\0{spec}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) & 0x7FFFFFFF
        return Sampling(temperature=float(self.temperature.value), seed=seed)


def refuse_unusable(spec: str) -> None:
    """Refuse a spec that no program can work on.

    Raises:
        ConfigError: It is empty or longer than ``MAX_SPEC_CHARS``.
    """
    if not spec.strip():
        msg = "the spec is empty; say in a sentence what the function must do"
        raise ConfigError(msg)
    if len(spec) > MAX_SPEC_CHARS:
        msg = (
            f"the spec has {len(spec):,} characters and at most {MAX_SPEC_CHARS:,} are read; "
            "shorten it to what one function must do"
        )
        raise ConfigError(msg)


def spec_with_examples(view: TaskView) -> str:
    """Return the spec, followed by the visible cases as examples."""
    if not view.visible:
        return view.spec
    lines = [case.render(str(view.entry_point)) for case in view.visible]
    return view.spec + "\nExamples:\n" + "\n".join(lines)
