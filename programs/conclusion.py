"""What a program hands back: the prediction for a chosen candidate, with what is still open.

Owns the prediction's fields, and choosing again among candidates already drawn once a question was
answered, which costs no model call.
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from lift_sys.knowledge.constraints import Extraction
from lift_sys.tasks import Case
from programs.agreement import Agreement, check_agreement
from programs.attempts import Attempt, Draw
from programs.holes import open_questions, with_holes
from programs.select import Rule
from programs.stated import with_stated


def conclude(chosen: Attempt, attempts: Sequence[Attempt], draw: Draw) -> dspy.Prediction:
    """Return the prediction.

    Raises:
        SandboxError: The sandbox failed.
    """
    holes = open_questions(attempts, chosen, draw)
    return dspy.Prediction(
        code=chosen.code,
        ir=with_holes(chosen.ir, holes),
        entry_point=draw.view.entry_point,
        failure=chosen.failure,
        attempts=tuple(attempts),
        chosen=chosen.index,
        holes=holes,
    )


def choose_again(
    attempts: Sequence[Attempt], new: Sequence[Case], rule: Rule, draw: Draw
) -> dspy.Prediction | None:
    """Return the prediction that new cases lead to, if a candidate drawn satisfies all stated.

    Args:
        attempts: As they were before the new cases.
        new: Cases that are also among the visible ones of ``draw``.
        rule: Chooses.
        draw: The task with the new cases.

    Raises:
        SandboxError: The sandbox failed.
    """
    checked = [_checked(a, new, draw) for a in attempts]
    chosen = rule.choose(checked, draw)
    agreement = chosen.agreement
    if chosen.code is None or agreement is None:
        return None
    return (
        conclude(chosen, checked, draw) if agreement.stated_held == agreement.stated_total else None
    )


def _checked(attempt: Attempt, new: Sequence[Case], draw: Draw) -> Attempt:
    """Return an attempt with the new cases in its IR and in its agreement."""
    ir = with_stated(attempt.ir, new, Extraction()) if attempt.ir else None
    if attempt.code is None:
        return attempt.model_copy(update={"ir": ir})
    name, before = str(draw.view.entry_point), attempt.agreement or Agreement()
    more = check_agreement(attempt.code, name, None, new, draw.sandbox)
    agreement = before.model_copy(
        update={
            "stated_total": before.stated_total + more.stated_total,
            "stated_held": before.stated_held + more.stated_held,
            "broken": (*before.broken, *more.broken),
        }
    )
    return attempt.model_copy(update={"ir": ir, "agreement": agreement})
