"""Which behaviour do the candidates agree on?

Owns the rule ``agreement``. Candidates whose code behaves alike on the probe inputs are one
cluster. A cluster weighs its number of candidates times the assertions that it passes, out of those
that the independently sampled IRs of all candidates derived: the "dual execution agreement" of
CodeT (Chen et al. 2022, arXiv 2207.10397), with three differences.

- Stated assertions are hard constraints and come before the weight, not into it.
- One is added to the assertions passed, so that without any the most common behaviour wins.
- Clusters are told apart by behaviour on inputs that the first usable candidate fixes, not by the
  set of assertions passed. Later candidates therefore join clusters or begin new ones but never
  split one, weights only grow, and it can be known when the choice cannot change any more.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from lift_sys.ir.lint import Kind, lint_ir
from lift_sys.ir.models import SpecIR
from lift_sys.sandbox.assertions import held_assertions
from lift_sys.sandbox.base import Call, CallOutcome, Execution, Submission
from lift_sys.sandbox.compare import canonical
from lift_sys.verdict import Status
from programs.agreement import Agreement
from programs.attempts import Attempt, Draw, usable
from programs.probes import probe_inputs

BROKEN, REFUTED, STANDING = range(3)
"""Code that ends before it returns from any call; that fails a stated assertion; any other."""


@dataclass(frozen=True)
class Cluster:
    """Candidates that behave alike.

    Attributes:
        first: Index of the earliest; it speaks for all.
        size: How many there are.
        standing: ``BROKEN``, ``REFUTED`` or ``STANDING``.
        passed: Derived assertions of all IRs that hold on the earliest one's code.
        length: Of the earliest one's code, in characters.
    """

    first: int
    size: int
    standing: int
    passed: int
    length: int

    @property
    def weight(self) -> int:
        """Candidates times assertions passed, these plus one."""
        return self.size * (1 + self.passed)

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Sort key; among equals the shortest code wins, then the earliest."""
        return self.standing, self.weight, -self.length, -self.first


def agreement_scores(attempts: Sequence[Attempt], draw: Draw) -> list[tuple[float, ...]]:
    """Return for each usable attempt the rank of its cluster.

    Raises:
        SandboxError: The sandbox failed.
    """
    cluster_of = _clusters(attempts, draw)
    return [cluster_of[a.index].rank for a in attempts]


def agreement_is_settled(attempts: Sequence[Attempt], draw: Draw) -> bool:
    """Tell whether the candidates not yet drawn cannot change the choice.

    Raises:
        SandboxError: The sandbox failed.
    """
    drawn = usable(attempts)
    if not drawn:
        return False
    clusters = list(dict.fromkeys(_clusters(drawn, draw).values()))
    asserted = sum(len(texts) for _, texts in _derived(drawn, draw.assertions))
    left = draw.n - len(attempts)
    # A program makes an IR for every candidate or for none.
    return is_settled(clusters, left, asserted, left * draw.assertions if drawn[0].ir else 0)


def is_settled(clusters: Sequence[Cluster], left: int, asserted: int, more: int) -> bool:
    """Tell whether no behaviour of further candidates changes which cluster ranks first.

    The leader is at its weakest if none joins it and it fails every new assertion; a rival is at
    its strongest if all join it and it passes every new one. A cluster that does not exist yet may
    also fail no stated assertion, pass every derived one and have next to no code. Whatever happens
    lies between, so the answer is exact: it is true if and only if none of these outranks the
    leader.

    Args:
        clusters: At least one.
        left: Candidates not yet drawn.
        asserted: Distinct derived assertions so far.
        more: Most that the candidates not yet drawn can add.
    """
    leader = max(clusters, key=lambda c: c.rank)
    rivals = [
        Cluster(c.first, c.size + left, c.standing, c.passed + more, c.length)
        for c in clusters
        if c is not leader
    ]
    latest = max(c.first for c in clusters) + 1
    rivals.append(Cluster(latest, left, STANDING, asserted + more, 0))
    return all(rival.rank < leader.rank for rival in rivals)


