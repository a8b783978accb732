"""Writing the candidates of one answer: which stages are asked, in which order, with what.

Owns the making of one candidate, from its index to its IR and code. What it may ask is the
program's; how many candidates are made and which is taken is not decided here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dspy

from lift_sys.inference.lm import asks_in_turn, concurrency_of
from lift_sys.inference.samples import derived_seed
from lift_sys.ir.models import FunctionSignature, SpecIR
from lift_sys.knowledge.constraints import Extraction, extract
from lift_sys.tasks import TaskView
from programs.attempts import Attempt, Remembering
from programs.belief import Reliability, reliability_of
from programs.drawing import Candidate
from programs.forms import IRForm, ir_form, remind
from programs.refinement import Plan, Refinement, Writers
from programs.requests import spec_with_examples
from programs.stages import Sampling, Stage, StageFailed
from programs.stated import with_hints
from programs.versions import Trace

if TYPE_CHECKING:
    from programs.spec_to_code import SpecToCode


@dataclass(frozen=True)
class Writing:
    """What is fixed while the candidates of one answer are written.

    Attributes:
        program: Whose stages are asked.
        view: The task, without hidden cases.
        rollout: Another number draws other samples.
        given: Stands in for what the IR stages would write.
    """

    program: SpecToCode
    view: TaskView
    rollout: int
    given: SpecIR | None = None

    def stages(self, *, code: bool) -> list[Stage]:
        """Return the stages that make a candidate's IR and, if asked, its code."""
        program = self.program
        stages: list[Stage] = []
        if self.makes_irs:
            stages += [program.reasoner] if program.reason.value else []
            stages += [program.ir_generator]
            stages += [program.critic, program.refiner] if program.refine_iterations.value else []
        return [*stages, *self._code_stages()] if code else stages

    def _code_stages(self) -> list[Stage]:
        program = self.program
        repairs = program.refine_iterations.value and program.repair.value != "ir"
        return [program.code_generator, *([program.repairer] if repairs else [])]

    @functools.cached_property
    def sandbox(self) -> Remembering:
        """Where candidates run; it remembers until the answer is made."""
        return Remembering(self.program.borrowed.sandbox)

    @functools.cached_property
    def spec(self) -> str:
        """The spec as stages read it."""
        return spec_with_examples(self.view)

    @functools.cached_property
    def plan(self) -> Plan:
        """The hypers of refinement."""
        program = self.program
        return Plan(
            critique=str(program.critique.value),
            repair=str(program.repair.value),
            rounds=int(program.refine_iterations.value),
        )

    @functools.cached_property
    def form(self) -> IRForm:
        """The form of every IR; without any, the one that a refiner would be given."""
        program = self.program
        detail = "basic" if program.ir_detail.value == "none" else str(program.ir_detail.value)
        return ir_form(detail, str(program.ir_wire.value), int(program.assertions.value))

    @functools.cached_property
    def reliability(self) -> Reliability | None:
        """What assertions of the IR stage's model are worth, where they are weighed."""
        if self.program.weights.value == "equal":
            return None
        return reliability_of(self.program.ir_generator.lm(self.program.borrowed.models))

    @functools.cached_property
    def makes_irs(self) -> bool:
        """Whether stages are asked for IRs."""
        return self.program.ir_detail.value != "none" and self.given is None

    @functools.cached_property
    def drafts(self) -> int:
        """How many candidates come before those with an IR; where all would be equal, one."""
        wanted = int(self.program.ir_from.value)
        return wanted if self.sample(self._code_stages()) else min(wanted, 1)

    def sample(self, stages: Sequence[Stage]) -> bool:
        """Tell whether the answers of some of these stages differ from candidate to candidate."""
        temperature = float(self.program.temperature.value)
        return any(stage.temperature_in(temperature) > 0 for stage in stages)

    def concurrency(self, stages: Sequence[Stage]) -> int:
        """Return how many candidates are made at once: as many as every model of them takes."""
        if asks_in_turn():
            return 1
        lms = [stage.lm(self.program.borrowed.models) for stage in stages]
        return min((concurrency_of(lm) for lm in lms), default=1)

    def draft(self, index: int) -> Candidate:
        """Begin a candidate: make its IR, if the program makes one for it."""
        trace: Trace = []
        attempt = Attempt(index=index)
        if self.given is None and not self.has_ir(index):
            return Candidate(attempt, trace)
        with dspy.context(trace=trace):
            try:
                if self.given is not None:
                    given = self._refinement(index).with_stated(self.given)
                    attempt = attempt.model_copy(update={"ir": given})
                else:
                    attempt = self._write_ir(attempt)
            except StageFailed as failed:
                attempt = attempt.model_copy(update={"failure": str(failed)})
        return Candidate(attempt, trace)

    def add_code(self, candidate: Candidate) -> Candidate:
        """Write the code of a candidate that has not failed yet."""
        attempt, trace = candidate.attempt, list(candidate.trace)
        if attempt.failure is not None:
            return candidate
        try:
            attempt = self._refinement(attempt.index).write_code(attempt, trace)
        except StageFailed as failed:
            attempt = attempt.model_copy(update={"failure": str(failed)})
        return Candidate(attempt, trace)

    def has_ir(self, index: int) -> bool:
        """Tell whether the program makes an IR for this candidate."""
        return self.makes_irs and index >= self.drafts

    def _write_ir(self, attempt: Attempt) -> Attempt:
        program, index = self.program, attempt.index
        name, spec = str(self.view.entry_point), self.spec
        analysis = None
        if program.reason.value:
            analysis = program.reasoner(
                name=name, spec=spec, sampling=self._sampling("reason", index)
            )
        ir = program.ir_generator(
            name=name,
            spec=with_hints(spec, self._extract(None)),
            analysis=analysis,
            sampling=self._sampling("ir", index),
            form=self.form,
            reminder=remind(str(program.quirks.value), self.view.spec),
        )
        return self._refinement(index).refine_ir(attempt, ir)

    def _refinement(self, index: int) -> Refinement:
        """Bind the stages to one candidate."""
        program = self.program

        def sampling(step: str) -> Sampling:
            return self._sampling(step, index)

        return Refinement(
            plan=self.plan,
            writers=Writers(
                critic=program.critic,
                refiner=program.refiner,
                repairer=program.repairer,
                write=lambda ir, step: self._write_code(ir, sampling(step)),
                form=self.form,
                sampling=sampling,
            ),
            view=self.view,
            spec=self.spec,
            extract=lambda ir: self._extract(ir.signature if ir else None),
            shows_ir=program.code_sees.value != "spec",
            sandbox=self.sandbox,
            reliability=self.reliability,
        )

    def _write_code(self, ir: SpecIR | None, sampling: Sampling) -> str:
        program = self.program
        sees = "spec" if ir is None else str(program.code_sees.value)
        quirks = "off" if sees == "ir" else str(program.quirks.value)
        code: str = program.code_generator(
            name=str(self.view.entry_point),
            spec=self.spec,
            ir=ir,
            sampling=sampling,
            reminder=remind(quirks, self.view.spec),
            sees=sees,
        )
        return code

    def _extract(self, signature: FunctionSignature | None) -> Extraction:
        """Return what the spec's text states of a function with this signature."""
        if self.program.extract_assertions.value == "off":
            return Extraction()
        return extract(self.view.spec, str(self.view.entry_point), signature)

    def _sampling(self, step: str, index: int) -> Sampling:
        """Derive the seed from everything that names this answer."""
        program = self.program
        seed = derived_seed(self.rollout, index, step, self.spec)
        greedy = index == 0 and bool(program.greedy_first.value)
        temperature = 0.0 if greedy else float(program.temperature.value)
        return Sampling(temperature, seed, program.borrowed.models)
