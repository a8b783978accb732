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
from lift_sys.ir.schema import MAX_ASSERTIONS
from lift_sys.knowledge.constraints import Extraction, extract
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, TaskView
from programs.attempts import Attempt, Draw, Remembering
from programs.belief import Reliability, reliability_of
from programs.critique import BLAME
from programs.forms import NO_REMINDER, IRForm, ir_form, remind
from programs.hypers import Hyper
from programs.modules import (
    CodeGenerator,
    Critic,
    IRGenerator,
    Reasoner,
    Refiner,
    Repairer,
)
from programs.naming import function_name
from programs.refinement import Plan, Refinement, Writers
from programs.select import RULES
from programs.stages import Sampling, StageFailed
from programs.stated import with_hints, with_stated
from programs.versions import Trace

MAX_SPEC_CHARS = 16_000
"""Longest spec that is accepted, in characters; longer ones do not fit a model's context."""


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
            whose effects also say how, what exactly is returned and what comes first; ``checks``
            one without effects, that only verifies.
        ir_wire: What a model writes an IR in: ``json``, or ``compact`` with fewer tokens.
        assertions: Most assertions that the IR stage may write.
        quirks: Which quirks of Python the IR stage is told of, and the code stage where it sees the
            spec: ``off``, ``all``, or those ``triggered`` by the spec.
        reason: Whether the spec is analysed before the IR is written.
        n: Most candidates drawn.
        temperature: Of every stage of every candidate but greedy ones; at 0 all candidates would
            be the same, so only one is drawn.
        refine_iterations: Most rounds of critique and rewriting of each candidate, by each critic.
        critique: Who names what is wrong: a ``model`` that reads the IR before there is code,
            ``execution`` of the assertions on the code, or ``both`` in turn.
        repair: What is rewritten then: the ``ir``, the ``code``, or the ``blamed`` one of both
            (``programs.critique``).
        code_sees: What the code stage reads: the IR, the spec and the IR, or the spec alone, in
            which case the IR only verifies.
        extract_assertions: Whether what the spec's text states is extracted: examples and
            properties become stated assertions, the rest hints for the IR stage.
        select: The rule that chooses among candidates (``programs.select``).
        weights: What a derived assertion counts where ``select`` is ``assertions``: the same each,
            or ``calibrated``: as much as those of its model and kind were worth on train
            (``programs.belief``).
        stop_at: With ``calibrated`` weights, the posterior from which no other candidate is drawn.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.borrowed = Borrowed(sandbox)
        self.reasoner = Reasoner()
        self.ir_generator = IRGenerator()
        self.critic = Critic()
        self.refiner = Refiner()
        self.code_generator = CodeGenerator()
        self.repairer = Repairer()
        self.ir_detail = Hyper("ir_detail", "basic", "none", "structured", "checks")
        self.ir_wire = Hyper("ir_wire", "json", "compact")
        self.assertions = Hyper("assertions", MAX_ASSERTIONS, 3, 8)
        self.quirks = Hyper("quirks", "off", "all", "triggered")
        self.reason = Hyper("reason", False, True)
        self.n = Hyper("n", *range(1, 17))
        self.temperature = Hyper("temperature", 0.0, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
        self.refine_iterations = Hyper("refine_iterations", *range(5))
        self.critique = Hyper("critique", "model", "execution", "both")
        self.repair = Hyper("repair", *BLAME)
        self.code_sees = Hyper("code_sees", "ir", "spec_and_ir", "spec")
        self.extract_assertions = Hyper("extract_assertions", "off", "on")
        self.select = Hyper("select", *RULES)
        self.weights = Hyper("weights", "equal", "calibrated")
        self.stop_at = Hyper("stop_at", 0.8, 0.5, 0.6, 0.7, 0.9, 0.95)

    def forward(
        self,
        spec: str,
        entry_point: str | None = None,
        visible: Sequence[Case] = (),
        rollout: int = 0,
        ir: SpecIR | None = None,
    ) -> dspy.Prediction:
        """Write the function.

        Args:
            spec: The request in plain language.
            entry_point: Name of the function; made from the spec where it is missing.
            visible: Cases the program may see and run.
            rollout: Another number draws other samples of the same program.
            ir: Stands in for what the IR stages would write; they are not asked.

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
        sandbox = Remembering(self.borrowed.sandbox)
        draw = Draw(
            view,
            n=int(self.n.value),
            sandbox=sandbox,
            assertions=int(self.assertions.value),
            stop_at=float(self.stop_at.value),
        )
        attempts: list[Attempt] = []
        traces: list[Trace] = []
        for index in range(draw.n):
            attempt, trace = self._draw(view, index, rollout, ir, write=rule.needs_code)
            attempts.append(attempt)
            traces.append(trace)
            if rule.enough(attempts, draw) or self.temperature.value == 0:
                break
        chosen = rule.choose(attempts, draw)
        if chosen.code is None and chosen.failure is None:
            chosen = self._finish(chosen, view, rollout, traces[chosen.index])
            attempts[chosen.index] = chosen
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
        self, view: TaskView, index: int, rollout: int, ir: SpecIR | None, *, write: bool
    ) -> tuple[Attempt, Trace]:
        """Make one candidate: its IR, unless it is given, and, if asked, its code."""
        trace: Trace = []
        attempt = Attempt(index=index)
        with dspy.context(trace=trace):
            try:
                if ir is not None:
                    stated = with_stated(ir, view.visible, self._extract(view, ir.signature))
                    attempt = attempt.model_copy(update={"ir": stated})
                elif self.ir_detail.value != "none":
                    attempt = self._write_ir(attempt, view, rollout)
                if write:
                    attempt = self._refinement(view, index, rollout).write_code(attempt)
            except StageFailed as failed:
                attempt = attempt.model_copy(update={"failure": str(failed)})
        return attempt, trace

    def _finish(self, attempt: Attempt, view: TaskView, rollout: int, trace: Trace) -> Attempt:
        """Write the code of a candidate that was chosen by its IR, and go on with its trace."""
        with dspy.context(trace=trace):
            try:
                return self._refinement(view, attempt.index, rollout).write_code(attempt)
            except StageFailed as failed:
                return attempt.model_copy(update={"failure": str(failed)})

    def _write_ir(self, attempt: Attempt, view: TaskView, rollout: int) -> Attempt:
        name, spec = str(view.entry_point), spec_with_examples(view)
        analysis = None
        if self.reason.value:
            sampling = self._sampling(spec, "reason", attempt.index, rollout)
            analysis = self.reasoner(name=name, spec=spec, sampling=sampling)
        ir = self.ir_generator(
            name=name,
            spec=with_hints(spec, self._extract(view, None)),
            analysis=analysis,
            sampling=self._sampling(spec, "ir", attempt.index, rollout),
            form=self._form(),
            reminder=remind(str(self.quirks.value), view.spec),
        )
        return self._refinement(view, attempt.index, rollout).refine_ir(attempt, ir)

    def _form(self) -> IRForm:
        """Return the form of every IR; without any, the one that a refiner would be given."""
        detail = "basic" if self.ir_detail.value == "none" else str(self.ir_detail.value)
        return ir_form(detail, str(self.ir_wire.value), int(self.assertions.value))

    def _refinement(self, view: TaskView, index: int, rollout: int) -> Refinement:
        """Bind the stages to one candidate."""
        spec = spec_with_examples(view)

        def sampling(step: str) -> Sampling:
            return self._sampling(spec, step, index, rollout)

        return Refinement(
            plan=Plan(
                critique=str(self.critique.value),
                repair=str(self.repair.value),
                rounds=int(self.refine_iterations.value),
            ),
            writers=Writers(
                critic=self.critic,
                refiner=self.refiner,
                repairer=self.repairer,
                write=lambda ir, step: self._write_code(view, ir, sampling(step)),
                form=self._form(),
                sampling=sampling,
            ),
            view=view,
            spec=spec,
            extract=lambda ir: self._extract(view, ir.signature if ir else None),
            shows_ir=self.code_sees.value != "spec",
            sandbox=self.borrowed.sandbox,
            reliability=self._reliability(),
        )

    def _reliability(self) -> Reliability | None:
        """Return what assertions of the IR stage's model are worth, where they are weighed."""
        if self.weights.value == "equal":
            return None
        return reliability_of(self.ir_generator.predict.lm or dspy.settings.lm)

    def _write_code(self, view: TaskView, ir: SpecIR | None, sampling: Sampling) -> str:
        sees = "spec" if ir is None else self.code_sees.value
        code: str = self.code_generator(
            name=str(view.entry_point),
            spec=None if sees == "ir" else spec_with_examples(view),
            ir=None if sees == "spec" else ir,
            sampling=sampling,
            reminder=NO_REMINDER if sees == "ir" else remind(str(self.quirks.value), view.spec),
        )
        return code

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
