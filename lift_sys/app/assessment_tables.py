"""An assessment as Markdown: the climb, the plan's matrices with measured figures, what is next.

Owns the tables; sentences are ``assessment_words``'s, the plan's figures ``plan_matrices``'s.
"""

from __future__ import annotations

from lift_sys.app.assessment_report import Assessment, RungReport
from lift_sys.app.assessment_words import percent
from lift_sys.app.chain_use import chain_lines
from lift_sys.app.plan_matrices import MATRICES, Line, Matrix, Measure
from lift_sys.app.tables import comparison_line, failure_table

NONE = "–"
HEADS: dict[Measure, str] = {
    "passed": "measured",
    "gain": "measured gain over the first rung",
    "cost": "measured cost",
    "latency": "measured latency",
    "usd": "measured USD of a test",
    "seconds": "measured seconds of the test",
    "ir seconds": "measured seconds of the IR",
}
IR_STAGES = ("reason", "ir", "critic", "refine")
"""Stages whose time is that of the IR."""


def markdown(made: Assessment) -> str:
    """Return the assessment as Markdown."""
    target, floor = percent(made.target), percent(made.floor)
    lines = [f"### {made.data}: {made.tasks} tasks; target {target}, floor {floor}", ""]
    lines += [f"Next: {made.next_step}", ""]
    lines += [f"Read with care: {doubt}\n" for doubt in made.doubts]
    lines += [*_ladder(made), *_comparisons(made), *_option(made)]
    measured = [r.result for r in map(made.rung, made.order) if r.result]
    lines += failure_table({r.name: r.failure_categories for r in measured})
    lines += chain_lines({r.name: r.chains for r in measured})
    for matrix in MATRICES:
        lines += _matrix(matrix, made)
    lines += _commands(made)
    lines += [str(made.budget), ""] if made.budget else []
    return "\n".join(lines)


def _ladder(made: Assessment) -> list[str]:
    head = (
        "| rung | program | model | passed | tokens out | tokens in | seconds | USD | cost |"
        " why, or why not |"
    )
    rows = [_rung(report, made) for report in made.rungs]
    note = (
        "Tokens, seconds and USD are per task; the cost is a multiple of the first rung's, "
        f"{_cost_unit(made)}."
    )
    return [head, "|---|---|---|---|" + "---:|" * 5 + "---|", *rows, "", note, ""]


def _rung(report: RungReport, made: Assessment) -> str:
    cells = [report.rung, report.program or NONE, report.model or NONE]
    if report.result is None:
        cells += ["not run", *[NONE] * 5]
    else:
        cells += [
            str(report.result.rate),
            f"{report.tokens_out:,.0f}",
            f"{report.tokens_in:,.0f}",
            f"{report.seconds:.1f}",
            _usd(report),
            _cost(report, made),
        ]
    return f"| {' | '.join([*cells, report.why])} |"


def _usd(report: RungReport) -> str:
    return "unknown" if report.usd_each is None else f"{report.usd_each:.4f}"


def _first(made: Assessment) -> RungReport | None:
    return made.rung(made.order[0]) if made.order else None


def _priced(made: Assessment) -> bool:
    """Tell whether costs are multiples of USD."""
    first = _first(made)
    return first is not None and bool(first.usd_each)


def _cost_unit(made: Assessment) -> str:
    return "in USD" if _priced(made) else "in generated tokens, since USD of it are none or unknown"


def _cost(report: RungReport, made: Assessment) -> str:
    """Return the multiple of what the first rung costs: in USD, or in tokens where it is free."""
    first = _first(made)
    if first is None:
        return NONE
    if not _priced(made):
        return _multiple(report.tokens_out, first.tokens_out)
    return "unknown" if report.usd_each is None else _multiple(report.usd_each, first.usd_each)


def _multiple(value: float, base: float | None) -> str:
    return f"{value / base:.1f}x" if base else NONE


def _comparisons(made: Assessment) -> list[str]:
    together = len(made.comparisons)
    lines = [comparison_line(pair, together) for pair in made.comparisons]
    return ["Each rung against the one measured before it:", "", *lines, ""] if lines else []


def _option(made: Assessment) -> list[str]:
    if made.option is None:
        return []
    return [
        f"Of the larger model (Option A) and best-of-N (Option B), {made.option} is built upon: B "
        "is where it is shown to be better, or passes as much for less.",
        "",
    ]


def _matrix(matrix: Matrix, made: Assessment) -> list[str]:
    plan = [f"plan: {column}" for column in matrix.columns]
    heads = [matrix.subject, *plan, *(HEADS[m] for m in matrix.measures), "measured with"]
    lines = [f"| {' | '.join(_line(line, matrix, made))} |" for line in matrix.lines]
    return [
        f"#### {matrix.title}",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *lines,
        "",
    ]


def _line(line: Line, matrix: Matrix, made: Assessment) -> list[str]:
    cells = [line.label, *line.expected]
    if line.rung is None:
        return [*cells, *[NONE] * len(matrix.measures), "no rung"]
    report = made.rung(line.rung)
    if report.result is None:
        return [*cells, *[NONE] * len(matrix.measures), f"not run: {report.why}"]
    measured = [_measured(measure, report, made) for measure in matrix.measures]
    return [*cells, *measured, f"{report.model}: {report.program}"]


def _measured(measure: Measure, report: RungReport, made: Assessment) -> str:
    """Return a figure of a rung that was measured."""
    if measure == "passed":
        return str(report.result.rate) if report.result else NONE
    if measure == "gain":
        return str(report.against_first) if report.against_first else NONE
    if measure == "usd":
        return _usd(report)
    if measure == "seconds":
        return f"{report.seconds:.1f}"
    if measure == "ir seconds":
        return f"{report.stage_seconds(*IR_STAGES):.1f}"
    first = _first(made)
    if measure == "latency":
        return _multiple(report.seconds, first.seconds if first else None)
    return _cost(report, made)


def _commands(made: Assessment) -> list[str]:
    shown = [report.command for report in made.rungs if report.result]
    again = "Each rung again, from the same stored answers (where `--runs` is the same):"
    return [again, "", *(f"- `{c}`" for c in shown), ""]
