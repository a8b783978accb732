"""What programs cost and how long they take, in words.

Owns every table and sentence about USD and latency. A price that is not known is said to be
unknown, never nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from lift_sys.app.cost import Latency, ProgramCost, Spent
from lift_sys.inference import planned

IR_STAGE = "ir"


def cost_lines(costs: Mapping[str, ProgramCost], *, detailed: bool) -> list[str]:
    """Return the tables of what programs cost, an empty line behind each.

    Args:
        costs: By the name of the program, of those that are not free.
        detailed: Also say what each stage cost.
    """
    if not costs:
        return []
    lines = [
        "| program | USD | USD per task | s per task: median (p95) |",
        "|---|---:|---:|---:|",
        *(_program(name, cost) for name, cost in costs.items()),
        "",
    ]
    if detailed:
        lines += [
            "| program | stage | USD | s per call: median (p95) |",
            "|---|---|---:|---:|",
            *(line for name, cost in costs.items() for line in _stages(name, cost)),
            "",
        ]
    return [*lines, *_planned(costs)]


def spent_sentence(spent: Spent | None) -> str:
    """Return a sentence that says what a whole run cost; empty where it was free."""
    if spent is None:
        return ""
    if spent.usd is None:
        return f" What it cost is unknown: no price of {', '.join(spent.unpriced)} is known."
    dated = f" of {spent.as_of}" if spent.as_of else ""
    return f" It cost {spent.usd:.4f} USD at the prices{dated}."


def usd_text(usd: float | None) -> str:
    """Return an amount, or that it is not known."""
    return "unknown" if usd is None else f"{usd:.4f}"


def _program(name: str, cost: ProgramCost) -> str:
    usd = cost.spent.usd
    return f"| {name} | {usd_text(usd)} | {usd_text(_each(cost))} | {_seconds(cost.latency)} |"


def _stages(name: str, cost: ProgramCost) -> list[str]:
    return [
        f"| {name} | {s.stage or 'unnamed'} | {usd_text(s.usd)} | {_seconds(s.latency)} |"
        for s in cost.stages
    ]


def _planned(costs: Mapping[str, ProgramCost]) -> list[str]:
    """Return the plan's figures beside the measured ones, for models that it speaks of."""
    low, high = planned.IR_SECONDS
    lines = [
        f"| {name} | {model} | {planned.USD_PER_TASK[model]:.3f} | {usd_text(_each(cost))} | "
        f"{low:g}–{high:g}, at most {planned.MOST_IR_SECONDS:g} | {_ir_seconds(cost)} |"
        for name, cost in costs.items()
        for model in cost.spent.models
        if model in planned.USD_PER_TASK
    ]
    if not lines:
        return []
    return [
        f"Beside {planned.SOURCE}:",
        "",
        "| program | model | USD per task: plan | measured | s per IR: plan "
        "| measured median (p95) |",
        "|---|---|---:|---:|---:|---:|",
        *lines,
        "",
    ]


def _each(cost: ProgramCost) -> float | None:
    return None if cost.spent.usd is None else cost.spent.usd / len(cost.tasks)


def _ir_seconds(cost: ProgramCost) -> str:
    found = [s.latency for s in cost.stages if s.stage == IR_STAGE]
    return _seconds(found[0]) if found else "no IR"


def _seconds(latency: Latency) -> str:
    return f"{latency.median:.1f} ({latency.p95:.1f})"
