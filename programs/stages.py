"""A stage of a program: one predictor, its prompt layout and its limits.

Owns how a stage asks and how a bad answer is told from a failing backend: the first raises
``StageFailed``, which the program turns into a failed attempt; the second raises ``ProviderError``
and goes through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import dspy
from dspy.signatures.signature import Signature
from dspy.utils.exceptions import AdapterParseError, LMError

from lift_sys.errors import ProviderError
from lift_sys.inference import usage
from lift_sys.verdict import FailureCategory, no_answer
from programs.adapters import StructuredAdapter
from programs.demo_choice import CHOICES, MOST, NO_LIMIT, DemoChoice, Show
from programs.hypers import Hyper


class StageFailed(Exception):  # noqa: N818 (an outcome of a model, not an error of ours)
    """A model's answer could not be used; the message is a failure that ``no_answer`` wrote."""

    def __init__(self, category: FailureCategory, reason: str) -> None:
        super().__init__(no_answer(category, reason))


@dataclass(frozen=True)
class Sampling:
    """How one answer is drawn.

    Attributes:
        temperature: 0 is greedy.
        seed: Of the backend's sampler; equal requests with equal seeds give equal answers.
    """

    temperature: float
    seed: int


class Stage(dspy.Module):
    """One predictor, its prompt layout, its token limit and the choice among its demos.

    Hypers:
        max_tokens: Tokens at which an answer is cut off.
        demo_choice: Which demos a request shows: the first ones (``fixed``), or those ``nearest``
            to the spec, which cost the prefix cache all that follows the instructions.
        demo_count: Most demos of a request.
        demo_tokens: Most tokens of all its demos, estimated; the largest value is no limit.
    """

    name: ClassVar[str]
    signature: ClassVar[type[Signature]]
    adapter: ClassVar[dspy.Adapter]
    token_limits: ClassVar[tuple[int, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict(self.signature)
        self.max_tokens = Hyper(f"{self.name}.max_tokens", *self.token_limits)
        self.demo_choice = Hyper(f"{self.name}.demo_choice", *CHOICES)
        self.demo_count = Hyper(f"{self.name}.demo_count", MOST, *range(MOST))
        self.demo_tokens = Hyper(f"{self.name}.demo_tokens", NO_LIMIT, 250, 500, 1_000, 2_000)

    def demos_for(self, spec: str, show: Show = dict) -> list[dict[str, Any]]:
        """Return the demos that a request shows; those without every output are left out.

        Args:
            spec: The request in plain language, whether or not the stage sees it.
            show: Gives a demo the form of this request.
        """
        outputs = self.predict.signature.output_fields
        whole = [d for d in self.predict.demos if all(d.get(k) is not None for k in outputs)]
        choice = DemoChoice(
            how=str(self.demo_choice.value),
            count=int(self.demo_count.value),
            tokens=int(self.demo_tokens.value),
        )
        return choice.of(whole, spec, show)

    def ask(
        self, sampling: Sampling, adapter: dspy.Adapter | None = None, **inputs: Any
    ) -> dspy.Prediction:
        """Return the model's fields.

        Args:
            sampling: How the answer is drawn.
            adapter: Where another form than the stage's own is asked for.
            inputs: The signature's; also ``signature`` and ``demos``, for this request only.
                Without ``demos`` it shows those for the spec.

        Raises:
            StageFailed: The answer does not parse or was cut off.
            ProviderError: The backend failed.
        """
        config: dict[str, Any] = {
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "max_tokens": self.max_tokens.value,
        }
        if "demos" not in inputs:
            inputs["demos"] = self.demos_for(str(inputs["spec"]))
        adapter = adapter or self.adapter
        if isinstance(adapter, StructuredAdapter):
            config["response_format"] = adapter.response_format
        parse_error: AdapterParseError | None = None
        prediction = None
        with usage.stage(self.name), usage.recording() as calls, dspy.context(adapter=adapter):
            try:
                prediction = self.predict(**inputs, config=config)
            except AdapterParseError as error:
                parse_error = error
            except LMError as error:
                msg = f"the backend failed in the {self.name} stage: {error}"
                raise ProviderError(msg) from error
        if calls and calls[-1].finish_reason == "length":
            msg = f"the {self.name} stage was cut off at {self.max_tokens.value} tokens"
            raise StageFailed(FailureCategory.TRUNCATED, msg)
        if parse_error is not None:
            structured = isinstance(adapter, StructuredAdapter)
            category = FailureCategory.IR_NOT_PARSED if structured else FailureCategory.OTHER
            msg = f"the answer of the {self.name} stage does not have the form asked for"
            raise StageFailed(category, msg) from parse_error
        return prediction
