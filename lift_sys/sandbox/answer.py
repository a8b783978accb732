"""Reading a worker's reply: from bytes that nobody vouches for to an ``Execution``.

Owns the checks of order, count, types and sizes. Whatever does not fit is the candidate's protocol
violation, never an error of the host.
"""

from __future__ import annotations

import signal
from typing import Any

from lift_sys.sandbox import wire
from lift_sys.sandbox.base import CallOutcome, Execution, Limits, Submission
from lift_sys.sandbox.codec import DecodeError, decode, is_finite_seconds, parse_line
from lift_sys.sandbox.worker import Reply
from lift_sys.verdict import Status

_MAX_TEXT = 600

_DEFINITION = {
    "syntax": Status.SYNTAX_ERROR,
    "missing": Status.NO_ENTRY_POINT,
    "memory": Status.MEMORY,
}


def read_answer(reply: Reply, submission: Submission, limits: Limits) -> Execution:
    """Return what a reply says of a submission."""
    lines = reply.output.split(b"\n")[:-1]  # what follows the last newline is an unfinished line
    try:
        return _read(lines, reply, submission, limits)
    except DecodeError as error:
        message = f"the code wrote to the result channel itself: {error}"
        return stopped(submission, Status.PROTOCOL, message, seconds=reply.seconds)


def stopped(
    submission: Submission,
    status: Status,
    message: str,
    *,
    done: tuple[CallOutcome, ...] = (),
    exception: str | None = None,
    seconds: float = 0.0,
) -> Execution:
    """Return the execution of a candidate that was stopped as a whole.

    Args:
        submission: What was asked.
        status: Why it was stopped; the status of every call not in ``done``.
        message: The same, for a person.
        done: Outcomes of the calls before.
        exception: Type of the exception that stopped it.
        seconds: Wall time.
    """
    rest = CallOutcome(status=status, message=message, exception=exception)
    outcomes = done + (rest,) * (len(submission.calls) - len(done))
    return Execution(status=status, outcomes=outcomes, message=message, seconds=seconds)


def _read(lines: list[bytes], reply: Reply, submission: Submission, limits: Limits) -> Execution:
    done: tuple[CallOutcome, ...] = ()
    if lines:
        failure = _definition(parse_line(lines[0]), submission, reply.seconds)
        if failure is not None:
            if len(lines) > 1:
                msg = "lines after a failed definition"
                raise DecodeError(msg)
            return failure
        if len(lines) - 1 > len(submission.calls):
            msg = "more lines than calls"
            raise DecodeError(msg)
        done = tuple(
            _outcome(index, parse_line(line), submission) for index, line in enumerate(lines[1:])
        )
        if len(done) == len(submission.calls):
            return Execution(status=Status.PASSED, outcomes=done, seconds=reply.seconds)
    status, message = _why_stopped(reply, limits, defined=bool(lines))
    return stopped(submission, status, message, done=done, seconds=reply.seconds)


def _definition(line: list[Any], submission: Submission, seconds: float) -> Execution | None:
    match line:
        case ["def", "ok"]:
            return None
        case ["def", ("syntax" | "missing" | "memory") as kind, str(message)]:
            return stopped(submission, _DEFINITION[kind], _cut(message), seconds=seconds)
        case ["def", "raised", str(name), str(message), list()]:
            text = f"the definition raised {_cut(name)}: {_cut(message)}"
            return stopped(
                submission, Status.EXCEPTION, text, exception=_cut(name), seconds=seconds
            )
    msg = "an unknown first line"
    raise DecodeError(msg)


def _outcome(index: int, line: list[Any], submission: Submission) -> CallOutcome:
    if len(line) < 3 or (line[1] is not index and (type(line[1]) is not int or line[1] != index)):
        msg = "a line out of order"
        raise DecodeError(msg)
    call = submission.calls[index]
    match line[0], *line[2:]:
        case ["ret", tagged, after, list(truths), seconds]:
            return CallOutcome(
                status=Status.PASSED,
                value=decode(tagged),
                args_after=_after(after),
                predicates=_truths(truths, len(call.predicates)),
                seconds=_seconds(seconds),
            )
        case ["bad", str(message), after, list(truths), seconds]:
            return CallOutcome(
                status=Status.UNSERIALISABLE,
                message=_cut(message),
                args_after=_after(after),
                predicates=_truths(truths, len(call.predicates)),
                seconds=_seconds(seconds),
            )
        case ["exc", str(name), str(message), list(bases), after, seconds]:
            return CallOutcome(
                status=Status.MEMORY if "MemoryError" in bases else Status.EXCEPTION,
                exception=_cut(name),
                exception_bases=_names(bases),
                message=_cut(message),
                args_after=_after(after),
                predicates=(None,) * len(call.predicates),
                seconds=_seconds(seconds),
            )
        case ["args", str(message)]:
            return CallOutcome(
                status=Status.EXCEPTION,
                message=f"the arguments could not be built: {_cut(message)}",
                predicates=(None,) * len(call.predicates),
            )
    msg = "a line of unknown form"
    raise DecodeError(msg)


def _after(field: object) -> Any:
    match field:
        case None:
            return None
        case [tagged]:
            return decode(tagged)
    msg = "malformed arguments"
    raise DecodeError(msg)


def _truths(truths: list[Any], count: int) -> tuple[bool | None, ...]:
    if len(truths) != count or not all(truth is None or type(truth) is bool for truth in truths):
        msg = "malformed truths of predicates"
        raise DecodeError(msg)
    return tuple(truths)


def _names(names: list[Any]) -> tuple[str, ...]:
    if len(names) > 20 or not all(type(name) is str and len(name) < 100 for name in names):
        msg = "malformed names of exception types"
        raise DecodeError(msg)
    return tuple(names)


def _seconds(value: Any) -> float:
    if not is_finite_seconds(value):
        msg = "a malformed duration"
        raise DecodeError(msg)
    return float(min(value, 1e6))


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def _why_stopped(reply: Reply, limits: Limits, *, defined: bool) -> tuple[Status, str]:
    what = "the call" if defined else "the definition"
    if reply.how == wire.CALL_TIMEOUT:
        limit = f"{limits.call_seconds:g} s allowed for one call (call_seconds)"
        return Status.TIMEOUT, f"{what} took longer than the {limit}"
    if reply.how == wire.TOTAL_TIMEOUT:
        limit = f"{limits.total_seconds:g} s allowed for all calls (total_seconds)"
        return Status.TIMEOUT, f"{what} was running when the {limit} were over"
    if reply.how == wire.OUTPUT_LIMIT:
        limit = f"{limits.output_bytes} bytes allowed (output_bytes)"
        return Status.UNSERIALISABLE, f"the results are larger than the {limit}"
    if reply.how == wire.MEMORY_LIMIT:
        limit = f"{limits.memory_bytes} bytes of memory allowed (memory_bytes)"
        return Status.MEMORY, f"{what} held more than the {limit}"
    if reply.code >= 0:
        ending = f"{what} ended the process (exit status {reply.code}) instead of returning"
        return Status.PROTOCOL, ending
    if -reply.code == signal.SIGXCPU:
        return Status.TIMEOUT, f"{what} used more processor time than total_seconds allows"
    if -reply.code == signal.SIGKILL:
        limit = f"{limits.memory_bytes} bytes of memory allowed (memory_bytes)"
        return Status.MEMORY, f"{what} was killed, most likely for memory; it has {limit}"
    name = _signal_name(-reply.code)
    return Status.EXCEPTION, f"{what} crashed the interpreter ({name}); often endless recursion"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
