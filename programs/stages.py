"""A stage of a program: one predictor, its prompt layout, its limits and its sampling.

Owns how a stage asks, which model it asks, and how a bad answer is told from a failing backend: the
first raises ``StageFailed``, which the program turns into a failed attempt; the second raises
``ProviderError`` and goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import dspy
from dspy.signatures.signature import Signature
from dspy.utils.exceptions import AdapterParseError, LMError

from lift_sys.errors import BudgetSpent, ConfigError, ProviderError
from lift_sys.inference import catalogue, usage
from lift_sys.verdict import FailureCategory, no_answer
from programs.adapters import StructuredAdapter
from programs.demo_choice import CHOICES, MOST, NO_LIMIT, Demo, DemoChoice, Show
from programs.hypers import Hyper

Models = Callable[[str], dspy.LM]
"""Gives the model with an id of the catalogue; asked again, the same one."""

PROGRAM = "program"
"""The value of a stage's hyper by which the stage does as the program does."""

TEMPERATURES = (0.0, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


def no_models(model_id: str) -> dspy.LM:
    """Refuse to give a model.

    Raises:
        ConfigError: Always.
    """
    msg = (
        f"a stage asks for the model {model_id!r} and this program was given none to choose from; "
        f"pass models to SpecToCode, or set the stage's model to {PROGRAM!r}"
    )
    raise ConfigError(msg)


class StageFailed(Exception):  # noqa: N818 (an outcome of a model, not an error of ours)
    """A model's answer could not be used; the message is a failure that ``no_answer`` wrote."""

    def __init__(self, category: FailureCategory, reason: str) -> None:
        super().__init__(no_answer(category, reason))


@dataclass(frozen=True)
class Sampling:
    """How the program draws one answer, where the stage has no setting of its own.

    Attributes:
        temperature: 0 is greedy.
        seed: Of the backend's sampler; equal requests with equal seeds give equal answers.
        models: Gives the model that the stage names.
    """

    temperature: float
    seed: int
    models: Models = no_models


class Stage(dspy.Module):
    """One predictor, its prompt layout and its settings.

    Hypers:
        max_tokens: Most tokens of an answer.
        temperature: Of its answers: ``program``, which is the program's, or a number.
        top_p: Share of the probability mass that is sampled from; with ``model`` nothing is sent
            and the backend's own setting holds. Greedy answers do not depend on it.
        seed: Added to the seed that the program derives: others draw other answers.
        model: Which model answers: ``program``, which is the one in force, or any id that the
            catalogue knows, a chain ``a>b`` or a ``provider/name`` as well.
        demo_choice: Which demos a request shows: the first ones (``fixed``), or those ``nearest``
            to the spec, which cost the prefix cache all that follows the instructions.
        demo_count: Most demos of a request.
        demo_tokens: Most tokens of all its demos, estimated; the largest value is no limit.
    """

    name: ClassVar[str]
    signature: ClassVar[type[Signature]]
    adapter: ClassVar[dspy.Adapter]
    token_limits: ClassVar[tuple[int, ...]]

    # DSPy looks at every attribute for a direct call of forward(); an answer reads hundreds.
    __getattribute__ = object.__getattribute__

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict(self.signature)
        models = (model.id for model in catalogue.all_models())
        self.max_tokens = Hyper(f"{self.name}.max_tokens", *self.token_limits)
        self.temperature = Hyper(f"{self.name}.temperature", PROGRAM, *TEMPERATURES)
        self.top_p = Hyper(f"{self.name}.top_p", "model", 0.8, 0.9, 0.95, 1.0)
        self.seed = Hyper(f"{self.name}.seed", *range(4))
        self.model = Hyper(f"{self.name}.model", PROGRAM, *models, also=_is_model)
        self.demo_choice = Hyper(f"{self.name}.demo_choice", *CHOICES)
        self.demo_count = Hyper(f"{self.name}.demo_count", MOST, *range(MOST))
        self.demo_tokens = Hyper(f"{self.name}.demo_tokens", NO_LIMIT, 250, 500, 1_000, 2_000)

    def temperature_in(self, program: float) -> float:
        """Return the temperature of this stage in a program of that temperature."""
        own = self.temperature.value
        return program if own == PROGRAM else float(own)

    def lm(self, models: Models) -> dspy.LM | None:
        """Return the model that answers; ``None`` where none is named and none is in force.

        Raises:
            LiftError: The model that the stage names cannot be had.
        """
        if self.model.value != PROGRAM:
            return models(str(self.model.value))
        return self.predict.lm or dspy.settings.lm

    def demos_for(
        self, spec: str, show: Show = dict, outputs: Iterable[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the demos that a request shows; those without every output are left out.

        Args:
            spec: The request in plain language, whether or not the stage sees it.
            show: Gives a demo the form of this request.
            outputs: Fields of an answer to this request; by default those of the signature.
        """
        demos = self.predict.demos
        if not demos:
            return []
        needed = tuple(self.predict.signature.output_fields if outputs is None else outputs)

        def whole(demo: Demo) -> dict[str, Any] | None:
            shown = show(demo)
            if shown is None or any(shown.get(key) is None for key in needed):
                return None
            return shown

        choice = DemoChoice(
            how=str(self.demo_choice.value),
            count=int(self.demo_count.value),
            tokens=int(self.demo_tokens.value),
        )
        return choice.of(demos, spec, whole)

    def ask(
        self, sampling: Sampling, adapter: dspy.Adapter | None = None, **inputs: Any
    ) -> dspy.Prediction:
        """Return the model's fields.

        Args:
            sampling: How the program draws the answer.
            adapter: Where another form than the stage's own is asked for.
            inputs: The signature's; also ``signature`` and ``demos``, for this request only.
                Without ``demos`` it shows those for the spec.

        Raises:
            StageFailed: The answer does not parse, was cut off or was refused.
            BudgetSpent: The job may ask nothing more.
            ProviderError: The backend failed.
            LiftError: The model that the stage names cannot be had.
        """
        if "demos" not in inputs:
            inputs["demos"] = self.demos_for(str(inputs["spec"]))
        adapter = adapter or self.adapter
        lm = self.lm(sampling.models)
        config = self._config(sampling) | _rollout(lm, sampling)
        if isinstance(adapter, StructuredAdapter):
            config["response_format"] = adapter.response_format
        parse_error: AdapterParseError | None = None
        prediction = None
        with usage.stage(self.name), usage.recording() as calls, dspy.context(adapter=adapter):
            try:
                prediction = self.predict(**inputs, config=config, lm=lm)
            except AdapterParseError as error:
                parse_error = error
            except BudgetSpent:
                raise
            except LMError as error:
                msg = f"the backend failed in the {self.name} stage: {error}"
                raise ProviderError(msg) from error
        if calls:
            self._require_end(calls[-1].finish_reason)
        if parse_error is not None:
            structured = isinstance(adapter, StructuredAdapter)
            category = FailureCategory.IR_NOT_PARSED if structured else FailureCategory.OTHER
            msg = f"the answer of the {self.name} stage does not have the form asked for"
            raise StageFailed(category, msg) from parse_error
        return prediction

    def _require_end(self, finish_reason: str) -> None:
        """Fail where an answer did not come to its own end."""
        if finish_reason == "length":
            msg = f"the {self.name} stage was cut off at {self.max_tokens.value} tokens"
            raise StageFailed(FailureCategory.TRUNCATED, msg)
        if finish_reason == "refusal":
            msg = f"the model refused to answer in the {self.name} stage"
            raise StageFailed(FailureCategory.OTHER, msg)

    def _config(self, sampling: Sampling) -> dict[str, Any]:
        config = {
            "temperature": self.temperature_in(sampling.temperature),
            "seed": (sampling.seed + int(self.seed.value)) & 0x7FFFFFFF,
            "max_tokens": self.max_tokens.value,
        }
        if self.top_p.value != "model":
            config["top_p"] = self.top_p.value
        return config


def _is_model(value: Any) -> bool:
    return isinstance(value, str) and catalogue.known(value)


def _rollout(lm: dspy.LM | None, sampling: Sampling) -> dict[str, Any]:
    """Return how a copy of a model that stands for another rollout samples.

    DSPy's optimizers ask for other answers with ``lm.copy(rollout_id=..., temperature=...)``, of
    which only the cache would know.
    """
    kwargs = getattr(lm, "kwargs", {})
    if kwargs.get("rollout_id") is None:
        return {}
    seed = (sampling.seed + int(kwargs["rollout_id"])) & 0x7FFFFFFF
    return {"temperature": kwargs.get("temperature") or 1.0, "seed": seed}


def show_nearest(program: dspy.Module, count: int) -> None:
    """Let every stage of a program show its demos nearest to the spec, at most ``count``."""
    for _, stage in program.named_sub_modules(Stage):
        stage.demo_choice.set("nearest")
        stage.demo_count.set(min(count, MOST))


def named_models(program: dspy.Module) -> tuple[str, ...]:
    """Return the ids of the models that stages of a program name, each once, in order."""
    stages = (stage for _, stage in program.named_sub_modules(Stage))
    named = (str(stage.model.value) for stage in stages)
    return tuple(dict.fromkeys(model for model in named if model != PROGRAM))
