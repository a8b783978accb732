"""Direct prompting that may spend what another program spends.

Owns how the number of candidates is found. Direct prompting with N candidates draws at a
temperature at which they differ and takes the behaviour that most of them share on the visible
cases and probes, its best choice without an IR; with one candidate it is greedy. What a text states
is extracted without a model, so where the program has that, direct prompting has it too.

A candidate's seed does not depend on N, so a larger N begins with the candidates of a smaller one:
nothing that was generated is generated again, and no choice of N gets luckier samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lift_sys.app.lineup import setting_words
from lift_sys.app.report import TokenMatch
from lift_sys.sandbox.base import Sandbox
from optimizers.rows import Row
from programs.ensemble import Program, members_of
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

TOLERANCE = 0.05
"""Share by which direct prompting may spend more than the program it is compared with."""

TEMPERATURE = 0.7
"""Of more than one candidate: that of the preset ``self_consistency``."""

Run = Callable[[str, SpecToCode], Sequence[Row]]
"""Runs a program under a name and returns its rows."""


def match_tokens(
    name: str, program: Program, rows: Sequence[Row], run: Run, sandbox: Sandbox
) -> tuple[TokenMatch, Sequence[Row]]:
    """Return direct prompting at the tokens of a program, and its rows.

    N is the largest whose generated tokens exceed the program's by at most ``TOLERANCE``, or 1.
    Drawing ends early where the choice is settled, so tokens are counted, not computed; they grow
    with N, so the first N that spends too much ends the search.

    Args:
        name: What the program is called.
        program: The program.
        rows: Its rows.
        run: Runs direct prompting over the same tasks.
        sandbox: Where direct prompting runs its candidates.
    """
    spent = _tokens(rows)
    most = (1 + TOLERANCE) * spent
    tried: list[tuple[int, str, Sequence[Row]]] = []
    for n, direct_name, direct in _directs(program, sandbox):
        tried.append((n, direct_name, run(direct_name, direct)))
        if _tokens(tried[-1][2]) > most:
            break
    beyond = tried.pop() if len(tried) > 1 and _tokens(tried[-1][2]) > most else None
    n, direct_name, found = tried[-1]
    match = TokenMatch(
        program=name,
        direct=direct_name,
        n=n,
        program_tokens=spent,
        direct_tokens=_tokens(found),
        direct_candidates=sum(row.attempts for row in found),
        next_tokens=_tokens(beyond[2]) if beyond else None,
    )
    return match, found


def _directs(program: Program, sandbox: Sandbox) -> Iterator[tuple[int, str, SpecToCode]]:
    """Yield direct prompting with 1, 2, ... candidates, and what it is called."""
    first = members_of(program)[0]
    extraction = first.extract_assertions
    told = {} if extraction.value == "off" else {extraction.name: extraction.value}
    for n in sorted(int(n) for n in first.n.space.choices):
        direct = make_program("direct", sandbox)
        set_hypers(direct, told)
        if n > 1:
            set_hypers(direct, {"n": n, "temperature": TEMPERATURE, "select": "agreement"})
        name = "direct" if n == 1 else f"direct × {n}"
        yield n, ", ".join([name, *setting_words(told)]), direct


def _tokens(rows: Sequence[Row]) -> int:
    return sum(row.usage.completion_tokens for row in rows)
