"""What a caller asks to be optimized: a program, a metric, tasks and limits.

Owns what identifies it, what of it is refused, and which of it an artifact can say.
"""

from __future__ import annotations

from dataclasses import dataclass

import dspy
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.app import environment
from lift_sys.app.data import Data
from lift_sys.app.models import model_source, weights
from lift_sys.app.own_program import Metric, identity_of, taken_fields
from lift_sys.app.spending import check_budget
from lift_sys.config import Budget, RunConfig
from lift_sys.errors import ConfigError
from lift_sys.record import digest
from lift_sys.tasks import Task
from metrics.adapters import to_example
from optimizers.pools import DEMOS, INSTRUCTIONS
from programs.hypers import hypers_of
from programs.spec_to_code import SpecToCode


@dataclass(frozen=True)
class OwnJob:
    """What a caller wants optimized.

    Attributes:
        program: Never changed.
        metric: Scores an answer; ``None`` runs its ``code`` on the hidden cases.
        threshold: A task passes from this score on.
        optimizer: ``joint``, a name in ``RECIPES``, or a teleprompter.
        config: Limits and space.
        data: The tasks.
        lm: The model; ``None`` for the one that the configuration names.
    """

    program: dspy.Module
    metric: Metric | None
    threshold: float
    optimizer: str | Teleprompter
    config: RunConfig
    data: Data
    lm: dspy.LM | None = None

    @property
    def identity(self) -> str:
        """SHA-256 of everything beside the configuration that decides what an answer is worth."""
        return digest(
            [
                identity_of(self.program, *([self.metric] if self.metric else [])),
                self.program.dump_state(),
                self.threshold,
                self.optimizer_name,
                describe_model(self.lm) if self.lm else weights(self.config.model),
                environment.source_digest(),
            ]
        )

    @property
    def optimizer_name(self) -> str:
        """What the optimizer is called: by its name, or that of its class."""
        own = isinstance(self.optimizer, Teleprompter)
        return type(self.optimizer).__name__ if own else str(self.optimizer)

    @property
    def exportable(self) -> bool:
        """Whether an artifact can say all of it: the program, the metric and the model are ours."""
        ours = isinstance(self.program, SpecToCode)
        return ours and self.metric is None and self.lm is None

    def ready(self, winner: dspy.Module) -> dspy.Module:
        """Return a program that can be called, whose answers are not stored in the run any more."""
        models = model_source()
        ready = winner.with_models(models) if isinstance(winner, SpecToCode) else winner.deepcopy()
        ready.set_lm(self.lm or models(self.config.model))
        return ready

    def check(self) -> None:
        """Refuse what cannot be run, before anything is spent.

        Raises:
            ConfigError: The program takes no spec, or lacks what the space names.
        """
        taken_fields(self.program)
        self._check_budget()
        hypers = hypers_of(self.program)
        if not isinstance(self.program, SpecToCode):
            taken = [path for path in hypers if path.split(".")[-1] in {DEMOS, INSTRUCTIONS}]
            if taken:
                msg = f"a search has dimensions of its own called {taken[0]!r}; rename the hyper"
                raise ConfigError(msg)
        for path, choices in self.config.space.items():
            if path not in hypers:
                known = ", ".join(hypers) or "none"
                msg = f"the space names {path!r}, and the hypers of this program are: {known}"
                raise ConfigError(msg)
            for choice in choices:
                hypers[path].space.check(choice, path)

    def _check_budget(self) -> None:
        budget = self.config.budget
        if self.lm is None:
            check_budget(budget, (self.config.model,), self.data.dev)
            return
        counted = hasattr(getattr(self.lm, "engine", None), "complete")
        if budget.usd is not None or (budget != Budget() and not counted):
            msg = (
                f"what {self.lm.model} costs is not known here, so this budget cannot be kept; "
                "limit the trials"
            )
            raise ConfigError(msg)

    def example(self, task: Task) -> dspy.Example:
        """Return a task as an example with the inputs that the program takes."""
        example = to_example(task)
        known = set(example.keys())
        return example.with_inputs(*(f for f in taken_fields(self.program) if f in known))


def describe_model(lm: dspy.LM) -> str:
    """Return what tells a model from others: its name, what is asked of it, and its engine."""
    settings = {key: value for key, value in lm.kwargs.items() if "key" not in key}
    return digest([lm.model, {key: str(value) for key, value in settings.items()}])
