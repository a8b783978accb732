"""A report in words: the Markdown that the terminal shows and ``report.md`` holds.

Owns every sentence and table about results; those about the front of a search are
``front_tables``'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lift_sys.app.chain_use import chain_lines
from lift_sys.app.cost_tables import cost_lines, spent_sentence
from lift_sys.app.front_tables import front_lines
from lift_sys.app.report import (
    Compilation,
    PairedComparison,
    Report,
    Result,
    Search,
    TokenMatch,
)
from lift_sys.inference.usage import Usage
from lift_sys.verdict import FailureCategory
from metrics.stats import ALPHA, p_text
from optimizers.trials import Dropped

REASONS: dict[Dropped, str] = {
    "hopeless": "given up when they could not win",
    "racing": "given up by racing",
    "budget": "cut off by the token limit",
    "unpaid": "cut off by the budget",
}


def markdown(report: Report, *, detailed: bool = False) -> str:
    """Return the report as Markdown.

    Args:
        report: Of at least one program.
        detailed: Also say how many candidates were drawn, and what each stage cost.
    """
    lines = [f"### {report.data}: {report.results[0].rate.total} tasks", ""]
    more = [" candidates per task |", "---:|"] if detailed else ["", ""]
    lines += ["| program | passed | tokens out | tokens in (cached) | seconds |" + more[0]]
    lines += ["|---|---|---:|---:|---:|" + more[1]]
    lines += [_program(r) + (f" {_candidates(r)} |" if detailed else "") for r in report.results]
    failures = {r.name: r.failure_categories for r in report.results}
    lines += ["", *_categories(report), "", *failure_table(failures)]
    lines += _stages(report) if detailed else []
    costs = {r.name: r.cost for r in report.results if r.cost}
    lines += cost_lines(costs, detailed=detailed)
    lines += chain_lines({r.name: r.chains for r in report.results})
    lines += [*_matches(report), *_comparisons(report), ""]
    lines += [_search(report.search, report), ""] if report.search else []
    lines += [_compilation(report.compilation), ""] if report.compilation else []
    lines += front_lines(report.front) if report.front else []
    lines += [str(report.budget), ""] if report.budget else []
    lines += [_footer(report)]
    return "\n".join(lines) + "\n"


def _program(result: Result) -> str:
    usage = result.usage
    return (
        f"| {result.name} | {result.rate} | {usage.completion_tokens:,} | "
        f"{usage.prompt_tokens:,} ({usage.cached_tokens:,}) | {result.seconds:.0f} |"
    )


def _candidates(result: Result) -> str:
    if result.candidates is None or not result.rate.total:
        return "not kept"
    return f"{result.candidates / result.rate.total:.1f}"


def _stages(report: Report) -> list[str]:
    """Return the table of what each stage of each program cost, an empty line behind it."""
    lines = [
        f"| {result.name} | {s.stage or 'unnamed'} | {s.usage.calls} | "
        f"{s.usage.completion_tokens:,} | {s.usage.prompt_tokens:,} | {_cached(s.usage):.0%} | "
        f"{s.usage.seconds:.0f} | {s.truncated} |"
        for result in report.results
        for s in result.stages
    ]
    head = "| program | stage | calls | tokens out | tokens in | cached | seconds | truncated |"
    return [head, "|---|---|" + "---:|" * 6, *lines, ""] if lines else []


def _cached(usage: Usage) -> float:
    """Return the share of prompt tokens that came from the prefix cache, in [0, 1]."""
    return usage.cached_tokens / usage.prompt_tokens if usage.prompt_tokens else 0.0


def _matches(report: Report) -> list[str]:
    lines = [f"- {_match(match, report.results[0].rate.total)}" for match in report.matches]
    return ["At equal tokens out:", "", *lines, ""] if lines else []


def _match(match: TokenMatch, tasks: int) -> str:
    """Say how close direct prompting comes to the tokens of a program."""
    drawn = match.direct_candidates
    each = match.direct_tokens / drawn if drawn else 0.0
    text = (
        f"{match.program} spends {match.program_tokens:,}. {match.direct} spends "
        f"{match.direct_tokens:,} ({_share(match.direct_tokens, match.program_tokens)}): "
        f"{each:.0f} a candidate, {drawn / tasks if tasks else 0:.1f} candidates per task"
    )
    if match.next_tokens is None:
        bound = "no fewer" if match.direct_tokens > match.program_tokens else "no more"
        return f"{text}; {bound} can be drawn."
    share = _share(match.next_tokens, match.program_tokens)
    return f"{text}; N = {match.n + 1} would spend {match.next_tokens:,} ({share})."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "of nothing"


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
    lines = [comparison_line(pair, together) for pair in report.comparisons]
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


def comparison_line(pair: PairedComparison, together: int) -> str:
    """Return a comparison in one line of a list.

    Args:
        pair: The comparison.
        together: How many are read, and were corrected, together.
    """
    c = pair.comparison
    corrected = f" (corrected {p_text(c.p_corrected)})" if together > 1 else ""
    return (
        f"- {pair.second} against {pair.first}: {len(c.only_second)} tasks gained, "
        f"{len(c.only_first)} lost, {c.difference}, exact McNemar p {p_text(c.p_value)}"
        f"{corrected}, {pair.second_tokens:,} against {pair.first_tokens:,} tokens out: "
        f"{c.verdict}."
    )


def _flips_needed(alpha: float) -> int:
    """Return the fewest flips, all one way, that the exact test calls significant."""
    flips = 1
    while 2 * 0.5**flips > alpha:
        flips += 1
    return flips


def _search(search: Search, report: Report) -> str:
    """Say how many configurations the winner was chosen from, and what that makes of its rate."""
    why = ", ".join(f"{count} {REASONS[reason]}" for reason, count in search.dropped.items())
    several = search.configurations > 1
    chosen = " when it was chosen, which flatters the best of several" if several else ""
    return (
        f"Search: {_counted(search.configurations, 'configuration')} tried in "
        f"{_counted(search.trials, 'trial')}{f' ({why})' if why else ''}. On the dev tasks the "
        f"winner passed {search.before}{chosen}; {_again(search, counted=_any_call(report))}."
        f"{_warning(search, by_tokens=report.front is None)}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _again(search: Search, *, counted: bool) -> str:
    """Say what came of running the winner again.

    Args:
        search: That found it.
        counted: Whether any call of a model is known; else nobody knows what is sampled.
    """
    if search.after is None:
        why = "because the budget was spent" if search.unpaid else "(`reevaluate`)"
        return f"it was not run again {why}"
    if search.repeated:
        text = (
            "run again it gave the same answers, because nothing is sampled, so that can tell "
            "nothing about it"
        )
    else:
        text = f"{'with fresh samples' if counted else 'run again'} it passed {search.after}"
    return f"{text}; the budget was spent before others had run again" if search.unpaid else text


def _warning(search: Search, *, by_tokens: bool) -> str:
    """Say what a search could not show.

    Args:
        search: Its winner was chosen by its last rate, among those that have one.
        by_tokens: Whether the fewest tokens decide between equals.
    """
    rate = search.after or search.before
    if rate.total == 1:
        return " One task cannot show that one program is better than another."
    if rate.passed == 0:
        who = "Nothing that ran again" if search.after else "Nothing"
        least = ": the winner is what spent the fewest tokens" if by_tokens else ""
        return f" {who} passed any of them{least}."
    if rate.passed == rate.total and by_tokens and search.configurations > 1:
        who = "of those that ran again" if search.after else "programs"
        return f" Where several {who} pass all of them, the one with the fewest tokens won."
    return ""


def _compilation(made: Compilation) -> str:
    """Say what one of DSPy's optimizers tried, and what came of it on the dev tasks."""
    if made.programs:
        ran = f" and ran {made.programs} different programs on all dev tasks"
        chosen = ", which flatters what was chosen by them"
    else:
        ran = chosen = ""
    return (
        f"Optimizer: {made.optimizer}, from the program {made.preset}. It had {made.scored:,} "
        f"answers scored{ran}, for {made.tokens:,} tokens out. On the dev tasks the program passed "
        f"{made.before} before and {made.after} after it{chosen}."
    )


def _footer(report: Report) -> str:
    usage = report.usage
    if not _any_call(report):
        return (
            "Whole run: no call of a model was counted; either none was made, or the model is one "
            "whose calls are not counted, as one of a class of your own."
        )
    return (
        f"Whole run: {usage.calls} answers generated, {usage.completion_tokens:,} tokens out, "
        f"{usage.prompt_tokens:,} in ({_cached(usage):.0%} from the prefix cache), "
        f"{_time_spent(report)}{_taken(report.taken)}.{spent_sentence(report.spent)}"
    )


def _any_call(report: Report) -> bool:
    return bool(report.usage.calls or report.taken.calls)


def _taken(usage: Usage) -> str:
    if not usage.calls:
        return ""
    return (
        f"; {usage.calls} more with {usage.completion_tokens:,} tokens out were taken from other "
        "runs"
    )


def _time_spent(report: Report) -> str:
    if report.overhead_seconds is None:
        return (
            f"{report.usage.seconds:.0f} s of calls, which overlapped: backends were busy for "
            f"{report.busy_seconds:.0f} s"
        )
    return (
        f"{report.usage.seconds:.0f} s in the model and {report.overhead_seconds:.1f} s outside it "
        f"({report.share_outside_model:.1%})"
    )
