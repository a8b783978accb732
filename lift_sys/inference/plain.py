"""A model that DSPy asks by itself, as an engine: so that its answers are counted and kept.

Owns what of DSPy's answer becomes a record. How the provider is reached is DSPy's.
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Any

import dspy
from dspy.lm15 import Request, Response

from lift_sys.inference.usage import CallRecord, current_stage, note

_REASONS = {"length": "length", "content_filter": "refusal"}


class PlainEngine:
    """Asks a ``dspy.LM`` that has no engine of its own.

    Args:
        lm: Asked without DSPy's cache, where an answer costs nothing: answers are kept behind this.
            Tokens are those that the provider reports; where it reports none, 0.

    Attributes:
        concurrency: As many requests at the same time as DSPy's own evaluation makes.
    """

    supports_function_calling = False
    supports_reasoning = False

    def __init__(self, lm: dspy.LM) -> None:
        self._lm = lm.copy(cache=False)
        self.concurrency = max(1, dspy.settings.num_threads or 1)

    # DSPy may ask the network for these.
    @functools.cached_property
    def supported_params(self) -> frozenset[str]:
        """Request settings that reach the model."""
        return frozenset(self._lm.supported_params)

    @functools.cached_property
    def supports_response_schema(self) -> bool:
        """Whether the provider enforces a JSON schema."""
        return bool(self._lm.supports_response_schema)

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            LMError: DSPy could not get an answer.
        """
        if "seed" not in self.supported_params:  # where it is only which of our samples this is
            request = replace(request, config=replace(request.config, seed=None))
        started = time.perf_counter()
        response: Response = self._lm(request)
        used = response.usage
        note(
            CallRecord(
                model=request.model,
                stage=current_stage(),
                prompt_tokens=used.input_tokens or 0,
                cached_tokens=used.cache_read_tokens or 0,
                completion_tokens=used.output_tokens or 0,
                seconds=time.perf_counter() - started,
                finish_reason=_REASONS.get(response.finish_reason, "stop"),
            )
        )
        return response

    def __deepcopy__(self, memo: dict[int, Any]) -> PlainEngine:
        return self
