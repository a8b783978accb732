"""What an engine raises: the product's errors in a form that DSPy passes on untouched.

DSPy wraps whatever an engine raises unless it is one of DSPy's own LM errors. These classes are
both, so a caller of a DSPy module catches ``lift_sys.errors.ProviderError`` as it was raised.
"""

from __future__ import annotations

from dspy.utils.exceptions import ContextWindowExceededError, LMError

from lift_sys.errors import BudgetSpent, ProviderError


class EngineError(ProviderError, LMError):
    """The engine could not answer; nothing is known about the quality of an answer."""


class PromptTooLongError(EngineError, ContextWindowExceededError):
    """The prompt does not fit into the model's context: a property of the input."""

    def __init__(self, message: str) -> None:
        ContextWindowExceededError.__init__(self, message=message)


class RefusedError(BudgetSpent, LMError):
    """The call was not made, because the job's budget is spent."""


class CancelledError(EngineError):
    """The caller gave up on the call, or the process is ending."""