def _clusters(drawn: Sequence[Attempt], draw: Draw) -> dict[int, Cluster]:
    """Return the cluster of each attempt, by the attempt's index."""
    probes = probe_inputs(draw.view, drawn[0].ir, drawn[0].code or "")
    groups: dict[tuple[int, tuple[str, ...]], list[Attempt]] = {}
    for attempt in drawn:
        groups.setdefault(_behaviour(attempt, probes, draw), []).append(attempt)
    derived = _derived(drawn, draw.assertions)
    found: dict[int, Cluster] = {}
    for (standing, _), members in groups.items():
        # Code that hangs would be waited for again with every IR, and cannot be right.
        code = members[0].code or ""
        passed = 0 if standing == BROKEN else _passed(code, derived, draw)
        cluster = Cluster(members[0].index, len(members), standing, passed, len(code))
        found |= dict.fromkeys((m.index for m in members), cluster)
    return found


def _behaviour(attempt: Attempt, probes: Sequence[str], draw: Draw) -> tuple[int, tuple[str, ...]]:
    """Return an attempt's standing and what each probe gave."""
    standing, outcomes = run_on(attempt, probes, draw)
    observe = _observes(draw)
    return standing, tuple(outcome_text(o, observe=observe) for o in outcomes)


def run_on(
    attempt: Attempt, probes: Sequence[str], draw: Draw
) -> tuple[int, tuple[CallOutcome, ...]]:
    """Return an attempt's standing and how its code ended on each probe.

    Raises:
        SandboxError: The sandbox failed.
    """
    submission = Submission(
        code=attempt.code or "",
        entry_point=str(draw.view.entry_point),
        calls=_calls(tuple(probes), observe=_observes(draw)),
    )
    execution = draw.sandbox.execute(submission)
    standing = REFUTED if is_refuted(attempt) else STANDING
    return BROKEN if _ended_at_once(execution) else standing, execution.outcomes


def is_refuted(attempt: Attempt) -> bool:
    """Tell whether a stated assertion fails on an attempt's code."""
    checked = attempt.agreement or Agreement()
    return checked.stated_held != checked.stated_total


@functools.lru_cache(maxsize=64)  # all candidates of an answer get the same
def _calls(probes: tuple[str, ...], *, observe: bool) -> tuple[Call, ...]:
    return tuple(Call(args=args, observe_args=observe) for args in probes)


def _observes(draw: Draw) -> bool:
    return any(case.args_after is not None for case in draw.view.visible)


def _ended_at_once(execution: Execution) -> bool:
    """Tell whether the code ended before any call did: then all outcomes are one and the same."""
    outcomes = execution.outcomes
    return execution.status is not Status.PASSED and all(o == outcomes[-1] for o in outcomes)


def outcome_text(outcome: CallOutcome, *, observe: bool) -> str:
    """Return a text that is the same for equal outcomes and only for those."""
    if outcome.status is Status.PASSED:
        text = canonical(outcome.value)
    else:
        text = f"raises {outcome.exception}" if outcome.exception else outcome.status.value
    return f"{text}, then {canonical(outcome.args_after)}" if observe else text


def _derived(drawn: Sequence[Attempt], most: int) -> list[tuple[SpecIR, frozenset[str]]]:
    """Return each IR with the executable assertions that it derives and no earlier one does.

    An IR has at most ``most`` votes, however many it holds.
    """
    seen: set[str] = set()
    derived = []
    for ir in (a.ir for a in drawn if a.ir is not None):
        texts = [
            finding.predicate
            for assertion, finding in lint_ir(ir)
            if assertion.provenance == "derived" and finding.kind is not Kind.INFORMAL
        ]
        fresh = frozenset(texts[:most]) - seen
        seen |= fresh
        derived.append((ir, fresh))
    return derived


def _passed(code: str, derived: Sequence[tuple[SpecIR, frozenset[str]]], draw: Draw) -> int:
    """Return how many derived assertions hold on the code."""
    name, visible, sandbox = str(draw.view.entry_point), draw.view.visible, draw.sandbox
    held = [
        {h.predicate for h in held_assertions(code, name, ir, visible, sandbox) if h.ok} & texts
        for ir, texts in derived
        if texts
    ]
    return sum(map(len, held))
