"""The table from uniform settings to each of DSPy's optimizers.

Owns ``Settings``, which mean the same to every optimizer, and one recipe for each. Where DSPy 3.4
has a defect, ``optimizers.repaired`` and ``optimizers.watching`` avoid it. Arguments that no recipe
names are DSPy's defaults; a user who needs others passes a ``dspy.Teleprompter`` of their own.

What each makes: demos (``labeled_few_shot``, ``bootstrap_few_shot``, ``random_search``,
``bootstrap_optuna``, ``knn_few_shot``, ``ensemble``), instructions (``copro``, ``gepa``), or both
(``mipro_v2``, ``simba``, ``infer_rules``, ``better_together``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dspy
from dspy.teleprompt import BootstrapFewShotWithRandomSearch, LabeledFewShot
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.errors import ConfigError
from optimizers.repaired import AskedComponents, SearchedEnsemble, SeededOptuna, TracedRules
from optimizers.watching import Metric

Demo = Mapping[str, Any]


def most_common_code(answers: Sequence[dspy.Prediction]) -> dspy.Prediction:
    """Return an answer with the code that most answers have, the first among equals."""
    codes = [answer.code for answer in answers if answer.code is not None]
    return max(answers, key=lambda answer: codes.count(answer.code))


@dataclass(frozen=True)
class Settings:
    """What an optimizer may spend and what it is given.

    Attributes:
        seed: Of everything random.
        trials: Most programs measured on the whole valset, at least 1. Bootstrapping runs each
            train task at most once for each demo set on top, and proposals ask the model.
        demos: Most demos that a predictor gets, from 0.
        threshold: Score from which an answer makes demos.
        threads: Tasks run at the same time.
        prompt_lm: Writes instructions; by default the model in force.
        predictors: Paths of the predictors that may change; all by default. A stage that the hypers
            switch off is searched in vain, so its path is best left out.
        labels: Demos by task id and predictor path, for ``labeled_few_shot``: an example carries
            what a program may see and no answers.
        show_nearest: Makes a program show so many of its demos, the nearest to the spec; for
            ``knn_few_shot``.
        join: Makes one program of the members of an ``ensemble``, in its attribute ``programs``; by
            default one that takes the most common code.
        on_result: Called with what the optimizer itself returned: ``copro`` and ``gepa`` leave the
            programs that they tried in its attributes.
    """

    seed: int = 0
    trials: int = 8
    demos: int = 4
    threshold: float = 1.0
    threads: int = 1
    prompt_lm: dspy.LM | None = None
    predictors: tuple[str, ...] | None = None
    labels: Mapping[str, Mapping[str, Demo]] = field(default_factory=dict)
    show_nearest: Callable[[dspy.Module, int], None] | None = None
    join: Callable[[Sequence[dspy.Module]], dspy.Module] = field(
        default=dspy.Ensemble(reduce_fn=most_common_code).compile
    )
    on_result: Callable[[dspy.Module], None] | None = None


@dataclass(frozen=True)
class Job:
    """One compile: what a recipe may look at.

    Attributes:
        settings: As given.
        metric: Watched.
        student: A copy that the optimizer may do anything to.
        lm: Writes instructions.
        train: In the order that the seed decides.
        val: What selection uses.
    """

    settings: Settings
    metric: Metric
    student: dspy.Module
    lm: dspy.LM | None
    train: list[dspy.Example]
    val: list[dspy.Example]

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Arguments of everything that bootstraps.

        Raw examples are never demos: without answers no request would show them.
        """
        return {
            "metric": self.metric,
            "max_bootstrapped_demos": self.settings.demos,
            "max_labeled_demos": 0,
        }


Made = tuple[Teleprompter, dict[str, Any]]
"""An optimizer, and arguments of its ``compile`` beside student, tasks and teacher."""


@dataclass(frozen=True)
class Recipe:
    """How an optimizer is made from uniform settings.

    Attributes:
        make: Makes it.
        trials: Fewest trials that it can do with.
        per_predictor: Whether these are for each predictor.
        demos: Fewest demos, likewise.
        writes: Whether it asks ``Settings.prompt_lm`` for instructions.
    """

    make: Callable[[Job], Made]
    trials: int = 1
    per_predictor: bool = False
    demos: int = 0
    writes: bool = False

    def check(self, name: str, settings: Settings, predictors: int) -> None:
        """Refuse settings that leave the optimizer nothing to do.

        Args:
            name: Of the optimizer.
            settings: What it is given.
            predictors: How many it may change.

        Raises:
            ConfigError: They do.
        """
        least = self.trials * (predictors if self.per_predictor else 1)
        if settings.trials < least:
            why = f" ({self.trials} for each of {predictors} predictors)" * self.per_predictor
            msg = f"{name} needs at least {least} trials{why} and was given {settings.trials}"
            raise ConfigError(msg)
        if settings.demos < self.demos:
            msg = f"{name} needs demos of at least {self.demos} and was given {settings.demos}"
            raise ConfigError(msg)


