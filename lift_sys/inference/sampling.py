"""Drawing the next token of many rows at once, each with settings and random numbers of its own.

Owns the order in which settings narrow the choice, which is llama.cpp's: penalties, ``top_k``,
``top_p``, ``min_p``, then temperature. A row's random numbers come from its seed alone, so they are
the same whatever is generated beside it. Everything stays on the device: no row waits for the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row is drawn; what a request leaves open is as in the embedded backend.

    Attributes:
        temperature: 0 takes the most likely token.
        seed: Of the row's random numbers.
        top_k: Most tokens to choose from; 0 or less is all.
        top_p: Share of the probability to choose from.
        min_p: Least probability, relative to the most likely token's.
        frequency_penalty: Taken from a token's logit for each time it was generated.
        presence_penalty: Taken once from the logit of each generated token.
    """

    temperature: float = 0.0
    seed: int = 0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Return the settings of a chat body."""
        return cls(**{name: body[name] for name in cls.__slots__ if name in body})


class Sampler:
    """Draws for the rows of a batch, in their order.

    Args:
        device: Where the logits are.
        vocabulary: How many logits a row has.
    """

    def __init__(self, device: torch.device, vocabulary: int) -> None:
        self._device = device
        self._vocabulary = vocabulary
        self._rows: list[Sampling] = []
        self._settings = torch.zeros(0, len(_COLUMNS), device=device)
        self._random = torch.zeros(0, 1, device=device)
        self._drawn = torch.zeros(0, 1, dtype=torch.long, device=device)
        self._counts: torch.Tensor | None = None

    def add(self, rows: Sequence[Sampling], limit: int) -> None:
        """Append rows, of which none draws more than ``limit`` tokens."""
        self._rows += rows
        settings = torch.tensor([[getattr(row, c) for c in _COLUMNS] for row in rows])
        random = torch.stack([_uniform(row.seed, limit) for row in rows])
        longest = max(limit, self._random.shape[1])
        self._settings = torch.cat([self._settings, settings.to(self._device)])
        self._random = torch.cat(
            [_widened(self._random, longest), _widened(random.to(self._device), longest)]
        )
        started = torch.zeros(len(rows), 1, dtype=torch.long, device=self._device)
        self._drawn = torch.cat([self._drawn, started])
        if self._counts is not None or any(_penalised(row) for row in rows):
            self._count(len(rows))

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows only, given by their positions."""
        kept = torch.tensor(rows, dtype=torch.long, device=self._device)
        self._rows = [self._rows[row] for row in rows]
        self._settings, self._random = self._settings[kept], self._random[kept]
        self._drawn = self._drawn[kept]
        if self._counts is not None:
            penalised = any(map(_penalised, self._rows))
            self._counts = self._counts[kept] if penalised else None

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Return a token for each row.

        Args:
            logits: In float32, one row each; minus infinity is never drawn.
        """
        temperature, top_k, top_p, min_p, frequency, presence = self._settings.split(1, dim=1)
        if self._counts is not None:
            logits = logits - frequency * self._counts - presence * (self._counts > 0)
        width = self._width()
        top, tokens = _likeliest(logits, width)
        rank = torch.arange(width, device=self._device)
        kept = (rank < top_k) | (top_k <= 0)
        likely = top.masked_fill(~kept, -torch.inf).softmax(-1)
        kept &= likely.cumsum(-1) - likely < top_p
        kept &= likely >= min_p * likely[:, :1]
        kept &= temperature > 0
        kept |= rank == 0
        weights = ((top - top[:, :1]) / temperature.clamp_min(1e-4)).exp() * kept
        reached = weights.cumsum(-1)
        chosen = (reached <= self._random.gather(1, self._drawn) * reached[:, -1:]).sum(-1)
        # Rounding may reach behind the last token that can be drawn.
        chosen = torch.minimum(chosen, (weights > 0).sum(-1) - 1).clamp_min(0)
        drawn = tokens.gather(1, chosen[:, None])
        self._drawn += 1
        if self._counts is not None:
            self._counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float32))
        return drawn[:, 0]

    def _width(self) -> int:
        """Return how many of the likeliest tokens some row may choose from."""
        asked = [row.top_k for row in self._rows if row.temperature > 0]
        if any(top_k <= 0 for top_k in asked):
            return self._vocabulary
        return min(max([LEAST_WIDTH, *(2 * top_k for top_k in asked)]), self._vocabulary)

    def _count(self, new: int) -> None:
        counts = torch.zeros(new, self._vocabulary, device=self._device)
        if self._counts is None:
            counts = torch.zeros(len(self._rows), self._vocabulary, device=self._device)
            self._counts = counts
        else:
            self._counts = torch.cat([self._counts, counts])


LEAST_WIDTH = 64
"""Least number of the likeliest tokens that are looked at: rows beside each other change it little,
and what lies at its edge is drawn by none."""

_COLUMNS = ("temperature", "top_k", "top_p", "min_p", "frequency_penalty", "presence_penalty")


def _likeliest(logits: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the highest logits of each row and their tokens; of equal ones the first token first.

    Logits in bfloat16 are often equal, and ``topk`` alone orders those as its width has it.
    """
    top, tokens = logits.topk(width)
    tokens, order = tokens.sort(-1)
    top, order = top.gather(1, order).sort(dim=-1, descending=True, stable=True)
    return top, tokens.gather(1, order)


def _uniform(seed: int, count: int) -> torch.Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))


def _widened(rows: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]))


def _penalised(row: Sampling) -> bool:
    return bool(row.frequency_penalty or row.presence_penalty)
