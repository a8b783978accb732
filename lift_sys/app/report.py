"""The final table of a run: pure functions from stored rows to figures, text and tables.

Owns what is said about results. Every rate has its interval and every comparison is paired, with
the tokens of both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from lift_sys.inference.usage import CallRecord, Usage
from lift_sys.record import Record, Versioned
from lift_sys.verdict import FailureCategory
from metrics.stats import ALPHA, Comparison, Rate, compare, correct
from optimizers.evaluate import Row


class Result(Record):
    """One program on one task set.

    Attributes:
        name: What the program is called.
        outcomes: Pass or fail by task id.
        categories: Category by task id.
        rate: Of all tasks.
        by_category: Rate by category.
        usage: Tokens and engine seconds of all tasks.
        seconds: Wall time of all tasks, in seconds.
        failures: Status or reason by failed task id.
        failure_categories: Of the failures by task id; empty in reports of earlier releases.
    """

    name: str
    outcomes: dict[str, bool]
    categories: dict[str, str]
    rate: Rate
    by_category: dict[str, Rate]
    usage: Usage
    seconds: float
    failures: dict[str, str]
    failure_categories: dict[str, FailureCategory] = {}  # noqa: RUF012 (pydantic copies it)


class PairedComparison(Record):
    """Two results on the same tasks; ``comparison`` speaks of the second."""

    first: str
    second: str
    first_tokens: int
    second_tokens: int
    comparison: Comparison


class Report(Versioned):
    """The outcome of a run.

    Attributes:
        data: Name of the test set.
        data_sha256: Of its file.
        results: One per program, in the order of the table.
        comparisons: Paired, the later program against each earlier one; corrected together.
        usage: Of every answer generated for the run, each counted once.
        overhead_seconds: Time that all rows of the run spent outside the model, in seconds.
    """

    current_version: ClassVar[int] = 1

    data: str
    data_sha256: str
    results: tuple[Result, ...]
    comparisons: tuple[PairedComparison, ...]
    usage: Usage
    overhead_seconds: float

    @property
    def share_outside_model(self) -> float:
        """Share of the work's time that was not spent in the model, in [0, 1]."""
        total = self.usage.seconds + self.overhead_seconds
        return self.overhead_seconds / total if total else 0.0


def summarise(name: str, rows: Sequence[Row]) -> Result:
    """Return the figures of one program's rows."""
    categories = sorted({r.category for r in rows})
    return Result(
        name=name,
        outcomes={r.task_id: r.score.passed for r in rows},
        categories={r.task_id: r.category for r in rows},
        rate=Rate.of(sum(r.score.passed for r in rows), len(rows)),
        by_category={
            c: Rate.of(
                sum(r.score.passed for r in rows if r.category == c),
                sum(r.category == c for r in rows),
            )
            for c in categories
        },
        usage=Usage.of(call for r in rows for call in r.calls),
        seconds=sum(r.seconds for r in rows),
        failures={r.task_id: r.failure or str(r.score.status) for r in rows if not r.score.passed},
        failure_categories={
            r.task_id: r.score.category for r in rows if r.score.category is not None
        },
    )


def build_report(
    data: str, data_sha256: str, results: Mapping[str, Sequence[Row]], every: Sequence[Row]
) -> Report:
    """Return the report of a run.

    Args:
        data: Name of the test set.
        data_sha256: Of its file.
        results: Test rows by program, in the order of the table.
        every: All rows of the run, search included.
    """
    summaries = [summarise(name, rows) for name, rows in results.items()]
    pairs = [(first, second) for i, second in enumerate(summaries) for first in summaries[:i]]
    compared = correct([compare(first.outcomes, second.outcomes) for first, second in pairs])
    comparisons = tuple(
        PairedComparison(
            first=first.name,
            second=second.name,
            first_tokens=first.usage.completion_tokens,
            second_tokens=second.usage.completion_tokens,
            comparison=comparison,
        )
        for (first, second), comparison in zip(pairs, compared, strict=True)
    )
    return Report(
        data=data,
        data_sha256=data_sha256,
        results=tuple(summaries),
        comparisons=comparisons,
        usage=Usage.of(_distinct(every)),
        overhead_seconds=sum(r.seconds - r.usage.seconds for r in every),
    )


