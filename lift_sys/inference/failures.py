"""What an engine raises: the product's errors in a form that DSPy passes on untouched.

DSPy wraps whatever an engine raises unless it is one of DSPy's own LM errors. These classes are
both, so a caller of a DSPy module catches ``lift_sys.errors.ProviderError`` as it was raised.

    EngineError
    ├── PromptTooLongError     the input is too large for the model
    ├── StatusError            the request is refused; asking again changes nothing
    ├── UnavailableError       no answer could be had just now; another server may have one
    │   └── TimedOutError
    └── CancelledError
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


class StatusError(EngineError):
    """The request is refused, by a server or before it is sent, and would be again.

    Attributes:
        status: HTTP status; 0 where none says it.
        said: The server's own words; empty where it gave none.
    """

    def __init__(self, message: str, status: int = 0, said: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class UnavailableError(EngineError):
    """No answer could be had after every retry: nobody listens, or the server is overloaded."""


class TimedOutError(UnavailableError):
    """No answer came within the time that a call may take."""


class RefusedError(BudgetSpent, LMError):
    """The call was not made, because the job's budget is spent."""


class CancelledError(EngineError):
    """The caller gave up on the call, or the process is ending."""
