"""The rule ``agreement``: clusters and their weights; ending early never changes the choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.literals import parse_literal
from lift_sys.sandbox import Sandbox
from lift_sys.sandbox.base import CallOutcome, Execution, Limits, Submission
from lift_sys.tasks import Case, TaskView
from lift_sys.verdict import Status
from programs.agreement import check_agreement
from programs.attempts import Attempt, Draw, Remembering
from programs.select import RULES

RULE = RULES["agreement"]


def ir(*derived: str, hint: str = "int") -> SpecIR:
    return SpecIR(
        intent=Intent(summary="s"),
        signature=FunctionSignature(name="f", parameters=(Parameter(name="x", type_hint=hint),)),
        assertions=tuple(Assertion(predicate=p) for p in derived),
    )


def draw(sandbox: Sandbox, n: int, *visible: Case) -> Draw:
    view = TaskView(spec="s", entry_point="f", visible=visible)
    return Draw(view, n, Remembering(sandbox))


def attempts(draw: Draw, *parts: tuple[str, SpecIR | None] | None) -> list[Attempt]:
    """Return attempts with code and an IR; ``None`` is one that failed."""
    made = []
    for index, part in enumerate(parts):
        if part is None:
            made.append(Attempt(index=index, failure="cut off"))
            continue
        code, written = part
        checked = check_agreement(code, "f", written, draw.view.visible, draw.sandbox)
        made.append(Attempt(index=index, code=code, ir=written, agreement=checked))
    return made


DOUBLE, SUM = "def f(x):\n    return 2 * x", "def f(x):\n    total = x + x\n    return total"
SAME, SQUARE = "def f(x):\n    return x", "def f(x):\n    return x * x"
RAISES = "def f(x):\n    raise ValueError(x)"
RAISES_OTHER = "def f(x):\n    raise KeyError(x)"
LONG = "def f(x):\n    same = x\n    return same"
FLOAT = "def f(x):\n    return 2.0 * x"
NO_CODE = "def f(x:"
HANGS = "def f(x):\n    while x > 5:\n        pass\n    return x"
NO_VALUE = "def f(x):\n    return f if x > 5 else x"
SHRINKS = "def f(x):\n    return len(x) and bool(x.pop()) * 0"
KEEPS = "def f(x):\n    return len(x) * 0"


@pytest.mark.parametrize(
    ("codes", "index"),
    [
        ([SAME, DOUBLE, SUM], 1),
        ([DOUBLE, SAME, SUM], 0),
        ([SAME, DOUBLE], 0),
        ([DOUBLE, FLOAT, FLOAT], 1),
        ([DOUBLE, RAISES, RAISES_OTHER], 0),
        ([SAME, RAISES, RAISES], 1),
        ([SAME, NO_CODE, NO_CODE], 0),
        ([NO_CODE, NO_CODE], 0),
        ([DOUBLE, HANGS, NO_VALUE], 0),
    ],
)
def test_without_assertions_the_most_common_behaviour_wins(
    sandbox: Sandbox, codes: list[str], index: int
) -> None:
    setting = draw(sandbox, len(codes))
    drawn = attempts(setting, *((code, ir()) for code in codes))
    assert RULE.choose(drawn, setting).index == index


@pytest.mark.parametrize(
    ("parts", "index"),
    [
        # 2 × (1 + 0) against 1 × (1 + 2)
        ([(SAME, ir()), (SAME, ir("f(3) == 6")), (DOUBLE, ir("f(4) == 8"))], 2),
        # 2 × (1 + 1) against 1 × (1 + 2)
        ([(SAME, ir("f(3) == 3")), (SAME, ir("f(3) == 6")), (DOUBLE, ir("f(4) == 8"))], 0),
        # The same assertion twice is one: 2 × 1 against 1 × 2, the shorter code wins.
        ([(SAME, ir("f(3) == 6")), (SAME, ir("f(3) == 6")), (DOUBLE, ir())], 0),
        ([(LONG, ir("f(3) == 6")), (LONG, ir("f(3) == 6")), (DOUBLE, ir())], 2),
        # Properties and assertions that cannot be executed: 1 × 1 against 1 × (1 + 2).
        ([(SAME, ir("it doubles", "y == 2")), (DOUBLE, ir("f(3) == 6", "result == x + x"))], 1),
        # An IR has five votes: 3 × 1 against 1 × 6, where six would have won by more.
        ([*[(SAME, ir())] * 3, (DOUBLE, ir(*(f"f({n}) == {2 * n}" for n in range(3, 9))))], 3),
        ([*[(SAME, ir())] * 6, (DOUBLE, ir(*(f"f({n}) == {2 * n}" for n in range(3, 9))))], 0),
        # A stranger's assertions count as much as one's own.
        ([(SAME, ir("f(3) == 6", "f(4) == 8")), (DOUBLE, ir())], 1),
    ],
)
def test_assertions_of_all_irs_weigh(
    sandbox: Sandbox, parts: list[tuple[str, SpecIR]], index: int
) -> None:
    setting = draw(sandbox, len(parts))
    assert RULE.choose(attempts(setting, *parts), setting).index == index


@pytest.mark.parametrize(("most", "settled"), [(3, True), (5, False), (8, False)])
def test_drawing_ends_by_how_many_assertions_an_ir_may_have(
    sandbox: Sandbox, most: int, settled: bool
) -> None:
    # 2 × (1 + 3) now, against 1 × (1 + 3 + most) of a behaviour that may still come.
    setting = replace(draw(sandbox, 3), assertions=most)
    written = ir("f(1) == 2", "f(2) == 4", "f(3) == 6")
    drawn = attempts(setting, (DOUBLE, written), (SUM, written))
    assert RULE.enough(drawn, setting) == settled


@pytest.mark.parametrize(("most", "index"), [(3, 0), (5, 1), (8, 1)])
def test_an_ir_has_as_many_votes_as_it_may_have_assertions(
    sandbox: Sandbox, most: int, index: int
) -> None:
    # 5 × 1 against 1 × (1 + 3) or 1 × (1 + 5).
    setting = replace(draw(sandbox, 6), assertions=most)
    voting = ir(*(f"f({n}) == {2 * n}" for n in range(3, 8)))
    parts = [*[(SAME, ir())] * 5, (DOUBLE, voting)]
    chosen = RULE.choose(attempts(setting, *parts), setting)
    assert chosen.code == [SAME, DOUBLE][index]


def test_a_visible_case_outweighs_everything(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 4, Case(args="(3,)", expected="6"))
    wrong = (SAME, ir("f(4) == 4", "f(5) == 5"))
    drawn = attempts(setting, wrong, wrong, (DOUBLE, ir()), wrong)

    assert RULE.choose(drawn, setting).index == 2
    assert not RULE.enough(drawn[:2], setting)


def test_code_that_ends_later_than_its_visible_cases_still_passes_them(sandbox: Sandbox) -> None:
    aborts = "import os\ndef f(x):\n    if x != 3:\n        os.abort()\n    raise ValueError(x)"
    setting = draw(sandbox, 2, Case(args="(3,)", raises="ValueError"))
    assert RULE.choose(attempts(setting, (SAME, ir()), (aborts, ir())), setting).index == 1


def test_arguments_after_the_call_are_behaviour_where_a_case_looks_at_them(
    sandbox: Sandbox,
) -> None:
    looks = Case(args="([],)", expected="0", args_after="([],)")
    for visible, index in (((looks,), 1), ((), 0)):
        setting = draw(sandbox, 3, *visible)
        parts = [(code, ir(hint="list[int]")) for code in (SHRINKS, KEEPS, KEEPS)]
        assert RULE.choose(attempts(setting, *parts), setting).index == index


def test_failed_attempts_do_not_count(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 5)
    drawn = attempts(setting, None, (SAME, None), None, (DOUBLE, None), (DOUBLE, None))

    assert RULE.choose(drawn, setting).index == 1  # without annotations there is no probe
    assert not RULE.enough(drawn[:1], setting)
    assert RULE.choose(drawn[:1], setting).index == 0


def test_failed_attempts_leave_fewer_to_draw(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 5)
    same = ("def f(x: int):\n    return x", None)
    drawn = attempts(setting, None, None, same, same)
    assert RULE.enough(drawn, setting)


def test_the_first_usable_candidate_fixes_the_probes(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 4)
    blind = (SAME, ir(hint="object"))
    drawn = attempts(setting, None, blind, (DOUBLE, ir()), (DOUBLE, ir()))
    assert RULE.choose(drawn, setting).index == 1


def test_the_earliest_of_a_cluster_speaks_for_it(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 3)
    later = ("def f(x):\n    return 6 if x == 3 else x", ir("f(3) == 6", "f(4) == 8"))
    drawn = attempts(setting, (SAME, ir()), later, (DOUBLE, ir()))
    # 2 × (1 + 0) against 1 × (1 + 2), though the later one would pass an assertion too.
    assert RULE.choose(drawn, setting).index == 2


def test_broken_code_is_not_executed_again_with_every_ir() -> None:
    class Counting(Tables):
        asked = 0

        def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
            self.asked += 1
            return super().execute(submission, limits)

    inner = Counting()
    setting = draw(inner, 3)
    drawn = [Attempt(index=i, code="broken", ir=ir(f"f({i}) == 1")) for i in range(3)]
    RULE.choose(drawn, setting)
    assert inner.asked == 1


def test_without_irs_a_majority_ends_the_drawing(sandbox: Sandbox) -> None:
    typed = "def f(x: int):\n    return 2 * x"
    setting = draw(sandbox, 5)
    drawn = attempts(setting, *[(typed, None)] * 5)
    assert [RULE.enough(drawn[:n], setting) for n in range(1, 6)] == [False, False, *[True] * 3]


def test_assertions_still_to_come_prolong_the_drawing(sandbox: Sandbox) -> None:
    setting = draw(sandbox, 5)
    drawn = attempts(setting, *[(DOUBLE, ir("f(3) == 6"))] * 5)
    # Of five, three weigh 3 × 2, and two newcomers might weigh 2 × (1 + 1 + 10); four weigh 4 × 2
    # against 1 × (1 + 1 + 5).
    assert [RULE.enough(drawn[:n], setting) for n in range(1, 5)] == [False, False, False, True]


class Tables:
    """A sandbox for a toy language: the code is a table from an integer, modulo its length."""

    description = "toy"

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        if submission.code == "broken":
            broken = CallOutcome(status=Status.SYNTAX_ERROR)
            outcomes = (broken,) * len(submission.calls)
            return Execution(status=Status.SYNTAX_ERROR, outcomes=outcomes)
        table = submission.code
        outcomes = tuple(
            CallOutcome(status=Status.PASSED, value=int(table[number % len(table)]))
            for (number,) in (parse_literal(call.args) for call in submission.calls)
        )
        return Execution(status=Status.PASSED, outcomes=outcomes)

    def close(self) -> None: ...


CODES = st.sampled_from(["00", "01", "10", "0011", "001", "broken"])
EXAMPLES = st.builds("f({}) == {}".format, st.integers(2, 9), st.integers(0, 1))
IRS = st.builds(
    lambda hint, examples: ir(*examples, hint=hint),
    st.sampled_from(["int", "object"]),
    st.lists(EXAMPLES, max_size=7),
)
CASES = st.builds(
    lambda number, value: Case(args=f"({number},)", expected=str(value)),
    st.integers(0, 3),
    st.integers(0, 1),
)
PARTS = st.one_of(st.tuples(CODES, IRS), st.none())
STATED = st.lists(CASES, max_size=1)


def stops(drawn: Sequence[Attempt], setting: Draw) -> Iterator[int]:
    """Return the choices that would be made wherever the drawing may end."""
    for count in range(1, len(drawn) + 1):
        if RULE.enough(drawn[:count], setting):
            yield RULE.choose(drawn[:count], setting).index


@given(
    st.one_of(
        st.lists(PARTS, min_size=1, max_size=7),
        st.lists(st.tuples(CODES, st.none()), min_size=1, max_size=9),
        # Repeats a few, so that leaders emerge and the drawing ends early.
        st.lists(PARTS, min_size=1, max_size=3).flatmap(
            lambda few: st.lists(st.sampled_from(few), min_size=4, max_size=16)
        ),
    ),
    STATED,
)
def test_stopping_early_never_changes_the_choice(
    parts: list[tuple[str, SpecIR | None] | None], stated: list[Case]
) -> None:
    setting = draw(Tables(), len(parts), *stated)
    drawn = attempts(setting, *parts)
    all_drawn = RULE.choose(drawn, setting).index
    assert set(stops(drawn, setting)) <= {all_drawn}
