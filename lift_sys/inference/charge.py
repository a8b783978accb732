"""A call of a model as it is charged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lift_sys.inference.model_info import Price
from lift_sys.inference.usage import CallRecord

BYTES_PER_TOKEN = 2
"""Fewest bytes of UTF-8 that a token of a prompt is expected to have; code and English have 3."""

TOKENS_PER_MESSAGE = 16
"""Most tokens that a chat template puts around a message."""

TOKENS_PER_CORRECTION = 250
"""Most tokens of what a model is told of an answer that does not fit, with its template."""


@dataclass(frozen=True)
class Charge:
    """A call that is about to be made.

    Attributes:
        call: Its content address.
        model: Id of its model.
        price: What the model costs; ``None`` where that is not known.
        prompt_tokens: Most that its prompts can have.
        completion_tokens: Most that it can generate.
    """

    call: str
    model: str
    price: Price | None
    prompt_tokens: int
    completion_tokens: int

    @property
    def charged(self) -> bool:
        """Whether somebody charges for the call."""
        return self.price is None or not self.price.free

    def usd(self, prompt_tokens: int, completion_tokens: int, seconds: float = 0.0) -> float:
        """Return what a call costs; nothing where the price is not known."""
        return self.price.of(prompt_tokens, completion_tokens, seconds) if self.price else 0.0

    def paid(self, record: CallRecord) -> CallRecord:
        """Return what the call is paid as: in full where nobody counted its tokens."""
        if record.prompt_tokens or record.completion_tokens:
            return record
        most = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return record.model_copy(update=most)


def most_tokens(body: Mapping[str, Any], turns: int = 1) -> tuple[int, int]:
    """Return about the most tokens that a call can send and generate.

    Args:
        body: Of the first chat request of the call.
        turns: Most requests of the call: each further one repeats the one before, with its answer
            and what is wrong with that.
    """
    generated: int = body["max_tokens"]
    texts = [message["content"] for message in body["messages"]]
    if turns > 1:  # the schema may be said in words
        texts.append(json.dumps(body["response_format"]))
    prompt = sum(len(t.encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE for t in texts)
    repeated = generated + TOKENS_PER_CORRECTION
    return turns * prompt + turns * (turns - 1) // 2 * repeated, turns * generated
