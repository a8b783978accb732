"""Any other provider that DSPy knows, by its name there, e.g. ``openai/gpt-4o``.

Owns the way through litellm, which carries DSPy's own calls to these providers: what it is asked,
how its failures become ours, and how often it is asked again. litellm reads each provider's key
from that provider's own environment variable, e.g. ``OPENAI_API_KEY``, where an entry names none:
the one read of the environment outside the app. Settings that a provider does not take, a seed for
example, are left out by litellm.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from lift_sys.errors import ConfigError, ModelError
from lift_sys.inference.anthropic import REFUSED
from lift_sys.inference.chat import Answer
from lift_sys.inference.endpoint import TOO_LONG
from lift_sys.inference.engine import Send
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries, worth_trying_again
from lift_sys.inference.tolerant import Validated, in_words

_LONGEST_WORDS = 300
_NO_COMPLETION = re.compile(r"invalid response from LLM endpoint|'choices' that is not a list")
_NO_KEY = "none"
"""Sent to a server that wants no key, because clients insist on one."""


def connect(info: ModelInfo, key: str | None, *, retries: Retries | None = None) -> Send:
    """Return what asks a model of any provider that litellm knows.

    JSON of a schema is asked for by the provider's own means where litellm says that the model has
    some, else in the prompt; ``structured`` in the entry overrules that. Either way the answer is
    validated.

    Args:
        info: Its entry; ``name`` is litellm's, ``provider/model``.
        key: Of the provider; by default what litellm finds in the environment.
        retries: How often and how fast.

    Raises:
        ModelError: There is no such provider, or what it needs is not set.
        ConfigError: The entry names several URLs.
    """
    refuse_unservable(info, key)
    if len(info.urls) > 1:
        msg = f"model {info.id} may name one URL, not {len(info.urls)}; make a chain of several"
        raise ConfigError(msg)
    litellm = _litellm()
    known = litellm.supports_response_schema(model=info.name)
    words = (info.structured or ("schema" if known else "words")) == "words"
    asking = _Asking(info, key, retries or Retries())

    async def send(body: dict[str, Any]) -> Answer:
        return _answer(await asking.ask(in_words(body) if words else body), info)

    return Validated(send)


def refuse_unservable(info: ModelInfo, key: str | None) -> None:
    """Check that a model can be asked as things are set up; nothing is sent.

    Raises:
        ModelError: There is no such provider, or what it needs is not set.
    """
    litellm = _litellm()
    try:
        litellm.get_llm_provider(model=info.name)
    except litellm.exceptions.BadRequestError as error:
        provider = info.name.partition("/")[0]
        msg = (
            f"model {info.id}: litellm knows no provider {provider!r};"
            " https://docs.litellm.ai/docs/providers lists those that it knows"
        )
        raise ModelError(msg) from error
    if key or info.urls:
        return
    missing = litellm.validate_environment(model=info.name)["missing_keys"]
    if info.key or missing:
        names = info.key or ", ".join(missing)
        msg = f"model {info.id} needs a key that is not set in the environment: {names}"
        raise ModelError(msg)


class _Asking:
    """One model, asked until it answers, refuses or runs out of time.

    Args:
        info: Its entry.
        key: Of the provider.
        retries: How often and how fast.
    """

    def __init__(self, info: ModelInfo, key: str | None, retries: Retries) -> None:
        self._info = info
        self._key = key
        self._retries = retries
        self._fixed: dict[str, Any] = {
            "model": info.name,
            "timeout": info.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": True,
        }
        self._where = info.name
        if info.urls:
            self._where += f" at {re.sub('//[^/@]*@', '//', info.urls[0])}"
            self._fixed |= {"api_base": info.urls[0], "api_key": key or _NO_KEY}
        elif key:
            self._fixed["api_key"] = key

    async def ask(self, body: dict[str, Any]) -> Any:
        """Return litellm's response to a chat body; ``None`` where the provider refused to answer.

        Raises:
            PromptTooLongError: The prompt does not fit.
            StatusError: The provider refuses the request, and would again.
            TimedOutError: No answer in time.
            UnavailableError: No answer after all retries.
        """
        litellm = _litellm()
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._info.timeout
        failed = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await litellm.acompletion(**{**body, **self._fixed})
            except litellm.exceptions.ContentPolicyViolationError:
                return None
            except (TimeoutError, litellm.exceptions.Timeout):
                raise self._too_late() from None
            except _base_error() as error:
                failed += 1
                wait = self._retries.wait(failed, _headers(error))
                again = self._passing(error) and failed < self._retries.tries
                if not again or wait >= deadline - clock():
                    raise self._failure(error) from None
            await asyncio.sleep(wait)

    def _too_late(self) -> TimedOutError:
        seconds = self._info.timeout
        msg = f"{self._where} gave no answer within {seconds:g} s; raise the model's timeout"
        return TimedOutError(msg)

    def _failure(self, error: Any) -> EngineError:
        """Return one sentence of ours for what litellm raised."""
        where, status, said = self._where, _status(error), self._words(error)
        if status in {401, 403}:
            # A provider's words about a key may repeat it.
            name = self._info.key or "the provider's environment variable"
            msg = f"{where} refuses the key ({status}); set the right key in {name}"
            return StatusError(msg, status)
        if self._passing(error):
            return UnavailableError(f"{where} cannot answer now: {said}; try again later")
        if _NO_COMPLETION.search(said):
            msg = f"{where} answered with something that is no chat completion; check the URL"
            return StatusError(msg, status)
        if TOO_LONG.search(said) and status in {400, 413, 422}:
            return PromptTooLongError(
                f"{where} says that the prompt does not fit: {said}; shorten it"
            )
        msg = f"{where} refuses the request ({status}): {said}; correct the request or the entry"
        return StatusError(msg, status, said)

    def _passing(self, error: Any) -> bool:
        """Return whether the same request may succeed later; litellm says 500 for much."""
        return worth_trying_again(_status(error)) and not _NO_COMPLETION.search(self._words(error))

    def _words(self, error: Any) -> str:
        text = " ".join(str(getattr(error, "message", error)).split())
        text = text.replace(self._key, "***") if self._key else text
        return (text.partition("Exception - ")[2] or text)[:_LONGEST_WORDS].rstrip(".")


def _answer(response: Any, info: ModelInfo) -> Answer:
    if response is None:
        return Answer(REFUSED, "refusal", 0, 0, 0)
    try:
        choice, usage = response.choices[0], response.usage
        details = getattr(usage, "prompt_tokens_details", None)
        refused = choice.finish_reason == "content_filter"
        return Answer(
            text=REFUSED if refused else choice.message.content or "",
            finish_reason=_FINISH.get(choice.finish_reason, "stop"),
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=getattr(details, "cached_tokens", None) or 0,
            completion_tokens=usage.completion_tokens,
        )
    except (AttributeError, IndexError, TypeError) as error:
        msg = f"{info.name} answered with something that is no chat completion; check the URL"
        raise EngineError(msg) from error


_FINISH = {"length": "length", "content_filter": "refusal"}


def _status(error: Any) -> int:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


def _headers(error: Any) -> Mapping[str, str]:
    headers = getattr(error, "litellm_response_headers", None) or {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _base_error() -> type[Exception]:
    """Return what litellm's errors of every provider have in common."""
    from openai import OpenAIError  # noqa: PLC0415 - heavy

    return OpenAIError


def _litellm() -> Any:
    """Return litellm, which takes seconds to import, told to keep quiet."""
    import litellm  # noqa: PLC0415 - heavy

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm
