"""N is the largest at which direct prompting spends no more than a program may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.app.equal_tokens import match_tokens
from lift_sys.app.report import TokenMatch
from lift_sys.inference.usage import CallRecord
from lift_sys.sandbox import Sandbox
from lift_sys.verdict import Score, Status
from optimizers.rows import Row
from programs.hypers import hypers_of, set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode


def row(tokens: int, attempts: int) -> Row:
    return Row(
        key="k",
        label="x",
        task_id="t",
        category="c",
        score=Score(value=1.0, passed=True, status=Status.PASSED, feedback=""),
        code="c",
        ir=None,
        failure=None,
        attempts=attempts,
        calls=(CallRecord(model="m", prompt_tokens=9, completion_tokens=tokens, seconds=1.0),),
        seconds=1.0,
        trace=(),
    )


class Direct:
    """Stands for direct prompting: what it spends on a task with 1, 2, ... candidates."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tokens
        self.ran: dict[str, dict[str, Any]] = {}

    def __call__(self, name: str, program: SpecToCode) -> list[Row]:
        self.ran[name] = {path: hyper.value for path, hyper in hypers_of(program).items()}
        n = int(program.n.value)
        return [row(self._tokens[n - 1], n)]


def match(
    sandbox: Sandbox, spent: int, tokens: Sequence[int], **hypers: Any
) -> tuple[TokenMatch, Direct]:
    program, direct = make_program("single", sandbox), Direct(tokens)
    set_hypers(program, hypers)
    found, rows = match_tokens("single", program, [row(spent, 1)], direct, sandbox)
    assert sum(r.usage.completion_tokens for r in rows) == found.direct_tokens
    return found, direct


EACH_TEN = [10 * n for n in range(1, 17)]


@pytest.mark.parametrize(
    ("spent", "n", "next_tokens"),
    [
        (10, 1, 20),
        (39, 4, 50),
        (38, 3, 40),
        (58, 6, 70),
        (5, 1, None),
        (0, 1, None),
        (400, 16, None),
    ],
)
def test_n_spends_at_most_five_percent_more(
    sandbox: Sandbox, spent: int, n: int, next_tokens: int | None
) -> None:
    found, _ = match(sandbox, spent, EACH_TEN)
    assert (found.n, found.direct_tokens, found.next_tokens) == (n, 10 * n, next_tokens)
    assert (found.program, found.program_tokens, found.direct_candidates) == ("single", spent, n)


@given(
    steps=st.lists(st.integers(0, 9), min_size=16, max_size=16),
    spent=st.integers(0, 120),
)
def test_no_other_n_comes_closer_without_spending_too_much(
    sandbox: Sandbox, steps: list[int], spent: int
) -> None:
    tokens = [sum(steps[: n + 1]) for n in range(16)]
    found, direct = match(sandbox, spent, tokens)
    affordable = [n for n in range(1, 17) if tokens[n - 1] <= 1.05 * spent]
    assert found.n == max(affordable, default=1)
    assert len(direct.ran) == min(16, max(affordable, default=0) + 1)


def test_one_candidate_is_greedy_and_more_agree(sandbox: Sandbox) -> None:
    found, direct = match(sandbox, 20, EACH_TEN)
    assert found.direct == "direct × 2"
    assert list(direct.ran) == ["direct", "direct × 2", "direct × 3"]
    plain = {p: h.value for p, h in hypers_of(make_program("direct", sandbox)).items()}
    assert direct.ran["direct"] == plain
    several = {"n": 3, "temperature": 0.7, "select": "agreement"}
    assert direct.ran["direct × 3"] == plain | several


def test_direct_is_told_what_the_text_states_where_the_program_is(sandbox: Sandbox) -> None:
    told = {"extract_assertions": "on", "quirks": "all", "refine_iterations": 2}
    found, direct = match(sandbox, 10, EACH_TEN, **told)
    assert found.direct == "direct, extract_assertions=on"
    for hypers in direct.ran.values():
        assert hypers["extract_assertions"] == "on"
        assert (hypers["quirks"], hypers["refine_iterations"]) == ("off", 0)
