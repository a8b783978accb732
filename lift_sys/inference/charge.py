"""A call of a model as it is charged."""

from __future__ import annotations

from dataclasses import dataclass

from lift_sys.inference.model_info import Price


@dataclass(frozen=True)
class Charge:
    """A call that is about to be made.

    Attributes:
        call: Its content address.
        model: Id of its model.
        price: What the model costs; ``None`` where that is not known.
        prompt_tokens: Most that its prompt can have.
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
