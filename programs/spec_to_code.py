"""The program: one module whose hypers make it any of the strategies.

Owns the hypers, and the drawing of candidates and the choice among them. There is no branch per
technique: chain of thought, best-of-N, refinement and direct prompting are values of the hypers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock
from typing import Any

import dspy

from lift_sys.ir.models import SpecIR
from lift_sys.ir.schema import MAX_ASSERTIONS
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case
from programs.attempts import Attempt, Draw
from programs.conclusion import conclude
from programs.critique import BLAME
from programs.drawing import Candidate, draw_candidates
from programs.hypers import Hyper
from programs.modules import (
    CodeGenerator,
    Critic,
    IRGenerator,
    Reasoner,
    Refiner,
    Repairer,
)
from programs.requests import requested
from programs.select import RULES, Rule
from programs.stages import TEMPERATURES, Models, no_models
from programs.writing import Writing


class Borrowed:
    """What a program uses but does not own: copies share it."""

    def __init__(self, sandbox: Sandbox, models: Models) -> None:
        self.sandbox = sandbox
        self.models = models

    def __deepcopy__(self, memo: dict[int, Any]) -> Borrowed:
        return self


class SpecToCode(dspy.Module):
    """Turns a spec into an IR and a Python function.

    Hypers:
        ir_detail: ``none`` asks for code directly; ``basic`` makes an IR first; ``structured`` one
            whose effects also say how, what exactly is returned and what comes first; ``checks``
            one without effects, that only verifies.
        ir_from: The first candidate that gets an IR; those before it are written from the spec.
        ir_wire: What a model writes an IR in: ``json``, or ``compact`` with fewer tokens.
        assertions: Most assertions that the IR stage may write.
        quirks: Which quirks of Python the IR stage is told of, and the code stage where it sees the
            spec: ``off``, ``all``, or those ``triggered`` by the spec.
        reason: Whether the spec is analysed before the IR is written.
        n: Most candidates drawn; fewer where no stage that makes them samples, since all would be
            the same.
        temperature: Of every stage that has none of its own.
        greedy_first: Whether the first candidate is drawn as if ``temperature`` were 0.
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

    Each stage has hypers of its own as well (``programs.stages.Stage``), among them which of its
    demos a request shows.

    Args:
        sandbox: Where generated code runs.
        models: Gives the models that stages name; without it, none may name one.
    """

    def __init__(self, sandbox: Sandbox, models: Models = no_models) -> None:
        super().__init__()
        self.borrowed = Borrowed(sandbox, models)
        self.reasoner = Reasoner()
        self.ir_generator = IRGenerator()
        self.critic = Critic()
        self.refiner = Refiner()
        self.code_generator = CodeGenerator()
        self.repairer = Repairer()
        self.ir_detail = Hyper("ir_detail", "basic", "none", "structured", "checks")
        self.ir_from = Hyper("ir_from", *range(9))
        self.ir_wire = Hyper("ir_wire", "json", "compact")
        self.assertions = Hyper("assertions", MAX_ASSERTIONS, 3, 8)
        self.quirks = Hyper("quirks", "off", "all", "triggered")
        self.reason = Hyper("reason", False, True)
        self.n = Hyper("n", *range(1, 17))
        self.temperature = Hyper("temperature", *TEMPERATURES)
        self.greedy_first = Hyper("greedy_first", False, True)
        self.refine_iterations = Hyper("refine_iterations", *range(5))
        self.critique = Hyper("critique", "model", "execution", "both")
        self.repair = Hyper("repair", *BLAME)
        self.code_sees = Hyper("code_sees", "ir", "spec_and_ir", "spec")
        self.extract_assertions = Hyper("extract_assertions", "off", "on")
        self.select = Hyper("select", *RULES)
        self.weights = Hyper("weights", "equal", "calibrated")
        self.stop_at = Hyper("stop_at", 0.8, 0.5, 0.6, 0.7, 0.9, 0.95)

    def with_models(self, models: Models) -> SpecToCode:
        """Return a copy whose stages get the models that they name from ``models``."""
        copy: SpecToCode = self.deepcopy()
        copy.borrowed = Borrowed(self.borrowed.sandbox, models)
        return copy

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
            ``failure`` (str or None), ``attempts`` (every candidate, in order), ``chosen`` (which
            of them is the answer, from 0) and ``holes`` (what the spec leaves open; also in the
            IR).

        Raises:
            ConfigError: The spec is empty, too long, or asks for a class; or a stage names a model
                and the program was given none.
            ModelError: A model that a stage names cannot be had.
            ProviderError: The backend failed.
            SandboxError: The sandbox failed.
        """
        view = requested(spec, entry_point, visible)
        rule = RULES[str(self.select.value)]
        writing = Writing(self, view, rollout, ir)
        draw = self._draw(writing, self.most_candidates(writing, rule))
        drawn = self._candidates(writing, rule, draw)
        chosen = drawn[rule.choose([c.attempt for c in drawn], draw).index]
        if not rule.needs_code:
            chosen = drawn[chosen.attempt.index] = writing.add_code(chosen)
        if dspy.settings.trace is not None:
            dspy.settings.trace.extend(chosen.trace)
        return conclude(chosen.attempt, [c.attempt for c in drawn], draw)

    async def aforward(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        """Do what ``forward`` does, for ``await program.acall(spec=...)``.

        The work is done in a thread, so that the event loop stays free. A task that is cancelled no
        longer waits for it; what was begun runs to its end.
        """
        return await asyncio.to_thread(self.forward, *args, **inputs)

    def _draw(self, writing: Writing, n: int) -> Draw:
        return Draw(
            writing.view,
            n=n,
            sandbox=writing.sandbox,
            assertions=int(self.assertions.value),
            stop_at=float(self.stop_at.value),
        )

    def most_candidates(self, writing: Writing, rule: Rule) -> int:
        """Return how many candidates may be drawn: of equal ones, one."""
        n = int(self.n.value)
        if writing.sample(writing.stages(code=rule.needs_code)):
            return n
        return min(n, 1 + writing.drafts) if writing.makes_irs else 1

    def _candidates(self, writing: Writing, rule: Rule, draw: Draw) -> list[Candidate]:
        stages = writing.stages(code=rule.needs_code)
        # IRs that no stage samples are all the same: one is made and shared.
        alike = not writing.sample(writing.stages(code=False))
        made: list[Candidate] = []
        making = Lock()

        def draft(index: int) -> Candidate:
            if not (alike and writing.has_ir(index)):
                return writing.draft(index)
            with making:
                if not made:
                    made.append(writing.draft(index))
            return made[0].numbered(index)

        def make(index: int) -> Candidate:
            return writing.add_code(draft(index)) if rule.needs_code else draft(index)

        def enough(attempts: Sequence[Attempt]) -> bool:
            return rule.enough(attempts, draw)

        return draw_candidates(make, enough, draw.n, writing.concurrency(stages))
