"""Which model of a chain answered how many calls, and why others did not.

Owns the counts, taken from what each call noted, and how they are said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from lift_sys.inference.usage import CallRecord
from lift_sys.record import Record


class ChainUse(Record):
    """What became of the calls of a chain.

    Attributes:
        chain: Its id.
        answered: Calls by the model whose answer was taken.
        unanswered: Calls where no answer was usable; the last one was given on.
        passed_on: Calls by reason, by the model that did not answer them.
        drawn: Answers by the model that gave them, the unusable ones as well.
    """

    chain: str
    answered: dict[str, int]
    unanswered: int
    passed_on: dict[str, dict[str, int]]
    drawn: dict[str, int]

    @property
    def calls(self) -> int:
        """How often the chain was asked and gave an answer."""
        return sum(self.answered.values()) + self.unanswered

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models that were turned to, those that were passed over first."""
        return tuple(dict.fromkeys((*self.passed_on, *self.drawn)))

    def why(self, model: str) -> str:
        """Return why a model did not answer, each reason with its calls; empty if it always did."""
        return ", ".join(f"{n} {reason}" for reason, n in self.passed_on.get(model, {}).items())

    def in_words(self) -> str:
        """Say it in one sentence."""
        said = [
            f"{model} {self.answered.get(model, 0)}"
            + (f" (passed on: {why})" if (why := self.why(model)) else "")
            for model in self.models
        ]
        said += [f"nobody {self.unanswered}"] if self.unanswered else []
        return f"Calls of {self.chain} by who answered: {', '.join(said)}."


def chain_uses(calls: Iterable[CallRecord]) -> tuple[ChainUse, ...]:
    """Return the use of each chain among calls, in the order in which they were first asked."""
    by_chain: dict[str, list[CallRecord]] = {}
    for call in calls:
        if call.asked:
            by_chain.setdefault(call.asked, []).append(call)
    return tuple(_use(chain, some) for chain, some in by_chain.items())


def _use(chain: str, calls: list[CallRecord]) -> ChainUse:
    last = [call for call in calls if not call.rejected or _failed(call)]
    why: dict[str, Counter[str]] = {}
    for call in last:
        for text in call.passed_on:
            model, _, reason = text.rpartition(": ")
            why.setdefault(model, Counter())[reason] += 1
    return ChainUse(
        chain=chain,
        answered=Counter(call.model for call in last if not call.rejected),
        unanswered=sum(1 for call in last if call.rejected),
        passed_on={model: dict(counts) for model, counts in why.items()},
        drawn=Counter(call.model for call in calls),
    )


def _failed(call: CallRecord) -> bool:
    """Tell whether nobody in the chain answered, and this answer was given on as the last one."""
    return any(text.rpartition(": ")[0] == call.model for text in call.passed_on)


def chain_lines(uses: Mapping[str, Iterable[ChainUse]]) -> list[str]:
    """Return the table of chains by program, an empty line behind it; nothing where none is used.

    Args:
        uses: For each program, its chains.
    """
    lines = [
        f"| {program} | {use.chain} | {model} | {use.answered.get(model, 0)} of {use.calls} | "
        f"{use.drawn.get(model, 0)} | {use.why(model) or 'never'} |"
        for program, some in uses.items()
        for use in some
        for model in use.models
    ]
    head = "| program | chain | model | calls answered | answers drawn | passed on |"
    return [head, "|---|---|---|---:|---:|---|", *lines, ""] if lines else []
