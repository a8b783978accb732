"""How an evaluator works beside those of other processes."""

from __future__ import annotations

from dataclasses import dataclass

from lift_sys.inference.leases import Leases


@dataclass(frozen=True)
class Sharing:
    """How an evaluator works beside those of other processes that have the same rows.

    Attributes:
        leases: Of all of them. As many tasks are executed here at the same time as they let hold.
        slots: Tasks that all of them together are to execute at the same time, at least 1.
    """

    leases: Leases
    slots: int
