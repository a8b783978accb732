"""What an assessment says: why a rung was run or not, and what to do next, in one sentence.

Owns these sentences; the tables around them are ``assessment_tables``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from metrics.stats import Rate, passes_to_clear, tasks_to_clear
from optimizers.assess import (
    MANY_USES,
    SOME_USES,
    UPGRADES,
    End,
    Reason,
    Rung,
    Thresholds,
    is_below_floor,
    share,
    tuning,
)

NO_WEIGHTS = "no fine-tuned weights are named; --tuned MODEL names them"
EXAMPLES = 300
"""Training examples that the plan collects before it fine-tunes."""

Rates = Mapping[Rung, Rate | None]


def percent(part: float) -> str:
    """Return a share in percent, without needless digits."""
    return f"{100 * part:.4g} %"


def why_run(reason: Reason, thresholds: Thresholds) -> str:
    """Return why a rung was run."""
    floor = percent(thresholds.floor)
    return {
        Reason.FIRST: "the climb begins with the zero-shot IR",
        Reason.PROMPTS_NEXT: "better prompts come before anything that costs more",
        Reason.OPTION_A: f"prompts pass {floor} or more, or could not be measured: the plan tries a"
        " larger model first (Option A)",
        Reason.OPTION_B: "the larger model did not do it: best-of-N on the small one (Option B)",
        Reason.COMBINED: "neither option did it alone: reasoning and best-of-N together",
        Reason.BELOW_FLOOR: f"prompts stay below {floor}: the plan skips to Claude",
        Reason.NO_CLAUDE: f"prompts stay below {floor} and Claude cannot be asked: what the plan"
        " skips is tried",
        Reason.FELL_SHORT: "nothing before it did it",
        Reason.LAST: "nothing before it did it",
    }[reason]


def why_untried(rung: Rung, end: End, rates: Rates, thresholds: Thresholds) -> str:
    """Return why a rung that the climb did not come to was not run."""
    if end.reason is Reason.BUDGET:
        cut = rung is end.rung
        return "cut off by the budget: what it executed is kept" if cut else "the budget was spent"
    if rung in UPGRADES and is_below_floor(rates, thresholds) and rates.get(Rung.CLAUDE):
        return f"skipped: prompts stay below {percent(thresholds.floor)}"
    return f"not needed: the climb ended at {end.rung}"


def tasks_needed(rate: Rate, thresholds: Thresholds) -> int | None:
    """Return how many tasks would show a rate like this; ``None`` where none would."""
    estimate = share(rate)
    return tasks_to_clear(estimate, thresholds.target) if estimate > thresholds.target else None


def too_few(tasks: int, thresholds: Thresholds) -> str | None:
    """Return a warning where not even passing all tasks would show the target."""
    least = tasks
    while passes_to_clear(least, thresholds.target) > least:
        least += 1
    if least == tasks:
        return None
    return (
        f"{tasks} tasks cannot show {percent(thresholds.target)}, even if all pass: it takes "
        f"{least} at least."
    )


def floor_doubt(rates: Rates, thresholds: Thresholds) -> str | None:
    """Return a warning where the tasks do not tell on which side of the floor the prompts are."""
    known = [r for rung in (Rung.ZERO_SHOT, Rung.FEW_SHOT) if (r := rates.get(rung))]
    if not known:
        return None
    best = max(known, key=share)
    if not best.low <= thresholds.floor <= best.high:
        return None
    return (
        f"The turn at {percent(thresholds.floor)} goes by the rate of {best}, whose interval lies "
        "on both sides of it: more tasks may turn the other way."
    )


def next_step(
    end: End,
    rates: Rates,
    obstacles: Mapping[Rung, str],
    thresholds: Thresholds,
    uses: int | None,
) -> str:
    """Return what to do next, in one sentence.

    Args:
        end: Where the climb ended.
        rates: Of the rungs that were tried.
        obstacles: Why rungs that were tried could not be run.
        thresholds: What was decided by.
        uses: Expected in production a month; ``None`` where nobody said.
    """
    rate = rates.get(end.rung) if end.rung else None
    target = percent(thresholds.target)
    if end.reason is Reason.BUDGET:
        return "Start it again with a larger --budget: what was measured is kept."
    if rate is None:
        return "Set up one model at least: no rung could be measured."
    if end.reason is Reason.REACHED:
        return f"Use {end.rung}: {rate} shows more than {target}{_tuning_words(uses)}."
    if end.reason is Reason.MORE_TASKS:
        needed = tasks_needed(rate, thresholds) or rate.total
        more = max(1, needed - rate.total)
        unit = "task" if more == 1 else "tasks"
        return (
            f"Measure {end.rung} on about {more:,} more {unit}: {rate} is above {target} and does "
            "not show it."
        )
    return f"{_way_out(rates, obstacles, thresholds, uses)}; the best so far is {end.rung}, {rate}."


def _tuning_words(uses: int | None) -> str:
    """Return what production of this size adds to the advice."""
    advice = tuning(uses)
    if advice == "no":
        return ""
    if advice == "consider":
        return (
            f", and collect {EXAMPLES} training examples meanwhile: from {SOME_USES:,} uses a month"
            " on the plan considers fine-tuning"
        )
    return (
        f", and collect {EXAMPLES} training examples to fine-tune: above {MANY_USES:,} uses a month"
        " the plan does, for the lower ongoing cost"
    )


def _way_out(
    rates: Rates, obstacles: Mapping[Rung, str], thresholds: Thresholds, uses: int | None
) -> str:
    """Return what is left to try where no rung did it."""
    wanted = [Rung.LARGER, Rung.CLAUDE]
    if is_below_floor(rates, thresholds):
        wanted.reverse()
    blocked = next((rung for rung in wanted if rung in obstacles), None)
    if blocked:
        return f"Make {blocked} available ({obstacles[blocked]})"
    if Rung.TUNED in obstacles and tuning(uses) != "no":
        return (
            f"Collect {EXAMPLES} training examples and fine-tune, then name the weights (--tuned)"
        )
    return "Find out with `lift blame` whether the IR is to blame, since no rung did it"
