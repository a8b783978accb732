"""The selection rules: which candidate is taken, and when drawing ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lift_sys.ir.models import Assertion, Effect, FunctionSignature, Intent, Parameter, SpecIR
from lift_sys.tasks import TaskView
from programs.agreement import Agreement
from programs.attempts import Attempt, Draw
from programs.select import RULES, ir_quality

NO_SANDBOX: Any = None  # the rules tested here execute nothing
DRAW = Draw(TaskView(spec="s", entry_point="f"), 3, NO_SANDBOX)


def ir(
    assertions: int = 0, effects: Sequence[str] = (), *, hint: str = "int", returns: str = ""
) -> SpecIR:
    return SpecIR(
        intent=Intent(summary="s"),
        signature=FunctionSignature(
            name="f", parameters=(Parameter(name="x", type_hint=hint),), returns=returns or None
        ),
        effects=tuple(Effect(description=text) for text in effects),
        assertions=tuple(Assertion(predicate=f"f({i}) == {i}") for i in range(assertions)),
    )


@pytest.mark.parametrize(
    ("value", "points"),
    [
        (ir(hint=""), 0.0),
        (ir(), 10.0),
        (ir(returns="int"), 20.0),
        (ir(2), 30.0),
        (ir(5), 60.0),
        (ir(9), 60.0),
        (ir(0, ["a" * 50]), 15.0),
        (ir(0, ["a" * 50, "b" * 150]), 20.0),
        (ir(0, ["a" * 900]), 30.0),
        (ir(0, ["Exactly!!!", "a LITERAL."]), 41.0),
    ],
)
def test_the_points_of_an_ir(value: SpecIR, points: float) -> None:
    assert ir_quality(value) == pytest.approx(points)


def agreement(stated: tuple[int, int], derived: tuple[int, int]) -> Agreement:
    broken = stated[1] + derived[1] - stated[0] - derived[0]
    return Agreement(
        stated_held=stated[0],
        stated_total=stated[1],
        derived_held=derived[0],
        derived_total=derived[1],
        broken=("f(1) == 2",) * broken,
    )


ALL_HOLD = agreement((1, 1), (2, 2))
STATED_HOLD = agreement((1, 1), (1, 2))
STATED_BROKEN = agreement((1, 2), (2, 2))


LIKELY = STATED_HOLD.model_copy(update={"posterior": 0.9})
UNLIKELY = ALL_HOLD.model_copy(update={"posterior": 0.6})
REFUTED = STATED_BROKEN.model_copy(update={"posterior": 0.0})


def attempts(*parts: Agreement | SpecIR | str | None) -> list[Attempt]:
    """Return attempts that failed (text), have an agreement, have an IR, or have neither."""
    return [
        Attempt(
            index=i,
            failure=part if isinstance(part, str) else None,
            agreement=part if isinstance(part, Agreement) else None,
            ir=part if isinstance(part, SpecIR) else None,
        )
        for i, part in enumerate(parts)
    ]


@pytest.mark.parametrize(
    ("rule", "drawn", "index"),
    [
        ("first", attempts(None, None), 0),
        ("first", attempts("cut off", None, None), 1),
        ("first", attempts("cut off", "broken"), 1),
        ("quality", attempts(ir(1), ir(3), ir(2)), 1),
        ("quality", attempts(ir(2), ir(2)), 0),
        ("quality", attempts(None, ir(1)), 1),
        ("quality", attempts(ir(1), "cut off"), 0),
        ("assertions", attempts(STATED_HOLD, ALL_HOLD), 1),
        ("assertions", attempts(STATED_BROKEN, STATED_HOLD), 1),
        ("assertions", attempts(STATED_BROKEN, Agreement()), 1),
        ("assertions", attempts(STATED_HOLD, STATED_HOLD), 0),
        ("assertions", attempts(None, STATED_HOLD), 1),
        ("assertions", attempts("cut off", STATED_BROKEN), 1),
        ("assertions", attempts(UNLIKELY, LIKELY), 1),
        ("assertions", attempts(REFUTED, UNLIKELY), 1),
    ],
)
def test_which_one_is_taken(rule: str, drawn: list[Attempt], index: int) -> None:
    assert RULES[rule].choose(drawn, DRAW).index == index


@pytest.mark.parametrize(
    ("rule", "drawn", "enough"),
    [
        ("first", attempts(None), True),
        ("first", attempts("cut off"), False),
        ("first", attempts("cut off", None), True),
        ("quality", attempts(ir(9)), False),
        ("assertions", attempts(ALL_HOLD), True),
        ("assertions", attempts(STATED_HOLD), False),
        ("assertions", attempts(Agreement()), False),
        ("assertions", attempts("cut off"), False),
        ("assertions", attempts(STATED_HOLD, ALL_HOLD), True),
        ("assertions", attempts(LIKELY), True),
        ("assertions", attempts(UNLIKELY), False),
        ("assertions", attempts(REFUTED), False),
    ],
)
def test_when_drawing_ends(rule: str, drawn: list[Attempt], enough: bool) -> None:
    assert RULES[rule].enough(drawn, DRAW) is enough


def test_how_sure_is_sure_enough_is_for_the_draw_to_say() -> None:
    sure = RULES["assertions"].enough
    assert sure(attempts(UNLIKELY), replace(DRAW, stop_at=0.6))
    assert not sure(attempts(LIKELY), replace(DRAW, stop_at=0.95))


def test_only_quality_chooses_before_code_is_written() -> None:
    assert {name for name, rule in RULES.items() if not rule.needs_code} == {"quality"}
