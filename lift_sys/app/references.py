"""Running canonical solutions for their outputs, in the sandbox.

Owns what an importer may not know: that there is a sandbox. One is started when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lift_sys.errors import DatasetError
from lift_sys.literals import write_literal
from lift_sys.sandbox import Call, Sandbox, Submission
from lift_sys.tasks import Case
from lift_sys.verdict import Status


class ReferenceRunner:
    """Calls solutions on inputs, within the limits that a metric gives to candidates.

    Args:
        make_sandbox: Makes a sandbox.
    """

    def __init__(self, make_sandbox: Callable[[], Sandbox]) -> None:
        self._make = make_sandbox
        self._sandbox: Sandbox | None = None

    def __call__(self, code: str, entry_point: str, arguments: Sequence[str]) -> list[str]:
        """Return what each call gives, as literals.

        Raises:
            DatasetError: A call gives no value that a case can carry.
            SandboxError: The sandbox failed, or there is none.
        """
        if self._sandbox is None:
            self._sandbox = self._make()
        calls = tuple(Call(args=args) for args in arguments)
        submission = Submission(code=code, entry_point=entry_point, calls=calls)
        execution = self._sandbox.execute(submission)
        values = []
        for args, outcome in zip(arguments, execution.outcomes, strict=True):
            if outcome.status is not Status.PASSED:
                why = ": ".join(filter(None, (outcome.exception, outcome.message)))
                raise DatasetError(f"{_call(entry_point, args)} gives {outcome.status} ({why})")
            try:
                values.append(write_literal(outcome.value))
            except ValueError as error:
                raise DatasetError(f"{_call(entry_point, args)}: {error}") from error
        return values

    def close(self) -> None:
        """Stop the sandbox, if one was started."""
        if self._sandbox is not None:
            self._sandbox.close()


_LONGEST = 100


def _call(entry_point: str, args: str) -> str:
    text = Case(args=args, expected="None").render(entry_point).removesuffix(" == None")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
