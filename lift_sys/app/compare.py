"""Two measured programs side by side: which tasks flipped, what both cost, and what that shows.

Owns where a side's outcomes are found (a run directory, an artifact, a report) and the paired
table. Nothing is run again; both sides must come from the same tasks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lift_sys.app.export import load_artifact
from lift_sys.app.report import Report
from lift_sys.app.tables import failure_table
from lift_sys.errors import ConfigError
from lift_sys.record import Record
from lift_sys.verdict import FailureCategory
from metrics.stats import Comparison, Rate, compare, p_text

WHAT = "a run directory, an artifact, or a report that `lift eval --json` printed"


class Side(Record):
    """One of the two programs, measured.

    Attributes:
        program: What it is called where it was measured.
        source: File or directory that it was read from.
        data: Name of the task set.
        data_sha256: Of its file.
        outcomes: Pass or fail by task id.
        categories: Category by task id.
        rate: Of all tasks.
        tokens: Generated tokens of all tasks.
        seconds: Wall time of all tasks, in seconds; ``None`` where it was not kept.
        failure_categories: Of failed tasks by id; empty where they were not kept.
    """

    program: str
    source: str
    data: str
    data_sha256: str
    outcomes: dict[str, bool]
    categories: dict[str, str]
    rate: Rate
    tokens: int
    seconds: float | None
    failure_categories: dict[str, FailureCategory] = {}  # noqa: RUF012 (pydantic copies it)


class CategoryPair(Record):
    """Both sides on the tasks of one category, and how many of those only one side passed."""

    category: str
    first: Rate
    second: Rate
    only_first: int
    only_second: int


class SideBySide(Record):
    """Two sides on the same tasks; ``comparison`` speaks of the second."""

    first: Side
    second: Side
    categories: tuple[CategoryPair, ...]
    comparison: Comparison


def load_side(path: Path, program: str | None = None) -> Side:
    """Read the outcomes of one program.

    Args:
        path: A run directory, an artifact or a report.
        program: Which, by its name in the report's table; default: the last, which in a run is the
            compiled winner. Not for an artifact, which holds one.

    Raises:
        ConfigError: There are no outcomes, or no such program.
        ArtifactError: An artifact that cannot be read or was changed.
    """
    if path.is_dir():
        return _from_report(_read_run(path), path, program)
    document = _read_json(path)
    if isinstance(document, dict) and document.get("kind") == "lift-sys program":
        return _from_artifact(path, program)
    return _from_report(_as_report(document, path), path, program)


def pair(first: Side, second: Side) -> SideBySide:
    """Compare two sides.

    Raises:
        ConfigError: They were not measured on the same tasks.
    """
    only_a, only_b = (
        first.outcomes.keys() - second.outcomes,
        second.outcomes.keys() - first.outcomes,
    )
    if only_a or only_b:
        msg = (
            f"{first.source} and {second.source} were measured on different tasks "
            f"({len(only_a)} only in A, {len(only_b)} only in B, such as "
            f"{min(only_a or only_b)}); measure both on the same set"
        )
        raise ConfigError(msg)
    if first.data_sha256 != second.data_sha256:
        msg = (
            f"{first.source} and {second.source} name the same tasks but {first.data} was another "
            "file then (its SHA-256 differs); measure one of them again"
        )
        raise ConfigError(msg)
    comparison = compare(first.outcomes, second.outcomes)
    categories = tuple(
        _category_pair(c, first, second, comparison) for c in sorted(set(first.categories.values()))
    )
    return SideBySide(first=first, second=second, categories=categories, comparison=comparison)


def markdown(both: SideBySide) -> str:
    """Return the comparison as Markdown."""
    a, b, c = both.first, both.second, both.comparison
    lines = [f"### {a.data}: {c.tasks} tasks, paired", ""]
    lines += [f"- A: {a.program} ({a.source})", f"- B: {b.program} ({b.source})", ""]
    lines += ["| | A | B |", "|---|---|---|", f"| passed | {a.rate} | {b.rate} |"]
    lines += [f"| tokens out | {a.tokens:,} | {b.tokens:,} |"]
    lines += [f"| seconds | {_seconds(a)} | {_seconds(b)} |", ""]
    lines += ["| category | A | B | only A | only B |", "|---|---|---|---:|---:|"]
    lines += [
        f"| {p.category} | {_short(p.first)} | {_short(p.second)} | {p.only_first} | "
        f"{p.only_second} |"
        for p in both.categories
    ]
    lines += ["", *_failures(both), f"- only A passed: {_listed(c.only_first)}"]
    lines += [f"- only B passed: {_listed(c.only_second)}"]
    lines += [f"- B minus A: {c.difference}, exact McNemar p {p_text(c.p_value)}"]
    return "\n".join([*lines, "", f"B against A: {c.verdict}."]) + "\n"


def _failures(both: SideBySide) -> list[str]:
    """Return the table of failures, where both sides kept why each of theirs failed."""
    sides = {"A": both.first, "B": both.second}
    whole = all(len(s.failure_categories) == s.rate.total - s.rate.passed for s in sides.values())
    return failure_table({n: s.failure_categories for n, s in sides.items()}) if whole else []


def _read_run(path: Path) -> Report:
    report = path / "report.json"
    if not report.is_file():
        msg = f"{path} has no report.json: it is not a run, or one that did not finish; give {WHAT}"
        raise ConfigError(msg)
    return _as_report(_read_json(report), report)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; give {WHAT}"
        raise ConfigError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is truncated or not JSON; give {WHAT}"
        raise ConfigError(msg) from error


def _as_report(document: Any, path: Path) -> Report:
    try:
        return Report.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        msg = f"{path} is not a report of this release: {where}: {first['msg']}; give {WHAT}"
        raise ConfigError(msg) from error


def _from_report(report: Report, path: Path, program: str | None) -> Side:
    names = [r.name for r in report.results]
    if not names:
        msg = f"{path} holds no results"
        raise ConfigError(msg)
    if program is not None and program not in names:
        msg = f"{path} has no program {program!r}; it has: {', '.join(names)}"
        raise ConfigError(msg)
    result = report.results[names.index(program) if program is not None else -1]
    side = Side(
        program=result.name,
        source=str(path),
        data=report.data,
        data_sha256=report.data_sha256,
        outcomes=result.outcomes,
        categories=result.categories,
        rate=result.rate,
        tokens=result.usage.completion_tokens,
        seconds=result.seconds,
        failure_categories=result.failure_categories,
    )
    return _checked(side)


def _from_artifact(path: Path, program: str | None) -> Side:
    artifact = load_artifact(path)
    if program is not None:
        msg = f"{path} is an artifact and holds one program; leave {program!r} out"
        raise ConfigError(msg)
    test = artifact.scores.get("test")
    if test is None or not test.outcomes:
        msg = f"{path} has no test outcomes by task; compile it again, or give its run directory"
        raise ConfigError(msg)
    side = Side(
        program=f"{artifact.program} for {artifact.model.id}",
        source=str(path),
        data=test.data,
        data_sha256=test.data_sha256,
        outcomes=test.outcomes,
        categories=test.categories,
        rate=Rate.of(sum(test.outcomes.values()), len(test.outcomes)),
        tokens=test.tokens,
        seconds=test.seconds,
    )
    return _checked(side)


def _checked(side: Side) -> Side:
    """Return a side whose parts agree with each other.

    Raises:
        ConfigError: They do not: the document was changed or put together by hand.
    """
    counts = (sum(side.outcomes.values()), len(side.outcomes))
    whole = side.outcomes.keys() == side.categories.keys()
    if not whole or counts != (side.rate.passed, side.rate.total):
        msg = f"{side.source}: outcomes, categories and totals of {side.program} do not agree"
        raise ConfigError(f"{msg}; measure it again")
    return side


def _category_pair(
    category: str, first: Side, second: Side, comparison: Comparison
) -> CategoryPair:
    tasks = [t for t, c in first.categories.items() if c == category]
    return CategoryPair(
        category=category,
        first=Rate.of(sum(first.outcomes[t] for t in tasks), len(tasks)),
        second=Rate.of(sum(second.outcomes[t] for t in tasks), len(tasks)),
        only_first=len(set(tasks) & set(comparison.only_first)),
        only_second=len(set(tasks) & set(comparison.only_second)),
    )


def _seconds(side: Side) -> str:
    return "not kept" if side.seconds is None else f"{side.seconds:.0f}"


def _short(rate: Rate) -> str:
    return f"{rate.passed}/{rate.total} ({rate.low:.0%}–{rate.high:.0%})"


def _listed(tasks: tuple[str, ...]) -> str:
    return f"{len(tasks)} ({', '.join(tasks)})" if tasks else "none"
