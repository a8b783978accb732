"""Who proposes instructions: DSPy's proposers, run with small settings.

Owns one function for each. ``grounded`` is the proposer of MIPROv2, which is shown train tasks and
demos; ``copro`` asks for better wordings; ``gepa`` reflects on what went wrong on train tasks, and
its proposals are those that did better there. What a proposal is worth is for a search to find out,
so the two optimizers measure little.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dspy
from dspy.propose import GroundedProposer
from dspy.propose.grounded_proposer import TIPS
from dspy.teleprompt.teleprompt import Teleprompter
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError

from lift_sys.config import Proposer
from optimizers.pools import DemoSet
from optimizers.recipes import Settings
from optimizers.teleprompters import UnreadableError, build
from optimizers.watching import Metric

SCORED_ON = 3
"""Tasks on which GEPA compares its candidates."""


@dataclass(frozen=True)
class Brief:
    """What proposers are shown.

    Attributes:
        predictors: Paths of the predictors to propose for.
        examples: Train tasks as a program sees them; at least one.
        demos: Of train tasks.
        seed: Of everything random.
        lm: Writes the proposals; by default the model in force.
    """

    predictors: tuple[str, ...]
    examples: Sequence[dspy.Example]
    demos: Sequence[DemoSet]
    seed: int
    lm: dspy.LM | None = None


@dataclass
class Proposals:
    """What was proposed.

    Attributes:
        texts: By predictor path, the best first where that is known.
        failed: Times that a model gave no usable answer.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    failed: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count an answer that cannot be used: one of another form, or to too long a prompt."""
        try:
            yield
        except (AdapterParseError, ContextWindowExceededError, UnreadableError):
            self.failed += 1

    def take(self, programs: Sequence[dspy.Module], own: Mapping[str, str]) -> None:
        """Add the instructions that programs have and ``own`` has not."""
        for program in programs:
            for path, predictor in program.named_predictors():
                text = predictor.signature.instructions
                texts = self.texts.setdefault(path, [])
                if text != own[path] and text not in texts:
                    texts.append(text)


class Grounded(Teleprompter):
    """DSPy's grounded proposer, asked as MIPROv2 asks it, but for the program's source.

    Of that a model would read some 5,000 tokens for each proposal. The first proposal for a
    predictor is made without demos.

    Args:
        count: Proposals for each predictor.
        demos: Sets of which a proposal is shown one.
    """

    def __init__(self, count: int, demos: Sequence[DemoSet]) -> None:
        super().__init__()
        self._count = count
        self._demos = demos
        self.proposals = Proposals()

    def compile(
        self, student: dspy.Module, *, trainset: list[dspy.Example], seed: int
    ) -> dspy.Module:
        """Fill ``proposals``, and return the student as it is.

        Args:
            student: Its predictors are proposed for.
            trainset: What the proposer is shown.
            seed: Of the tips that the proposer is given.
        """
        rng = random.Random(seed)  # noqa: S311 (not a secret)
        proposer = GroundedProposer(
            prompt_model=dspy.settings.lm,
            program=student,
            trainset=trainset,
            program_aware=False,
            rng=rng,
        )
        candidates = {
            index: self._candidates(path)
            for index, (path, _) in enumerate(student.named_predictors())
        }
        for index, (path, predictor) in enumerate(student.named_predictors()):
            texts = self.proposals.texts.setdefault(path, [])
            for number in range(self._count):
                tip = rng.choice(list(TIPS.values()))
                proposer.use_tip = bool(tip)
                try:
                    text = proposer.propose_instruction_for_predictor(
                        student, predictor, index, candidates, number, {}, tip
                    )
                except AdapterParseError:
                    self.proposals.failed += 1
                else:
                    texts.append(text)
        return student

    def _candidates(self, path: str) -> list[list[dspy.Example]]:
        """Return the demos that each proposal for a predictor is shown; the first is shown none.

        The proposer takes those alone that are marked as a program's own answers.
        """
        sets = [demo_set.demos[path] for demo_set in self._demos if path in demo_set.demos] or [()]
        chosen = [sets[number % len(sets)] for number in range(self._count - 1)]
        return [[], *([dspy.Example(**demo, augmented=True) for demo in demos] for demos in chosen)]


def _grounded(program: dspy.Module, metric: Metric, brief: Brief, count: int) -> Proposals:
    grounded = Grounded(count, brief.demos)
    with grounded.proposals.counting(), dspy.context(lm=brief.lm or dspy.settings.lm):
        settings = Settings(seed=brief.seed, predictors=brief.predictors)
        build(grounded, metric, settings).compile(program, trainset=brief.examples)
    return grounded.proposals


def _copro(program: dspy.Module, metric: Metric, brief: Brief, count: int) -> Proposals:
    """Ask for each predictor alone: an answer that cannot be used costs its proposals only.

    COPRO measures each proposal; one task is the least that it takes.
    """
    found = Proposals()
    for path in brief.predictors:
        settings = Settings(
            seed=brief.seed,
            trials=count + 1,
            predictors=(path,),
            prompt_lm=brief.lm,
            on_result=lambda result: found.take(
                [candidate["program"] for candidate in result.candidate_programs], _own(program)
            ),
        )
        with found.counting():
            examples = brief.examples[:1]
            build("copro", metric, settings).compile(program, trainset=examples, valset=examples)
    return found


def _gepa(program: dspy.Module, metric: Metric, brief: Brief, count: int) -> Proposals:
    """Reflect ``count`` times for each predictor.

    A reflection runs a few tasks before and after it, and what it brought on ``SCORED_ON`` tasks.
    """
    found = Proposals()

    def take(result: dspy.Module) -> None:
        tried = result.detailed_results
        scored = zip(tried.val_aggregate_scores, tried.candidates, strict=True)
        ranked = sorted(scored, key=lambda pair: -pair[0])
        found.take([candidate for _, candidate in ranked], _own(program))

    settings = Settings(
        seed=brief.seed,
        trials=1 + 3 * count * len(brief.predictors),
        predictors=brief.predictors,
        prompt_lm=brief.lm,
        on_result=take,
    )
    with found.counting():
        examples, scored = brief.examples, brief.examples[:SCORED_ON]
        build("gepa", metric, settings).compile(program, trainset=examples, valset=scored)
    return found


def _own(program: dspy.Module) -> dict[str, str]:
    return {path: p.signature.instructions for path, p in program.named_predictors()}


PROPOSERS: Mapping[Proposer, Callable[[dspy.Module, Metric, Brief, int], Proposals]] = {
    "grounded": _grounded,
    "copro": _copro,
    "gepa": _gepa,
}
"""Proposes for every predictor of the brief; the number is for each of them."""
