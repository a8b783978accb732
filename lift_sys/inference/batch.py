"""Rows that are generated together: their prompts, their cache, one token each at a time.

Owns the arithmetic of a running batch. Rows join and leave between tokens, so none waits for the
longest. Rows of different lengths are padded on the left, and attention never sees the padding.
What a row is given next to others differs by rounding only, from its own request alone otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from lift_sys.inference.chat import Answer
from lift_sys.inference.constraint import allow_only
from lift_sys.inference.sampling import Sampler, Sampling

PROMPT_TOKENS = 16_384
"""Most tokens of prompts that are computed at once, padding included."""


@dataclass(slots=True, eq=False)
class Row:
    """One request while it is answered.

    Attributes:
        prompt: Its tokens.
        limit: Most tokens to generate.
        sampling: How they are drawn.
        stops: Texts that end the answer and are not part of it.
        matcher: Follows its grammar, where it has one.
        answer: Where the answer is awaited.
        tokens: What was generated, with the token that ends it.
        prompt_seconds: Time spent on its prompt and those computed with it, in seconds.
        began: When its first token was drawn.
    """

    prompt: list[int]
    limit: int
    sampling: Sampling
    stops: tuple[str, ...] = ()
    matcher: Any = None
    answer: Future[Answer] = field(default_factory=Future)
    tokens: list[int] = field(default_factory=list)
    prompt_seconds: float = 0.0
    began: float = 0.0


class Batch:
    """The rows that are answered at present.

    Args:
        model: A causal language model of transformers, on its device.

    Attributes:
        rows: In the order in which ``draw`` answers.
    """

    def __init__(self, model: Any) -> None:
        self.rows: list[Row] = []
        self._model = model
        self._device = model.device
        self.clear()

    def clear(self) -> None:
        """Forget every row."""
        self.rows = []
        self._cache: Any = DynamicCache()
        self._length = 0  # of the cache, with the longest row's tokens and the others' padding
        self._pads = torch.zeros(0, dtype=torch.long, device=self._device)
        vocabulary = self._model.config.get_text_config().vocab_size
        self._logits = torch.zeros(0, vocabulary, device=self._device)
        self._drawn = self._pads
        self._sampler = Sampler(self._device, vocabulary)

    def join(self, rows: Sequence[Row]) -> None:
        """Compute the prompts of rows and add them; as many at once as fit."""
        waiting = sorted(rows, key=lambda row: -len(row.prompt))
        while waiting:
            count = max(1, PROMPT_TOKENS // len(waiting[0].prompt))
            self._join(waiting[:count])
            waiting = waiting[count:]

    def draw(self) -> list[int]:
        """Return the next token of each row."""
        allow_only(self._logits, [row.matcher for row in self.rows])
        self._drawn = self._sampler.draw(self._logits)
        drawn: list[int] = self._drawn.tolist()
        return drawn

    def keep(self, kept: Sequence[int], longest: int) -> None:
        """Keep these rows only; the others have left.

        Args:
            kept: Their positions.
            longest: Most tokens that the cache holds for one of them.
        """
        if len(kept) == len(self.rows):
            return
        if not kept:
            self.clear()
            return
        self.rows = [self.rows[row] for row in kept]
        self._sampler.keep(kept)
        index, spare = torch.tensor(kept, device=self._device), self._length - longest
        for layer in self._cache.layers:
            layer.keys = layer.keys[index, :, spare:].contiguous()
            layer.values = layer.values[index, :, spare:].contiguous()
        self._length = longest
        self._pads = self._pads[index] - spare
        self._drawn = self._drawn[index]

    def advance(self) -> None:
        """Compute what follows the tokens that were drawn last."""
        positions = (self._length - self._pads)[:, None]
        self._length += 1
        self._logits = self._forward(self._drawn[:, None], positions, self._pads, self._cache)

    def _join(self, rows: Sequence[Row]) -> None:
        length = len(rows[0].prompt)
        pads = torch.tensor([length - len(row.prompt) for row in rows], device=self._device)
        tokens = [[0] * (length - len(row.prompt)) + row.prompt for row in rows]
        positions = (torch.arange(length, device=self._device) - pads[:, None]).clamp_min(0)
        cache = DynamicCache()
        ids = torch.tensor(tokens, device=self._device)
        logits = self._forward(ids, positions, pads, cache)
        if self.rows:
            longest = max(length, self._length)
            cache = _stacked(self._cache, cache, longest)
            pads = torch.cat([self._pads + (longest - self._length), pads + (longest - length)])
            logits = torch.cat([self._logits, logits])
            length = longest
        self._cache, self._pads, self._logits, self._length = cache, pads, logits, length
        self._sampler.add([row.sampling for row in rows], max(row.limit for row in rows))
        self.rows += rows

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, pads: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Return the logits behind the last token of each row; the cache grows."""
        length = cache.get_seq_length() + ids.shape[1]
        given = self._model(
            input_ids=ids,
            attention_mask=torch.arange(length, device=self._device) >= pads[:, None],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = given.logits[:, -1].float()
        return logits


def _stacked(upper: Any, lower: Any, length: int) -> Any:
    """Return one cache of the rows of two, padded on the left to a length."""
    for above, below in zip(upper.layers, lower.layers, strict=True):
        above.keys = torch.cat([_padded(above.keys, length), _padded(below.keys, length)])
        above.values = torch.cat([_padded(above.values, length), _padded(below.values, length)])
    return upper


def _padded(states: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(states, (0, 0, length - states.shape[2], 0))
