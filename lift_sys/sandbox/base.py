"""The contract every sandbox backend keeps.

Owns the types that cross the boundary: what a caller asks (``Submission``, ``Limits``) and what
comes back (``Execution``). Expected values are not part of a submission: they never enter.
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import ConfigDict, Field

from lift_sys.errors import SandboxUnavailableError
from lift_sys.record import Record
from lift_sys.verdict import Status


class Limits(Record):
    """What one candidate may use.

    Attributes:
        call_seconds: Wall time of one call, and of the definition.
        total_seconds: Wall time of the whole submission, definition included.
        memory_bytes: Address space; the interpreter itself needs most of the least allowed.
        output_bytes: Everything that comes back.
    """

    call_seconds: float = Field(default=2.0, gt=0, le=86_400)
    total_seconds: float = Field(default=10.0, gt=0, le=86_400)
    memory_bytes: int = Field(default=512 << 20, ge=64 << 20, le=1 << 50)
    output_bytes: int = Field(default=1 << 20, ge=1 << 10, le=1 << 30)


class Call(Record):
    """One call of the entry point.

    Attributes:
        args: Literal text of a tuple: the positional arguments, rebuilt for every call.
        predicates: Python expressions evaluated inside, after the call, over ``parameters``
            (bound by position to the arguments as they were before the call), ``result`` and the
            names that the candidate defines.
        observe_args: Whether to send the arguments back as they are after the call.
    """

    args: str
    predicates: tuple[str, ...] = ()
    observe_args: bool = False


class Submission(Record):
    """Code to define and calls to make, in one process.

    Attributes:
        code: Python source that must define the entry point at module level.
        entry_point: Name of the callable.
        calls: Calls, in order.
        parameters: Names under which predicates know the arguments.
    """

    code: str
    entry_point: str
    calls: tuple[Call, ...]
    parameters: tuple[str, ...] = ()


class CallOutcome(Record):
    """How one call ended.

    Attributes:
        status: ``PASSED`` means that the call returned a value the codec carries; nothing more.
        value: The returned value, decoded on the host from exact builtin types.
        args_after: The arguments after the call, decoded likewise; ``None`` if they could not be,
            or were not asked for.
        exception: Name of the exception's type, where one was raised.
        exception_bases: Names of the builtin exception types it is an instance of.
        message: For a person.
        predicates: For each predicate: its truth, or ``None`` where it raised.
        seconds: Time spent in the call, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    status: Status
    value: Any = None
    args_after: Any = None
    exception: str | None = None
    exception_bases: tuple[str, ...] = ()
    message: str = ""
    predicates: tuple[bool | None, ...] = ()
    seconds: float = 0.0


class Execution(Record):
    """How a submission ended.

    Attributes:
        status: ``PASSED`` when the code could be defined and every call was attempted; else what
            stopped the candidate as a whole.
        outcomes: One per call, in order, also when the candidate was stopped (then with its
            status).
        message: For a person.
        seconds: Wall time in the sandbox, in seconds.
    """

    status: Status
    outcomes: tuple[CallOutcome, ...]
    message: str = ""
    seconds: float = 0.0


class Sandbox(Protocol):
    """A place that executes untrusted code.

    ``execute`` is thread-safe and bounded in time by ``limits``. Whatever the code does becomes an
    ``Execution``; only trouble of the sandbox itself raises.

    Raises:
        SandboxError: From ``execute``, when the sandbox failed; the candidate was not judged.
    """

    @property
    def description(self) -> str:
        """One line: the backend and the layers that are on."""
        ...

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        """Define the code and make the calls."""
        ...

    def close(self) -> None:
        """Stop every worker; idempotent."""
        ...


class ClosedSandbox:
    """A sandbox that executes nothing, for a program that is only looked at."""

    description = "closed"

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:  # noqa: ARG002 (the contract's)
        """Refuse.

        Raises:
            SandboxUnavailableError: Always.
        """
        msg = "this program is only for looking at; load it with load_program to run it"
        raise SandboxUnavailableError(msg)

    def close(self) -> None:
        """Stop nothing: there are no workers."""
