"""Do probabilities mean what they say? Reliability by bins, and the Brier score.

Owns the two figures; a forecast is a chance in [0, 1] given before the outcome was known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lift_sys.record import Record
from metrics.stats.rates import Rate


class Bin(Record):
    """Forecasts of about the same chance.

    Attributes:
        low: Least chance that belongs here.
        high: Chances below this belong here; the last bin includes it.
        forecast: Mean forecast; 0 where the bin is empty.
        rate: How often it came true.
    """

    low: float
    high: float
    forecast: float
    rate: Rate


class Calibration(Record):
    """How well forecasts fit outcomes.

    Attributes:
        bins: Of equal width, from 0 to 1.
        brier: Mean squared error (Brier 1950), in [0, 1]; lower is better.
        brier_base: That of always forecasting the rate of these same outcomes, which nobody knew
            beforehand: a forecast below it tells outcomes apart.
    """

    bins: tuple[Bin, ...]
    brier: float
    brier_base: float

    @classmethod
    def of(cls, forecasts: Sequence[float], outcomes: Sequence[bool], bins: int = 5) -> Calibration:
        """Compare forecasts with outcomes.

        Raises:
            ValueError: Not as many of both, none at all, or a forecast outside [0, 1].
        """
        pairs = list(zip(forecasts, outcomes, strict=True))
        if not pairs or not all(0 <= forecast <= 1 for forecast, _ in pairs):
            msg = "calibration needs at least one forecast, and forecasts are from 0 to 1"
            raise ValueError(msg)
        groups: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
        for forecast, outcome in pairs:
            groups[min(int(forecast * bins), bins - 1)].append((forecast, outcome))
        base = sum(outcomes) / len(pairs)
        return cls(
            bins=tuple(_bin(i, group, bins) for i, group in enumerate(groups)),
            brier=math.fsum((forecast - outcome) ** 2 for forecast, outcome in pairs) / len(pairs),
            brier_base=base * (1 - base),
        )


def _bin(index: int, group: Sequence[tuple[float, bool]], bins: int) -> Bin:
    return Bin(
        low=index / bins,
        high=(index + 1) / bins,
        forecast=math.fsum(forecast for forecast, _ in group) / max(len(group), 1),
        rate=Rate.of(sum(outcome for _, outcome in group), len(group)),
    )
