"""Any other provider that DSPy knows, by its name there, e.g. ``openai/gpt-4o``.

Owns the way through litellm, which carries DSPy's own calls to these providers: what it is asked,
how its failures become ours, and how often it is asked again. litellm reads each provider's key
from that provider's own environment variable, e.g. ``OPENAI_API_KEY``, where an entry names none:
the one read of the environment outside the app, but for the values that must never be said.
Settings that a provider does not take, a seed for example, are left out by litellm.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

from lift_sys.errors import ConfigError, ModelError
from lift_sys.inference.anthropic import REFUSED
from lift_sys.inference.chat import Answer
from lift_sys.inference.credentials import check_key, refuse_two, secrets_in, without_secrets
from lift_sys.inference.deadline import at_most
from lift_sys.inference.engine import Timed
from lift_sys.inference.failures import (
    EngineError,
    PromptTooLongError,
    StatusError,
    TimedOutError,
    UnavailableError,
)
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries, worth_trying_again
from lift_sys.inference.server_words import does_not_fit, is_page, page_words, whole
from lift_sys.inference.tolerant import Validated, in_words

_LONGEST_WORDS = 300
_NO_COMPLETION = re.compile(
    r"invalid response from LLM endpoint|'choices' that is not a list|^Invalid response object"
)
_UNSENDABLE = re.compile(r"'(ascii|latin-1)' codec can't encode")
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.I)
_LEAST_SECRET = 8  # characters
_NO_KEY = "none"
"""Sent to a server that wants no key, because clients insist on one."""


def connect(info: ModelInfo, key: str | None, *, retries: Retries | None = None) -> Timed:
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
        ConfigError: The entry names several URLs, or a way of asking for JSON that is not for
            providers; or the key cannot be sent.
    """
    refuse_unservable(info, key)
    _check(info, key)
    litellm = _litellm()
    known = litellm.supports_response_schema(model=info.name)
    words = (info.structured or ("schema" if known else "words")) == "words"
    asking = _Asking(info, key, retries or Retries())

    async def send(body: dict[str, Any]) -> Answer:
        response = await asking.ask(in_words(body) if words else body)
        return _answer(response, asking.where)

    return Timed(Validated(send), info.timeout)


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


def _check(info: ModelInfo, key: str | None) -> None:
    if len(info.urls) > 1:
        msg = f"model {info.id} may name one URL, not {len(info.urls)}; make a chain of several"
        raise ConfigError(msg)
    if info.structured == "tool":
        msg = (
            f'model {info.id}: structured = "tool" is not for other providers;'
            ' write "schema" or "words"'
        )
        raise ConfigError(msg)
    if key:
        check_key(key, info.name, info.key)
        for url in info.urls:
            refuse_two(info.name, url, info.key)


class _Asking:
    """One model, asked until it answers, refuses or runs out of time.

    Args:
        info: Its entry.
        key: Of the provider.
        retries: How often and how fast.

    Attributes:
        where: Who this is, for a person.
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
        self.where = info.name
        if info.urls:
            self.where += f" at {without_secrets(info.urls[0])}"
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
        deadline = clock() + at_most(self._info.timeout)
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
        msg = f"{self.where} gave no answer within {seconds:g} s; raise the model's timeout"
        return TimedOutError(msg)

    def _failure(self, error: Any) -> EngineError:
        """Return one sentence of ours for what litellm raised."""
        where, status, said = self.where, _status(error), self._words(error)
        name = self._info.key or "the provider's environment variable"
        if _UNSENDABLE.search(said):
            msg = f"the key of {where} in {name} has characters that no key has; correct it"
            return StatusError(msg)
        if status in {401, 403}:
            msg = f"{where} refuses the key ({status}); set the right key in {name}"
            return StatusError(msg, status)
        if self._passing(error):
            return UnavailableError(f"{where} cannot answer now: {said}; try again later")
        if _NO_COMPLETION.search(said):
            msg = f"{where} answered with something that is no chat completion; check the URL"
            return StatusError(msg, status)
        if does_not_fit(status, said):
            return PromptTooLongError(
                f"{where} says that the prompt does not fit: {said}; shorten it"
            )
        if status == 404:
            refused, remedy = "does not know the URL or the model", "check both"
        else:
            refused, remedy = "refuses the request", "correct the request or the entry"
        return StatusError(f"{where} {refused} ({status}): {said}; {remedy}", status, said)

    def _passing(self, error: Any) -> bool:
        """Return whether the same request may succeed later; litellm says 500 for much."""
        said = self._words(error)
        lasts = _NO_COMPLETION.search(said) or _UNSENDABLE.search(said)
        return worth_trying_again(_status(error)) and not lasts

    def _words(self, error: Any) -> str:
        """Return what an error says, short and without secrets, pages and traces."""
        text = whole(str(getattr(error, "message", error)))
        text = text.partition("Exception - ")[2] or text
        text = page_words(text) if is_page(text) else text.partition("Traceback")[0]
        return without_secrets(" ".join(text.split()), self._secrets)[:_LONGEST_WORDS].rstrip(".")

    @property
    def _secrets(self) -> list[str]:
        """What may not be said: litellm does not tell which variable it took a key from."""
        kept = [value for name, value in os.environ.items() if _SECRET.search(name)]
        urls = [secret for url in self._info.urls for secret in secrets_in(url)]
        own = [self._key] if self._key else []
        return [*own, *urls, *(value for value in kept if len(value) >= _LEAST_SECRET)]


def _answer(response: Any, where: str) -> Answer:
    if response is None:
        return Answer(REFUSED, "refusal", 0, 0, 0)
    try:
        choice, usage = response.choices[0], response.usage
        details = getattr(usage, "prompt_tokens_details", None)
        refused = choice.finish_reason == "content_filter"
        answer = Answer(
            text=REFUSED if refused else choice.message.content or "",
            finish_reason=_FINISH.get(choice.finish_reason, "stop"),
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=getattr(details, "cached_tokens", None) or 0,
            completion_tokens=usage.completion_tokens,
        )
    except (AttributeError, IndexError, TypeError, ValueError):
        answer = None
    # litellm fills in 0 where a provider says nothing, and the call would seem to cost nothing.
    if answer is None or not answer.prompt_tokens:
        what = "something that is no chat completion with its usage"
        msg = f"{where} answered with {what}; check the URL"
        raise EngineError(msg)
    return answer


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
