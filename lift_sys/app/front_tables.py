"""The front of a search in words: its table, and the answer to a wish with its evidence.

Owns every sentence about them.
"""

from __future__ import annotations

from lift_sys.app.front import Answer, Front, Member
from lift_sys.wish import Cost
from metrics.stats import Comparison, p_text

WORDS: dict[Cost, str] = {"tokens": "tokens out", "usd": "USD", "seconds": "seconds in the model"}


def front_lines(front: Front) -> list[str]:
    """Return the table of a front and the answer, an empty line behind each."""
    again = any(member.again for member in front.members)
    costs = " and ".join(WORDS[cost] for cost in front.costs)
    return [
        f"Programs of which none beats another in success and {costs}, on the dev tasks; costs are "
        "means per task:",
        "",
        "| trial | passed |" + (" again |" if again else "") + " tokens out | USD | s | kept as |",
        "|---:|---|" + ("---|" if again else "") + "---:|---:|---:|---|",
        *(_member(member, again=again) for member in front.members),
        "",
        " ".join(_answer(front)),
        "",
        *_comparisons(front),
    ]


def _member(member: Member, *, again: bool) -> str:
    ran = "the same answers" if member.repeated else member.again or "not run"
    fresh = f" {ran} |" if again else ""
    usd = "unknown" if member.usd is None else f"{member.usd:.6f}"
    return (
        f"| {member.trial} | {member.rate} |{fresh} {member.tokens:,.1f} | {usd} | "
        f"{member.seconds:.2f} | `{member.artifact}` |"
    )


def _answer(front: Front) -> list[str]:
    """Return sentences: what was chosen, and whether the tasks show that it is what was asked."""
    answer = front.answer
    spent = f"{_amount(answer.spent, answer.cost)} {WORDS[answer.cost]} per task"
    file = next(m.artifact for m in front.members if m.trial == answer.trial)
    names = (("the best of them", answer.best), ("the cheapest", answer.cheapest))
    titles = [title for title, number in names if number == answer.trial]
    is_also = f", {' and '.join(titles)}," if titles else ""
    return [
        f'Asked for "{answer.wish}": trial {answer.trial}{is_also} passes {answer.rate} with '
        f"{spent}. It is `best.json` and `{file}`.",
        *_evidence(answer, "those that ran again" if _not_again(front) else "them"),
    ]


def _not_again(front: Front) -> set[int]:
    """Return the trials that were not run again, if others were."""
    some = any(member.again for member in front.members)
    return {member.trial for member in front.members if some and not member.again}


def _evidence(answer: Answer, them: str) -> list[str]:
    wish, tasks = answer.wish, answer.rate.total
    if wish.limit is not None:
        limit = f"{_amount(wish.limit, answer.cost)} {WORDS[answer.cost]}"
        if not answer.fulfilled:
            return [f"None of {them} is under {limit} per task, and this one comes nearest."]
        return [f"That it is under {limit} is a mean of {tasks} tasks; other tasks may cost more."]
    if wish.percent is not None:
        return [_share(answer, wish.percent, them)]
    if wish.points is not None and answer.against_best is not None:
        return [_distance(answer.against_best, wish.points)]
    return []


def _share(answer: Answer, percent: float, them: str) -> str:
    rate = answer.rate
    if not answer.fulfilled:
        return f"None of {them} passes {percent:g} %, and this one comes nearest."
    bound = f"the lower end of its interval is {100 * rate.low:.0f} %"
    if 100 * rate.low < percent:
        return (
            f"That it passes at least {percent:g} % is not shown by these {rate.total} tasks: "
            f"{bound}."
        )
    return f"These {rate.total} tasks show that it passes at least {percent:g} %: {bound}."


def _distance(comparison: Comparison, points: float) -> str:
    low = 100 * comparison.difference.low
    if low < -points:
        return (
            f"That it is within {points:g} points of the best is not shown by these "
            f"{comparison.tasks} tasks: it may be {-low:.0f} points worse."
        )
    return (
        f"These {comparison.tasks} tasks show that it is within {points:g} points of the best: it "
        f"is at most {max(-low, 0.0):.0f} points worse."
    )


def _comparisons(front: Front) -> list[str]:
    answer, not_again = front.answer, _not_again(front)
    others = (
        ("best", answer.best, answer.against_best),
        ("cheapest", answer.cheapest, answer.against_cheapest),
    )
    lines = [
        f"- trial {answer.trial} against the {name} (trial {number}"
        f"{', not run again' if number in not_again else ''}): {len(c.only_second)} tasks gained, "
        f"{len(c.only_first)} lost, {c.difference}, exact McNemar p {p_text(c.p_corrected)}"
        f"{' (corrected)' if c.p_corrected != c.p_value else ''}: {c.verdict}."
        for name, number, c in others
        if c is not None
    ]
    return [*lines, ""] if lines else []


def _amount(value: float, cost: Cost) -> str:
    return f"{value:,.1f}" if cost == "tokens" else f"{value:.3g}"