def _distinct(rows: Sequence[Row]) -> list[CallRecord]:
    """Return every generated answer once, however many rows used it."""
    calls = {c.key or f"{r.key}/{i}": c for r in rows for i, c in enumerate(r.calls)}
    return list(calls.values())


def markdown(report: Report) -> str:
    """Return the report as Markdown: what the terminal shows and ``report.md`` holds."""
    lines = [f"### {report.data}: {report.results[0].rate.total} tasks", ""]
    lines += ["| program | passed | tokens out | tokens in (cached) | seconds |"]
    lines += ["|---|---|---:|---:|---:|"]
    lines += [
        f"| {r.name} | {r.rate} | {r.usage.completion_tokens:,} | {r.usage.prompt_tokens:,} "
        f"({r.usage.cached_tokens:,}) | {r.seconds:.0f} |"
        for r in report.results
    ]
    failures = {r.name: r.failure_categories for r in report.results}
    lines += ["", *_categories(report), "", *failure_table(failures)]
    lines += [*_comparisons(report), "", _footer(report)]
    return "\n".join(lines) + "\n"


def _categories(report: Report) -> list[str]:
    lines = [
        "| category | " + " | ".join(r.name for r in report.results) + " |",
        "|---|" + "---|" * len(report.results),
    ]
    for category in report.results[0].by_category:
        rates = [r.by_category[category] for r in report.results]
        cells = [f"{r.passed}/{r.total} ({r.low:.0%}–{r.high:.0%})" for r in rates]
        lines.append(f"| {category} | " + " | ".join(cells) + " |")
    return lines


def failure_table(failures: Mapping[str, Mapping[str, FailureCategory]]) -> list[str]:
    """Return the lines of a table that counts failures by category, an empty line behind it.

    Args:
        failures: For each column's head, the categories by task id. Categories that do not occur
            get no line; if none does there is no table.
    """
    counts = {name: Counter(found.values()) for name, found in failures.items()}
    lines = [
        f"| {category.replace('_', ' ')} | "
        + " | ".join(str(found[category]) for found in counts.values())
        + " |"
        for category in FailureCategory
        if any(found[category] for found in counts.values())
    ]
    head = "| failure | " + " | ".join(counts) + " |"
    return [head, "|---|" + "---:|" * len(counts), *lines, ""] if lines else []


def _comparisons(report: Report) -> list[str]:
    together = len(report.comparisons)
    lines = []
    for pair in report.comparisons:
        c = pair.comparison
        corrected = f" (corrected {p_text(c.p_corrected)})" if together > 1 else ""
        lines.append(
            f"- {pair.second} against {pair.first}: {len(c.only_second)} tasks gained, "
            f"{len(c.only_first)} lost, {c.difference}, exact McNemar p {p_text(c.p_value)}"
            f"{corrected}, {pair.second_tokens:,} against {pair.first_tokens:,} tokens out: "
            f"{c.verdict}."
        )
    if together > 1:
        lines.append(
            f"- Verdicts go by p after Holm's correction for {together} comparisons; the clearest "
            f"needs {_flips_needed(ALPHA / together)} one-sided flips or more to show a "
            f"difference (p ≤ {ALPHA}); read the intervals."
        )
    else:
        lines.append(
            f"- {report.results[0].rate.total} tasks show a difference (p ≤ {ALPHA}) only from "
            f"{_flips_needed(ALPHA)} one-sided flips on; read the intervals."
        )
    return lines


def p_text(p_value: float) -> str:
    """Return a p-value as it is printed, with its relation sign."""
    return f"= {p_value:.3f}" if p_value >= 0.0005 else "< 0.001"


def _flips_needed(alpha: float) -> int:
    """Return the fewest flips, all one way, that the exact test calls significant."""
    flips = 1
    while 2 * 0.5**flips > alpha:
        flips += 1
    return flips


def _footer(report: Report) -> str:
    usage = report.usage
    cached = usage.cached_tokens / usage.prompt_tokens if usage.prompt_tokens else 0.0
    return (
        f"Whole run: {usage.calls} answers generated, {usage.completion_tokens:,} tokens out, "
        f"{usage.prompt_tokens:,} in ({cached:.0%} from the prefix cache), "
        f"{usage.seconds:.0f} s in the model and {report.overhead_seconds:.1f} s outside it "
        f"({report.share_outside_model:.1%})."
    )
