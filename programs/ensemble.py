"""Several programs that answer together.

Owns ``Ensemble`` and which of its members' answers is taken. Each member has one vote, its own
answer, and the selection rules choose among these as a program chooses among its candidates. So
members agree by what their code does and not by its text, and what the spec states goes before any
majority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import dspy

from lift_sys.ir.models import SpecIR
from lift_sys.tasks import Case, TaskView
from programs.attempts import Attempt, Draw, Remembering
from programs.conclusion import conclude
from programs.drawing import Candidate, draw_candidates
from programs.hypers import Hyper
from programs.requests import requested
from programs.select import RULES
from programs.spec_to_code import Borrowed, SpecToCode
from programs.stages import Models


class Ensemble(dspy.Module):
    """Asks its members in turn until their votes are settled.

    Hypers:
        select: The rule that chooses among the members' answers (``programs.select``).

    Args:
        programs: The members, at least one; each keeps its own hypers.
    """

    def __init__(self, programs: Sequence[SpecToCode]) -> None:
        super().__init__()
        self.programs = list(programs)
        self.select = Hyper("select", "agreement", "assertions")

    @property
    def borrowed(self) -> Borrowed:
        """What the members use but do not own."""
        return self.programs[0].borrowed

    def with_models(self, models: Models) -> Ensemble:
        """Return a copy whose stages get the models that they name from ``models``."""
        copy = Ensemble([member.with_models(models) for member in self.programs])
        copy.select.set(self.select.value)
        return copy

    def forward(
        self,
        spec: str,
        entry_point: str | None = None,
        visible: Sequence[Case] = (),
        rollout: int = 0,
        ir: SpecIR | None = None,
    ) -> dspy.Prediction:
        """Write the function; arguments, result and errors are those of ``SpecToCode``.

        The ``attempts`` of the prediction are the answers of the members that were asked.
        """
        view = requested(spec, entry_point, visible)
        rule, draw = RULES[str(self.select.value)], self._draw(view)
        asked = {
            "spec": spec,
            "entry_point": view.entry_point,
            "visible": view.visible,
            "rollout": rollout,
            "ir": ir,
        }

        def enough(answers: Sequence[Attempt]) -> bool:
            return rule.enough(answers, draw)

        drawn = draw_candidates(lambda index: self._answer(index, asked), enough, draw.n)
        chosen = drawn[rule.choose([c.attempt for c in drawn], draw).index]
        if dspy.settings.trace is not None:
            dspy.settings.trace.extend(chosen.trace)
        return conclude(chosen.attempt, [c.attempt for c in drawn], draw)

    async def aforward(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        """Do what ``forward`` does in a thread, so that the event loop stays free."""
        return await asyncio.to_thread(self.forward, *args, **inputs)

    def _draw(self, view: TaskView) -> Draw:
        return Draw(
            view,
            n=len(self.programs),
            sandbox=Remembering(self.borrowed.sandbox),
            assertions=max(int(member.assertions.value) for member in self.programs),
            stop_at=max(float(member.stop_at.value) for member in self.programs),
        )

    def _answer(self, index: int, asked: dict[str, Any]) -> Candidate:
        """Return the answer of a member."""
        trace: list[Any] = []
        with dspy.context(trace=trace):
            prediction = self.programs[index](**asked)
        answer: Attempt = prediction.attempts[prediction.chosen]
        return Candidate(answer, trace).numbered(index)


Program = SpecToCode | Ensemble
"""Every kind of program that an artifact may hold."""


def members_of(program: Program) -> tuple[SpecToCode, ...]:
    """Return the programs of an ensemble; a program that is none is its only member."""
    return tuple(program.programs) if isinstance(program, Ensemble) else (program,)
