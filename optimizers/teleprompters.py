"""DSPy's teleprompters behind one form: a name, a metric and settings that mean the same to each.

Owns what is the same around all of them, a user's own among them: they get the train tasks in an
order that the seed decides, they never touch the student, a failure of the backend or the sandbox
ends them, and what comes back is a copy of the student with other demos, instructions and hypers,
whatever class, flags and leftovers DSPy returns. ``optimizers.recipes`` has the optimizers.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dspy
import optuna
from dspy.teleprompt.teleprompt import Teleprompter
from dspy.utils.exceptions import AdapterParseError

from lift_sys.errors import ConfigError
from lift_sys.record import canonical_json
from optimizers.recipes import RECIPES, Demo, Job, Settings
from optimizers.watching import Effort, Metric, Watch, watched

TOLERATED_ERRORS = 10**9
"""Errors of a program that DSPy scores as failures; ``Watch`` ends a compile at all others."""


class UnreadableError(ConfigError):
    """Instructions that a model was asked to write cannot be read."""

    def __init__(self) -> None:
        super().__init__(
            "the model was asked to write instructions, and its answer cannot be read; "
            "take a larger model, or an optimizer that makes demos only"
        )


def build(
    optimizer: str | Teleprompter, metric: Metric, settings: Settings | None = None
) -> Uniform:
    """Return an optimizer of DSPy's, or a user's own, in the uniform form.

    Args:
        optimizer: A name in ``RECIPES``, or any teleprompter. One's own metric is called by itself
            and not watched; of the settings only ``seed`` and ``predictors`` matter to it.
        metric: Higher is better.
        settings: What it may spend; by default ``Settings()``.

    Raises:
        ConfigError: There is no such optimizer, or the settings are out of range.
    """
    settings = settings or Settings()
    if isinstance(optimizer, str) and optimizer not in RECIPES:
        msg = f"there is no optimizer {optimizer!r}; choose one of: {', '.join(RECIPES)}"
        raise ConfigError(msg)
    for name, least in (("trials", 1), ("demos", 0), ("threads", 1)):
        value = getattr(settings, name)
        if value < least:
            msg = f"the optimizer's {name} must be at least {least} and is {value}"
            raise ConfigError(msg)
    return Uniform(optimizer, metric, settings)


class Uniform(Teleprompter):
    """Any teleprompter, with the same arguments and the same kind of result.

    Args:
        optimizer: A name in ``RECIPES``, or a teleprompter.
        metric: Higher is better.
        settings: What it may spend.

    Attributes:
        effort: What the last compile took.
    """

    def __init__(self, optimizer: str | Teleprompter, metric: Metric, settings: Settings) -> None:
        super().__init__()
        self._optimizer = optimizer
        self._metric = metric
        self._settings = settings
        self.effort = Effort(0, 0, ())

    def compile(
        self,
        student: dspy.Module,
        *,
        trainset: Sequence[dspy.Example],
        teacher: dspy.Module | None = None,
        valset: Sequence[dspy.Example] | None = None,
    ) -> dspy.Module:
        """Return the best program found: a copy of the student, or programs that vote.

        Args:
            student: Copied, never changed.
            trainset: What demos and instructions are made from.
            teacher: Answers where demos are bootstrapped; by default the student.
            valset: What selection uses; by default the trainset.

        Raises:
            ConfigError: No train tasks, no model in force, settings that leave the optimizer
                nothing to do, a teacher that it does not take, a metric that raises or returns NaN,
                or instructions that cannot be read.
            InfrastructureError: The backend or the sandbox failed.
        """
        train, settings = list(trainset), self._settings
        random.Random(settings.seed).shuffle(train)  # noqa: S311 (not a secret)
        if not train:
            msg = "an optimizer needs at least one train task"
            raise ConfigError(msg)
        val = list(valset or train)
        watch = Watch(self._metric, settings.threshold, val)
        with _surroundings(watch, settings.seed):
            job = Job(
                settings=settings,
                metric=watch.score,
                student=_working_copy(student, settings.predictors),
                lm=watched(settings.prompt_lm, settings.seed, watch) or dspy.settings.lm,
                train=train,
                val=val,
            )
            compiled = self._compiled(job, teacher)
        self.effort = watch.effort
        if settings.on_result:
            settings.on_result(compiled)
        return _result(student, compiled, settings.labels)

    def _compiled(self, job: Job, teacher: dspy.Module | None) -> dspy.Module:
        optimizer, more = self._made(job)
        given = {"trainset": job.train, "valset": job.val, "seed": job.settings.seed, **more}
        taken = inspect.signature(optimizer.compile).parameters
        if teacher is not None:
            if "teacher" not in taken or self._optimizer == "gepa":
                msg = f"the optimizer {self._optimizer!r} takes no teacher"
                raise ConfigError(msg)
            given["teacher"] = teacher
        arguments = {key: value for key, value in given.items() if key in taken}
        return optimizer.compile(job.student, **arguments)

    def _made(self, job: Job) -> tuple[Teleprompter, dict[str, Any]]:
        if isinstance(self._optimizer, Teleprompter):
            return self._optimizer, {}
        if job.lm is None:
            msg = "an optimizer needs a model in force; set one with dspy.context(lm=...)"
            raise ConfigError(msg)
        recipe = RECIPES[self._optimizer]
        recipe.check(self._optimizer, job.settings, len(job.student.predictors()))
        return recipe.make(job)


@contextlib.contextmanager
def _surroundings(watch: Watch, seed: int) -> Iterator[None]:
    """Set what DSPy reads from its settings, undo what it sets, and end with what was watched.

    DSPy prints to standard output, which belongs to the results of a command.
    """
    verbosity = optuna.logging.get_verbosity()
    context = dspy.context(
        lm=watched(dspy.settings.lm, seed, watch),
        callbacks=[*dspy.settings.callbacks, watch],
        max_errors=TOLERATED_ERRORS,
    )
    try:
        with context, contextlib.redirect_stdout(sys.stderr):
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            yield
    except Exception as error:
        if watch.failure is not None and watch.failure is not error:
            raise watch.failure from error
        if isinstance(error, AdapterParseError):
            raise UnreadableError from error
        raise
    finally:
        optuna.logging.set_verbosity(verbosity)
    watch.check()


def _working_copy(student: dspy.Module, predictors: Sequence[str] | None) -> dspy.Module:
    """Copy the student, so that only these predictors are seen.

    DSPy freezes what is compiled: it refuses a compiled student, and passes over compiled parts.
    """
    copy = student.deepcopy()
    copy._compiled = False
    if predictors is None:
        return copy
    paths = [path for path, _ in copy.named_predictors()]
    unknown = [path for path in predictors if path not in paths]
    if unknown or not predictors:
        what = repr(unknown[0]) if unknown else "to optimize"
        msg = f"there is no predictor {what}; this program has: {', '.join(paths)}"
        raise ConfigError(msg)
    for name, part in vars(copy).items():
        if isinstance(part, dspy.Module) and not any(p.split(".")[0] == name for p in predictors):
            part._compiled = True
    return copy


def _result(
    student: dspy.Module, compiled: dspy.Module, labels: Mapping[str, Mapping[str, Demo]]
) -> dspy.Module:
    """Return a copy of the student with what was found; of an ensemble, one for each member.

    A program of any other shape is returned as it is.
    """
    result = student.deepcopy()
    result._compiled = False
    own = dict(result.named_parameters())
    found = dict(compiled.named_parameters())
    if type(compiled) is not type(student) or not found.keys() <= own.keys():
        members = getattr(compiled, "programs", [])
        members[:] = [_result(student, member, labels) for member in members]
        return compiled
    for path, parameter in found.items():
        if not isinstance(parameter, dspy.Predict):
            own[path].load_state(parameter.dump_state())
            continue
        instructions = parameter.signature.instructions
        own[path].signature = own[path].signature.with_instructions(instructions)
        demos = [_demo(demo, path, labels) for demo in parameter.demos]
        own[path].demos = [demo for demo in demos if demo]
    return result


def _demo(
    demo: Mapping[str, Any], path: str, labels: Mapping[str, Mapping[str, Demo]]
) -> dict[str, Any]:
    """Return a demo in plain values, as an artifact keeps it; an example gives way to its label."""
    fields = dict(demo)
    if not fields.pop("augmented", False) and "task_id" in fields:
        fields = dict(labels.get(fields["task_id"], {}).get(path, {}))
    plain: dict[str, Any] = json.loads(canonical_json(dspy.Example(**fields).toDict()))
    return plain
