"""What the forked child does: define the code, make the calls, write one line per call.

Owns the life of one candidate. Everything here runs in the candidate's own process and can be
taken over by it; the host therefore believes none of it beyond "the candidate says it returned
this". Standard library only: this module is loaded inside the sandbox.

A submission is marshalled (the host is believed here): ``(code, entry point, parameters, calls)``
with ``(arguments, predicates, observe)`` per call, the arguments as marshalled bytes or, where
they hold what marshal does not know, as literal text.

Lines are JSON arrays. The first tells how the definition went: ``["def", "ok"]``,
``["def", "syntax" | "missing" | "memory", message]`` or ``["def", "raised", type, message,
bases]``. Then one line per call ``k``: ``["ret", k, value, after, predicates, seconds]``,
``["bad", k, message, after, predicates, seconds]`` (the value has no tagged form),
``["exc", k, type, message, bases, after, seconds]`` or ``["args", k, message]``.
"""

from __future__ import annotations

import builtins
import datetime
import marshal
import os
import time
import types
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lift_sys.sandbox.tagged import NotEncodableError, encode, to_json

MODULE_NAME = "candidate"
MAX_MESSAGE = 400
"""Longest message, in characters."""

_CONSTRUCTORS: dict[str, object] = {
    "Decimal": Decimal,
    "Fraction": Fraction,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
}
_BUILTIN_EXCEPTIONS = frozenset(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, BaseException)
)
# Kept from before the candidate runs, so that a careless candidate does not break its own report.
_read, _write, _clock = os.read, os.write, time.perf_counter
_eval, _compile, _loads = eval, compile, marshal.loads


def run(source: int, sink: int, module: types.ModuleType) -> None:
    """Read a submission from one descriptor and write its lines to another.

    Args:
        source: To read from.
        sink: To write to.
        module: The empty module that the code is to fill.
    """
    code, entry_point, parameters, calls = _loads(_read_all(source))
    line, names = _define(code, entry_point, module.__dict__)
    _emit(sink, line)
    if names is None:
        return
    function = names[entry_point]
    for index, (args, predicates, observe) in enumerate(calls):
        asked = _Predicates(predicates, parameters, names) if predicates else None
        _emit(sink, _call(index, function, args, observe, asked))


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := _read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _emit(sink: int, line: list[Any]) -> None:
    rest = to_json(line).encode("ascii") + b"\n"
    while rest:
        rest = rest[_write(sink, rest) :]


def _define(
    code: str, entry_point: str, names: dict[str, Any]
) -> tuple[list[Any], dict[str, Any] | None]:
    try:
        compiled = _compile(code, f"<{MODULE_NAME}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, OverflowError) as error:
        return ["def", "syntax", _text(error)], None
    except MemoryError:
        return ["def", "syntax", "the source is too complex to compile in the memory allowed"], None
    try:
        exec(compiled, names)  # noqa: S102  # this is the process made for it
        function = names.get(entry_point)
    except MemoryError:
        return ["def", "memory", "the definition ran out of memory"], None
    except BaseException as error:  # noqa: BLE001  # SystemExit too
        return ["def", "raised", *_exception(error)], None
    if entry_point not in names:
        return ["def", "missing", f"the code defines no {entry_point!r} at module level"], None
    if not callable(function):
        return ["def", "missing", f"{entry_point!r} is not callable"], None
    return ["def", "ok"], names


class _Predicates:
    """Expressions to evaluate after a call; each gives its truth, or ``None`` where it raised."""

    def __init__(self, texts: list[str], parameters: list[str], names: dict[str, Any]) -> None:
        self.texts, self.parameters, self.names = texts, parameters, names

    def truths(self, args: bytes | str, result: object) -> list[bool | None]:
        return [self._truth(text, args, result) for text in self.texts]

    def _truth(self, text: str, args: bytes | str, result: object) -> bool | None:
        try:
            scope = {**self.names, **dict(zip(self.parameters, _arguments(args), strict=False))}
            scope["result"] = result
            return bool(_eval(_compile(text.strip(), "<predicate>", "eval"), scope))
        except BaseException:  # noqa: BLE001
            return None


def _arguments(form: bytes | str) -> tuple[Any, ...]:
    """Build the arguments anew, so that no call sees what another did to them."""
    value: tuple[Any, ...] = _loads(form) if type(form) is bytes else _eval(form, {**_CONSTRUCTORS})
    return value


def _call(
    index: int,
    function: Callable[..., object],
    form: bytes | str,
    observe: bool,
    predicates: _Predicates | None,
) -> list[Any]:
    try:
        args = _arguments(form)
    except BaseException as error:  # noqa: BLE001
        return ["args", index, _text(error)]
    started = _clock()
    try:
        value = function(*args)
    except BaseException as error:  # noqa: BLE001  # SystemExit, KeyboardInterrupt, MemoryError too
        seconds = _clock() - started
        return ["exc", index, *_exception(error), _after(args, observe), seconds]
    seconds = _clock() - started
    after = _after(args, observe)
    try:
        tagged = encode(value)
    except NotEncodableError as error:
        line = ["bad", index, f"it returned {_text(error)}", after]
    except MemoryError:
        line = ["bad", index, "its result does not fit in the memory allowed", after]
    except BaseException as error:  # noqa: BLE001  # e.g. a value changing while it is read
        line = ["bad", index, f"its result could not be read: {_text(error)}", after]
    else:
        line = ["ret", index, tagged, after]
    truths = predicates.truths(form, value) if predicates else []
    return [*line, truths, seconds]


def _after(args: tuple[Any, ...], observe: bool) -> list[Any] | None:
    if not observe:
        return None
    try:
        return [encode(args)]
    except BaseException:  # noqa: BLE001
        return None


def _exception(error: BaseException) -> tuple[str, str, list[str]]:
    kind = type(error)
    bases = [base.__name__ for base in kind.__mro__ if base in _BUILTIN_EXCEPTIONS]
    message = _text(error)
    line = _line_of(error)
    return kind.__name__[:200], f"{message} (line {line})" if line else message, bases


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001  # a hostile __str__
        text = "(no message)"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _line_of(error: BaseException) -> int | None:
    """Return the line of the candidate's source where the exception passed last."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == f"<{MODULE_NAME}>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
