"""The rule of the prefix cache, on lists of numbers and against a simulated server."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lift_sys.inference.prefix import Plan, PrefixLedger

BLOCK = 4


def ledger(slots: int = 1, *held: list[int]) -> PrefixLedger:
    made = PrefixLedger(slots, BLOCK)
    for slot, tokens in enumerate(held):
        made.ran(slot, tokens)
    return made


def test_an_empty_slot_keeps_nothing() -> None:
    assert ledger().plan([1, 2, 3, 4, 5]) == Plan(slot=0, keep=0)


def test_only_whole_blocks_are_kept() -> None:
    plan = ledger(1, [1, 2, 3, 4, 5, 6, 7]).plan([1, 2, 3, 4, 5, 6, 9])
    assert plan.keep == 4
    assert plan.cut not in {None, 5}


def test_no_cut_where_the_prompts_part_at_a_block_boundary() -> None:
    assert ledger(1, [1, 2, 3, 4, 5]).plan([1, 2, 3, 4, 6]) == Plan(slot=0, keep=4)


def test_a_prompt_that_goes_on_where_the_other_ended_is_cut() -> None:
    # What was generated after the held prompt is unknown and may agree with the new prompt.
    plan = ledger(1, [1, 2, 3, 4]).plan([1, 2, 3, 4, 0, 1])
    assert plan.keep == 4
    assert plan.cut == 1


def test_the_last_token_is_always_computed() -> None:
    same = [1, 2, 3, 4, 5, 6, 7, 8]
    assert ledger(1, same).plan(same).keep == 4


def test_a_short_common_prefix_does_not_overwrite_a_long_prompt() -> None:
    long = list(range(100, 140))
    plan = ledger(2, long).plan([*long[:4], 7, 7, 7])
    assert plan == Plan(slot=1, keep=0)


def test_the_slot_used_longest_ago_gives_way() -> None:
    made = ledger(2, [1] * 9, [2] * 9)
    made.ran(0, [1] * 9)
    assert made.plan([3] * 9).slot == 1


def test_a_forgotten_slot_keeps_nothing() -> None:
    made = ledger(1, [1] * 9)
    made.forget(0)
    assert made.plan([1] * 9).keep == 0


class Simulated:
    """A server's slots: tokens with the piece in which each was computed."""

    def __init__(self, slots: int) -> None:
        self.slots: list[list[tuple[int, int, int]]] = [[] for _ in range(slots)]

    def run(self, slot: int, tokens: list[int], *, cache: bool) -> int:
        """Compute a prompt; return how many tokens were reused."""
        have = self.slots[slot] if cache else []
        same = 0
        while same < min(len(have), len(tokens) - 1) and have[same][0] == tokens[same]:
            same += 1
        content = have[:same]
        for start in range(same, len(tokens), BLOCK):
            piece = tokens[start : start + BLOCK]
            content += [(t, start, len(piece)) for t in piece]
        self.slots[slot] = content
        return same


prompts = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=14), min_size=1, max_size=12)
answers = st.lists(st.integers(0, 3), min_size=0, max_size=6)


@given(prompts=prompts, answer=answers, slots=st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_every_prompt_is_computed_in_the_pieces_of_a_cold_start(
    prompts: list[list[int]], answer: list[int], slots: int
) -> None:
    server, made = Simulated(slots), PrefixLedger(slots, BLOCK)
    for tokens in prompts:
        plan = made.plan(tokens)
        keep = plan.keep
        if plan.cut is not None:
            cut = [*tokens[:keep], plan.cut]
            keep = keep if server.run(plan.slot, cut, cache=True) == keep else 0
        if server.run(plan.slot, tokens, cache=keep > 0) != keep:
            server.run(plan.slot, tokens, cache=False)
        cold = Simulated(1)
        cold.run(0, tokens, cache=False)
        assert server.slots[plan.slot] == cold.slots[0]
        server.slots[plan.slot] += [(t, -1, 1) for t in answer]
        made.ran(plan.slot, tokens)
