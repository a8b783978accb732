"""Refining one candidate in rounds: its IR before there is code, whichever is to blame after.

Owns the rounds, and which state of a candidate is its result: the best, not the last. An answer
that cannot be used ends the rounds and costs nothing that was there before. Of DSPy's trace it
leaves what led to the result, so that demos show no answer that execution refuted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import dspy

from lift_sys.ir.models import SpecIR
from lift_sys.knowledge.constraints import Extraction
from lift_sys.sandbox.assertions import held_assertions
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import TaskView
from programs.attempts import Attempt
from programs.belief import Reliability
from programs.critique import BLAME, Issue, facts_of, issues_of
from programs.forms import IRForm
from programs.modules import Critic, Refiner, Repairer
from programs.stages import Sampling, StageFailed
from programs.stated import stated_cases, with_stated
from programs.versions import Draft, Trace, Version

GOOD_ENOUGH = 8
"""A critic's quality, 0 to 10, from which an IR is not refined any more (the plan's threshold)."""


@dataclass(frozen=True)
class Plan:
    """The hypers of refinement.

    Attributes:
        critique: Who names issues: a ``model`` that reads the IR, ``execution`` of the code, or
            ``both``.
        repair: What is rewritten: the ``ir``, the ``code``, or what is ``blamed``.
        rounds: Most rounds of each critic.
    """

    critique: str
    repair: str
    rounds: int

    @property
    def before_code(self) -> int:
        """Most rounds in which a model reads the IR: none where only code may be rewritten."""
        return 0 if self.critique == "execution" or self.repair == "code" else self.rounds

    @property
    def after_code(self) -> int:
        """Most rounds in which code is executed."""
        return 0 if self.critique == "model" else self.rounds


@dataclass(frozen=True)
class Writers:
    """The stages that a round may ask.

    Attributes:
        critic: Reads an IR.
        refiner: Rewrites an IR.
        repairer: Rewrites code.
        write: Writes the code for an IR, or for none; the text names the step.
        form: Of the IRs.
        sampling: By the step's name.
    """

    critic: Critic
    refiner: Refiner
    repairer: Repairer
    write: Callable[[SpecIR | None, str], str]
    form: IRForm
    sampling: Callable[[str], Sampling]


@dataclass(frozen=True)
class Refinement:
    """What all rounds of one candidate have in common.

    Attributes:
        plan: The hypers.
        writers: The stages.
        view: The task, without hidden cases.
        spec: Its spec as stages read it.
        extract: What the text states of a function that has this IR.
        shows_ir: Whether the code stage reads the IR; code that does not is kept when its IR is
            rewritten.
        sandbox: Where code is executed.
        reliability: Of the assertions that a model derived; ``None`` for equal votes.
    """

    plan: Plan
    writers: Writers
    view: TaskView
    spec: str
    extract: Callable[[SpecIR | None], Extraction]
    shows_ir: bool
    sandbox: Sandbox
    reliability: Reliability | None

    def refine_ir(self, attempt: Attempt, ir: SpecIR) -> Attempt:
        """Let a model criticise the IR and rewrite it until the critic is content.

        The IR of the highest quality is taken. One that the critic did not read, because the rounds
        were over, counts as good as the one it was rewritten from, and a later one is preferred
        among equals: it was written to fix known issues.
        """
        drafts = [Draft(ir, steps=[])]
        with suppress(StageFailed):
            for number in range(self.plan.before_code):
                if not self._reviewed(drafts, number):
                    break
        best = max(enumerate(drafts), key=lambda pair: (pair[1].quality, pair[0]))[1]
        dspy.settings.trace.extend(best.steps)
        made = tuple(draft.kept for draft in drafts) if self.plan.before_code else ()
        return attempt.model_copy(update={"ir": self.with_stated(best.ir), "iterations": made})

    def _reviewed(self, drafts: list[Draft], number: int) -> bool:
        """Let the critic read the last draft; append its rewriting, or return that none is needed.

        Raises:
            StageFailed: An answer could not be used.
        """
        draft, ask = drafts[-1], self.writers
        with _recorded() as steps:
            critique = ask.critic(
                spec=self.spec, ir=draft.ir, sampling=ask.sampling(f"criticrefine{number}")
            )
        quality = critique.overall_quality
        draft = drafts[-1] = replace(draft, quality=quality, read=True, issues=critique.issues)
        if quality >= GOOD_ENOUGH or not critique.issues:
            drafts[-1] = replace(draft, steps=[*draft.steps, *steps])
            return False
        drafts[-1] = replace(draft, blamed="ir")
        ir, more = self._rewritten(draft.ir, critique.issues, f"refine{number}")
        drafts.append(Draft(ir, steps=[*draft.steps, *steps, *more], quality=quality))
        return True

    def write_code(self, attempt: Attempt, trace: Trace) -> Attempt:
        """Write the code, execute it, and repair what is to blame until IR and code agree.

        The version with the highest ``Agreement.rank`` is taken, the earliest among equals. A
        repair that changes nothing ends the rounds.

        Args:
            attempt: The candidate so far.
            trace: What led to its IR; afterwards, what led to the version taken.

        Raises:
            StageFailed: The first answer could not be used.
            SandboxError: The sandbox failed; the code was not judged.
        """
        with _recorded() as steps:
            code = self.writers.write(attempt.ir, "code")
        versions = [self._executed(attempt.ir, code, list(trace), steps)]
        with suppress(StageFailed):
            for number in range(1, self.plan.after_code + 1):
                if versions[-1].agreement.holds or not self._repaired(versions, number):
                    break
        best = max(versions, key=lambda version: version.agreement.rank)
        trace[:] = [*best.ir_steps, *best.code_steps]
        made = tuple(version.kept for version in versions) if self.plan.after_code else ()
        return attempt.model_copy(
            update={
                "ir": best.ir,
                "code": best.code,
                "agreement": best.agreement,
                "iterations": (*attempt.iterations, *made),
            }
        )

    def _repaired(self, versions: list[Version], number: int) -> bool:
        """Append a version without the last one's issues, or return that there is nothing to do.

        Raises:
            StageFailed: An answer could not be used.
            SandboxError: The sandbox failed.
        """
        last = versions[-1]
        part = BLAME[self.plan.repair](last.facts)
        issues = issues_of(last.facts, part)
        if not issues:
            return False
        last = versions[-1] = replace(last, issues=issues, blamed=part)
        ir, code, ir_steps, code_steps = last.ir, last.code, last.ir_steps, last.code_steps
        if part == "code":
            code, code_steps = self._corrected(last.code, issues, f"repair{number}")
        elif last.ir is not None:
            made, ir_steps = self._rewritten(last.ir, issues, f"executedrefine{number}")
            ir = self.with_stated(made)
            if self.shows_ir:
                with _recorded() as code_steps:
                    code = self.writers.write(ir, f"code{number}")
        if (ir, code) == (last.ir, last.code):
            return False
        versions.append(self._executed(ir, code, ir_steps, code_steps))
        return True

    def _rewritten(self, ir: SpecIR, issues: tuple[Issue, ...], step: str) -> tuple[SpecIR, Trace]:
        ask = self.writers
        with _recorded() as steps:
            made = ask.refiner(
                spec=self.spec, ir=ir, issues=issues, sampling=ask.sampling(step), form=ask.form
            )
        return made, steps

    def _corrected(self, code: str, issues: tuple[Issue, ...], step: str) -> tuple[str, Trace]:
        ask, name = self.writers, str(self.view.entry_point)
        with _recorded() as steps:
            made = ask.repairer(
                name=name, spec=self.spec, code=code, problems=issues, sampling=ask.sampling(step)
            )
        return made, steps

    def with_stated(self, ir: SpecIR) -> SpecIR:
        """Return an IR with what is stated among its assertions."""
        return with_stated(ir, self.view.visible, self.extract(ir))

    def _executed(
        self, ir: SpecIR | None, code: str, ir_steps: Trace, code_steps: Trace
    ) -> Version:
        stated = stated_cases(self.view.visible, self.extract(ir))
        held = held_assertions(code, str(self.view.entry_point), ir, stated, self.sandbox)
        facts = facts_of(ir, stated, held, shown=self.shows_ir)
        return Version(ir, code, facts, ir_steps, code_steps, self.reliability)


@contextmanager
def _recorded() -> Iterator[Trace]:
    """Collect the trace of what is asked inside, apart from the candidate's."""
    steps: Trace = []
    with dspy.context(trace=steps):
        yield steps
