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
from dspy.utils.exceptions import ContextWindowExceededError, LMError, LMTimeoutError

from lift_sys.inference.failures import EngineError, PromptTooLongError, TimedOutError
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
        self._lm = lm.copy(cache=False, callbacks=[])
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
            EngineError: DSPy could not get an answer, after its retries.
        """
        if "seed" not in self.supported_params:  # where it is only which of our samples this is
            request = replace(request, config=replace(request.config, seed=None))
        started = time.perf_counter()
        response = self._asked(request)
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

    def _asked(self, request: Request) -> Response:
        # To whoever counts and watches DSPy's calls this is one call, the one that led here.
        unseen = dspy.context(callbacks=[], usage_tracker=None, disable_history=True)
        try:
            with unseen:
                response: Response = self._lm(request)
        except ContextWindowExceededError as error:
            raise PromptTooLongError(self._said(error)) from error
        except LMError as error:
            # A read that lasts too long is a failure of transport to some of DSPy's engines.
            late = isinstance(error, LMTimeoutError) or "timed out" in str(error)
            raise (TimedOutError if late else EngineError)(self._said(error)) from error
        return response

    def _said(self, error: LMError) -> str:
        """Return the first line of what DSPy says, without the key that a server may repeat."""
        line = error.message.strip().partition("\n")[0]
        said = f"{self._lm.model} gave no answer: {line}"
        key = self._lm.kwargs.get("api_key")
        return said.replace(key, "(key)") if isinstance(key, str) and key else said

    def __deepcopy__(self, memo: dict[int, Any]) -> PlainEngine:
        return self
