"""A program whose IR stages are not asked, because the IRs are there.

Owns ``GivenIR``: with gold IRs it shows what the code stage makes of a right IR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dspy

from lift_sys.ir.models import SpecIR
from lift_sys.tasks import Case
from programs.ensemble import Program


class GivenIR(dspy.Module):
    """Runs a program with IRs that others wrote.

    Args:
        program: Writes the code.
        irs: By the spec's text.
    """

    def __init__(self, program: Program, irs: Mapping[str, SpecIR]) -> None:
        super().__init__()
        self.program = program
        self._irs = dict(irs)

    def forward(
        self,
        spec: str,
        entry_point: str | None = None,
        visible: Sequence[Case] = (),
        rollout: int = 0,
    ) -> dspy.Prediction:
        """Write the function; arguments, result and errors are those of ``SpecToCode``.

        Raises:
            KeyError: There is no IR for this spec.
        """
        return self.program(
            spec=spec,
            entry_point=entry_point,
            visible=visible,
            rollout=rollout,
            ir=self._irs[spec],
        )
