"""Which part of a prompt may be taken from the prefix cache without changing the answer.

Owns the bookkeeping that makes an answer depend on its request alone. Floating-point sums depend
on how many tokens are computed at once, so a prefix that was computed in other pieces gives
slightly other logits and, now and then, another token. (Measured with the 0.5B model and a
server left to itself: on 9 of 9 prompts the log probabilities after a warm cache differed from
those after a cold one, by up to 0.13; without weight repacking by up to 0.07, without flash
attention by up to 0.04. None of these settings makes the difference go away.) The rule here
removes that freedom: a prompt is always computed in blocks of ``block`` tokens counted from its
first token, and only whole blocks that an earlier prompt computed in the same way are reused.
Pure data, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """How to compute one prompt.

    Attributes:
        slot: Where to compute it.
        keep: Tokens to reuse, a multiple of the block size.
        cut: Token to append to the kept ones in a first step that cuts the slot's content down to
            exactly ``keep`` tokens; ``None`` where the content already ends there.
    """

    slot: int
    keep: int
    cut: int | None = None


class PrefixLedger:
    """Remembers which prompt each slot computed last, and plans the next one.

    Args:
        slots: How many prompts the engine keeps, at least 1.
        block: Tokens computed at once, at least 1.
    """

    def __init__(self, slots: int, block: int) -> None:
        self._block = block
        self._held: list[tuple[int, ...]] = [()] * slots
        self._used = [0] * slots
        self._clock = 0

    def plan(self, tokens: Sequence[int]) -> Plan:
        """Choose the slot and the number of tokens to reuse.

        A slot is overwritten in place where at least half of what it holds is kept; otherwise the
        slot that was used longest ago gives way, so that one stage's short common prefix does not
        cost another stage its long one.
        """
        usable = [self._usable(held, tokens) for held in self._held]
        good = [i for i, held in enumerate(self._held) if usable[i] and 2 * usable[i] >= len(held)]
        if good:
            slot = max(good, key=lambda i: usable[i])
        else:
            slot = min(range(len(self._held)), key=lambda i: (bool(self._held[i]), self._used[i]))
        return Plan(slot, usable[slot], self._cut(self._held[slot], tokens, usable[slot]))

    def ran(self, slot: int, tokens: Sequence[int]) -> None:
        """Note that a slot now holds this prompt, computed as planned."""
        self._clock += 1
        self._held[slot] = tuple(tokens)
        self._used[slot] = self._clock

    def forget(self, slot: int) -> None:
        """Note that nothing is known of a slot's content."""
        self._held[slot] = ()
        self._used[slot] = 0

    def _usable(self, held: Sequence[int], tokens: Sequence[int]) -> int:
        # At least one token must be computed anew to obtain logits; a last block that was not
        # full was computed in another piece than it would be inside a longer prompt.
        whole = min(_common(held, tokens), len(held), len(tokens) - 1)
        return whole // self._block * self._block

    def _cut(self, held: Sequence[int], tokens: Sequence[int], keep: int) -> int | None:
        common = _common(held, tokens)
        # Where the prompt goes on beyond what the slot's prompt held, the slot's generated tokens
        # follow, and nobody knows how far they agree.
        if keep == 0 or (common == keep and common < len(held)):
            return None
        taken = {tokens[keep], held[keep] if keep < len(held) else tokens[keep]}
        return next(t for t in range(3) if t not in taken)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