def _random_search(job: Job) -> Made:
    trials, threads = job.settings.trials, job.settings.threads
    search = BootstrapFewShotWithRandomSearch(
        **job.bootstrap, num_candidate_programs=max(1, trials - 2), num_threads=threads
    )
    # -3 is the student without demos, -1 the train tasks in order; -2 would be raw examples.
    return search, {"restrict": [-3, -1, *range(trials)][:trials]}


def _bootstrap_optuna(job: Job) -> Made:
    made = SeededOptuna(
        job.settings.seed,
        **job.bootstrap,
        num_candidate_programs=job.settings.trials,
        num_threads=job.settings.threads,
    )
    return made, {"max_demos": job.settings.demos}


def _knn(job: Job) -> Made:
    """Bootstrap a bank of demos, from which the program itself shows the nearest.

    DSPy's own bootstraps again at every call of the compiled program, which cannot be saved.
    """
    show = job.settings.show_nearest
    if show is None:
        msg = "knn_few_shot needs the setting show_nearest: a program chooses its own demos"
        raise ConfigError(msg)
    show(job.student, job.settings.demos)
    bank = {**job.bootstrap, "max_bootstrapped_demos": len(job.train)}
    return dspy.BootstrapFewShot(**bank), {}


def _copro(job: Job) -> Made:
    breadth = job.settings.trials // len(job.student.predictors())
    evaluation = {"num_threads": job.settings.threads}
    copro = dspy.COPRO(prompt_model=job.lm, metric=job.metric, breadth=breadth, depth=1)
    # COPRO learns nothing from examples: those it is given only select.
    return copro, {"trainset": job.val, "eval_kwargs": evaluation}


def _mipro(job: Job) -> Made:
    settings = job.settings
    # The seed is not an argument of compile: there DSPy takes 0 for none.
    mipro = dspy.MIPROv2(
        **job.bootstrap,
        prompt_model=job.lm,
        auto=None,
        num_candidates=max(2, settings.trials // 2),
        num_threads=settings.threads,
        seed=settings.seed,
    )
    return mipro, {"num_trials": settings.trials - 1, "minibatch": False, "seed": None}


def _simba(job: Job) -> Made:
    settings = job.settings
    candidates = 2 + min(4, settings.trials // 30)
    simba = dspy.SIMBA(
        metric=job.metric,
        bsize=min(32, len(job.train)),
        num_candidates=candidates,
        # A step samples ``candidates`` programs and measures one more; the last measures again.
        max_steps=(settings.trials - 1) // (2 * candidates + 2),
        max_demos=settings.demos,
        prompt_model=job.lm,
        num_threads=settings.threads,
    )
    return simba, {}


def _gepa(job: Job) -> Made:
    settings = job.settings
    gepa = dspy.GEPA(
        job.metric,
        max_metric_calls=settings.trials * len(job.val),
        reflection_minibatch_size=min(3, len(job.train)),
        reflection_lm=job.lm,
        component_selector=AskedComponents(),
        track_stats=True,
        num_threads=settings.threads,
        seed=settings.seed,
    )
    return gepa, {}


def _better_together(job: Job) -> Made:
    """Search for demos and then for instructions, each with half of the trials.

    Three trials measure the student and the two results. The program must have its models set.
    """
    for predictor in job.student.predictors():
        predictor.lm = predictor.lm or dspy.settings.lm
    half = replace(job, settings=replace(job.settings, trials=(job.settings.trials - 3) // 2))
    (demos, search), (instructions, _) = _random_search(half), _gepa(half)
    made = dspy.BetterTogether(metric=job.metric, demos=demos, instructions=instructions)
    return made, {
        "strategy": "demos -> instructions",
        "optimizer_compile_args": {"demos": search},
        "num_threads": job.settings.threads,
    }


def _ensemble(job: Job) -> Made:
    search, arguments = _random_search(job)
    return SearchedEnsemble(search, job.settings.join, members=3), arguments


def _infer_rules(job: Job) -> Made:
    trials, threads = job.settings.trials, job.settings.threads
    return TracedRules(num_candidates=trials, num_threads=threads, **job.bootstrap), {}


RECIPES: Mapping[str, Recipe] = {
    "labeled_few_shot": Recipe(lambda job: (LabeledFewShot(k=job.settings.demos), {})),
    "bootstrap_few_shot": Recipe(lambda job: (dspy.BootstrapFewShot(**job.bootstrap), {})),
    "random_search": Recipe(_random_search, demos=1),
    "bootstrap_optuna": Recipe(_bootstrap_optuna, demos=1),
    "knn_few_shot": Recipe(_knn, demos=1),
    "copro": Recipe(_copro, trials=2, per_predictor=True, writes=True),
    "mipro_v2": Recipe(_mipro, trials=2, writes=True),
    "simba": Recipe(_simba, trials=7, writes=True),
    "gepa": Recipe(_gepa, trials=2, writes=True),
    "infer_rules": Recipe(_infer_rules, demos=1),
    "better_together": Recipe(_better_together, trials=7, demos=1, writes=True),
    "ensemble": Recipe(_ensemble, trials=2, demos=1),
}
"""Every optimizer of DSPy's that needs no training of weights, by name."""
