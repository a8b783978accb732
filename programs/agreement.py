"""Do an IR and a piece of code agree?

Owns what it means for a candidate that assertions held on it or did not: the counts, the rank that
selection rules compare, and when an agreement convinces.
"""

from __future__ import annotations

from collections.abc import Sequence

from lift_sys.ir.models import SpecIR
from lift_sys.record import Record
from lift_sys.sandbox.assertions import Held, held_assertions
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case
from programs.belief import Reliability


class Agreement(Record):
    """How many executable assertions held on a candidate.

    Attributes:
        stated_total: Assertions that the spec itself states (visible cases included).
        stated_held: Those of them that held.
        derived_total: Assertions that a model wrote and that could be executed.
        derived_held: Those of them that held.
        broken: The predicates that did not hold.
        posterior: Calibrated chance that the code is right, in [0, 1]; ``None`` where every derived
            assertion has an equal vote.
    """

    stated_total: int = 0
    stated_held: int = 0
    derived_total: int = 0
    derived_held: int = 0
    broken: tuple[str, ...] = ()
    posterior: float | None = None

    @property
    def holds(self) -> bool:
        """Whether something could be checked and all of it held."""
        return not self.broken and self.stated_total + self.derived_total > 0

    def convinces(self, stop_at: float) -> bool:
        """Tell whether the candidate can be taken without drawing another.

        With equal votes everything must hold. With a posterior it must be high enough, which it is
        not where a stated assertion is broken; derived ones cannot veto.

        Args:
            stop_at: A posterior that is high enough, in (0, 1].
        """
        return self.holds if self.posterior is None else self.posterior >= stop_at

    @property
    def rank(self) -> tuple[bool, float]:
        """Sort key: stated assertions are hard constraints, derived ones are votes."""
        share = self.derived_held / self.derived_total if self.derived_total else 0.0
        votes = share if self.posterior is None else self.posterior
        return self.stated_held == self.stated_total, votes


def check_agreement(
    code: str,
    entry_point: str,
    ir: SpecIR | None,
    visible: Sequence[Case],
    sandbox: Sandbox,
    reliability: Reliability | None = None,
) -> Agreement:
    """Count which of the visible cases and the IR's executable assertions hold on the code.

    Args:
        code: The candidate.
        entry_point: Name of its function.
        ir: Its IR.
        visible: Cases that the spec states.
        sandbox: Where the code runs.
        reliability: Of the model that wrote the IR, for a posterior; ``None`` for equal votes.

    Raises:
        SandboxError: The sandbox failed; the code was not judged.
    """
    held = held_assertions(code, entry_point, ir, visible, sandbox)
    return tally(held, reliability)


def tally(held: Sequence[Held], reliability: Reliability | None) -> Agreement:
    """Count what held, and weigh it where it is known how much that says."""
    stated = [h.ok for h in held if h.provenance == "stated"]
    derived = [h.ok for h in held if h.provenance != "stated"]
    return Agreement(
        stated_total=len(stated),
        stated_held=sum(stated),
        derived_total=len(derived),
        derived_held=sum(derived),
        broken=tuple(h.predicate for h in held if not h.ok),
        posterior=reliability.posterior(held) if reliability else None,
    )
