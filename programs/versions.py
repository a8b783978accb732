"""The states that a candidate goes through while it is refined.

Owns what the rounds know of each state: also the part of DSPy's trace that led to it, which is not
remembered afterwards.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lift_sys.ir.models import SpecIR
from programs.agreement import Agreement, tally
from programs.attempts import Iteration
from programs.belief import Reliability
from programs.critique import Facts, Issue, Part

Trace = list[Any]


@dataclass(frozen=True)
class Draft:
    """An IR that a model reads.

    Attributes:
        ir: The IR.
        steps: The trace from the first IR to this one.
        quality: The critic's; before it has read this one, that of the IR it was rewritten from.
        read: Whether the critic has read it.
        issues: What the critic found.
        blamed: ``ir`` where it was given to the refiner.
    """

    ir: SpecIR
    steps: Trace
    quality: int = 0
    read: bool = False
    issues: tuple[Issue, ...] = ()
    blamed: Part | None = None

    @property
    def kept(self) -> Iteration:
        """What is remembered of it."""
        return Iteration(
            ir=self.ir,
            quality=self.quality if self.read else None,
            issues=self.issues,
            blamed=self.blamed,
        )


@dataclass(frozen=True)
class Version:
    """An IR and code that was executed.

    Attributes:
        ir: The IR, where there is one.
        code: The code.
        facts: What execution showed.
        ir_steps: The trace that led to the IR.
        code_steps: The trace that led from there to the code.
        reliability: Of the assertions that a model derived; ``None`` for equal votes.
        issues: What was then to be repaired.
        blamed: Which part was given to a stage to repair.
    """

    ir: SpecIR | None
    code: str
    facts: Facts
    ir_steps: Trace
    code_steps: Trace
    reliability: Reliability | None = None
    issues: tuple[Issue, ...] = ()
    blamed: Part | None = None

    @functools.cached_property
    def agreement(self) -> Agreement:
        """How IR and code agree."""
        return tally(self.facts.held, self.reliability)

    @property
    def kept(self) -> Iteration:
        """What is remembered of it."""
        return Iteration(
            ir=self.ir,
            code=self.code,
            agreement=self.agreement,
            issues=self.issues,
            blamed=self.blamed,
        )
