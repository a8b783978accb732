"""DSPy's optimizers where they need more than arguments to work on our programs.

Each class here overrides public methods only and says which defect of DSPy 3.4 it avoids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dspy
import optuna
from dspy.evaluate import Evaluate
from dspy.teleprompt import BootstrapFewShotWithOptuna, BootstrapFewShotWithRandomSearch, InferRules
from dspy.teleprompt.teleprompt import Teleprompter
from dspy.utils.exceptions import AdapterParseError


class SeededOptuna(BootstrapFewShotWithOptuna):
    """Chooses one bootstrapped demo per predictor.

    DSPy's objective fails on a predictor without demos, such as a stage that the program's hypers
    switch off, and its sampler takes no seed.

    Args:
        seed: Of the sampler.
        arguments: DSPy's.
    """

    def __init__(self, seed: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.seed = seed

    def objective(self, trial: optuna.Trial) -> float:
        """Return the score of the demos that the trial chooses, in percent."""
        if trial.number == 0:
            trial.study.sampler = optuna.samplers.TPESampler(seed=self.seed)
        program = self.student.reset_copy()
        bootstrapped = dict(self.compiled_teleprompter.named_predictors())
        for name, predictor in program.named_predictors():
            demos = bootstrapped[name].demos
            if demos:
                predictor.demos = [demos[trial.suggest_int(name, 0, len(demos) - 1)]]
        evaluate = Evaluate(devset=self.valset, metric=self.metric, num_threads=self.num_threads)
        score: float = evaluate(program).score
        trial.set_user_attr("program", program)
        return score


class TracedRules(InferRules):
    """Infers rules from bootstrapped demos.

    DSPy reads them from the examples, whose inputs and outputs are the program's and not those of
    its predictors, and writes them into the signature that every copy of the program shares, the
    student among them. It asserts that no answer with rules is malformed.
    """

    def induce_natural_language_rules(self, predictor: Any, trainset: list[dspy.Example]) -> str:
        """Return rules; none where nothing was bootstrapped, or the answer has none to read."""
        if not predictor.demos:
            return ""
        try:
            rules: str = super().induce_natural_language_rules(predictor, trainset)
        except AssertionError as error:
            if isinstance(error.__context__, AdapterParseError):
                return ""
            raise
        return rules

    def get_predictor_demos(
        self,
        trainset: list[dspy.Example],  # noqa: ARG002 (DSPy's call)
        predictor: Any,
    ) -> list[dict[str, Any]]:
        """Return what the predictor was given and answered, where the program passed."""
        fields = predictor.signature.fields
        return [{k: v for k, v in demo.items() if k in fields} for demo in predictor.demos]

    def update_program_instructions(self, predictor: Any, natural_language_rules: str) -> None:
        """Append rules to the instructions of this predictor alone."""
        if natural_language_rules:
            told = f"{predictor.signature.instructions}\n\nFollow these rules:\n"
            signature = predictor.signature.with_instructions(told + natural_language_rules)
            predictor.signature = signature


class SearchedEnsemble(Teleprompter):
    """Searches for demos and lets the best programs vote.

    ``dspy.Ensemble`` takes programs in place of a student; these are the best that a random search
    finds.

    Args:
        search: Its results carry all programs that it measured.
        join: Makes one program of several.
        members: Most programs that vote.
    """

    def __init__(
        self,
        search: BootstrapFewShotWithRandomSearch,
        join: Callable[[Sequence[dspy.Module]], dspy.Module],
        members: int,
    ) -> None:
        super().__init__()
        self._search = search
        self._join = join
        self._members = members

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: list[dspy.Example],
        teacher: dspy.Module | None = None,
        valset: list[dspy.Example] | None = None,
        restrict: list[int] | None = None,
    ) -> dspy.Module:
        """Return a program whose ``programs`` are the members, the best first.

        Args:
            student: Never changed.
            trainset: Demos come from it.
            teacher: Answers where demos are bootstrapped; by default the student.
            valset: Programs are measured on it.
            restrict: Which candidates are measured, as numbers of the random search.
        """
        found = self._search.compile(
            student, trainset=trainset, teacher=teacher, valset=valset, restrict=restrict
        )
        members = [candidate["program"] for candidate in found.candidate_programs]
        return self._join(members[: self._members])


class AskedComponents:
    """GEPA's choice of the predictor to improve: each in turn, of those that were asked.

    GEPA's own round robin also takes predictors that a program's hypers switch off, and an
    iteration on one of them is paid for in vain.
    """

    def __init__(self) -> None:
        self._turn = 0

    def __call__(
        self,
        state: Any,  # noqa: ARG002 (GEPA's call, as the other two)
        trajectories: list[dict[str, Any]],
        subsample_scores: list[float],  # noqa: ARG002
        candidate_idx: int,  # noqa: ARG002
        candidate: dict[str, str],
    ) -> list[str]:
        """Return the name of one component."""
        told = {step[0].signature.instructions for run in trajectories for step in run["trace"]}
        names = [name for name, text in candidate.items() if text in told] or list(candidate)
        self._turn += 1
        return [names[(self._turn - 1) % len(names)]]
