"""Writing a submission for a worker.

Owns its marshalled form. What a case's arguments look like is worked out once per text, because a
search asks the same cases of thousands of candidates.
"""

from __future__ import annotations

import functools
import marshal
from typing import Any

from lift_sys.literals import parse_literal
from lift_sys.sandbox.base import Submission

_MARSHAL_VERSION = 2  # the same in every Python, also on a remote machine
_CACHED_CHARS = 4096
_PLAIN = frozenset((int, float, complex, str, bytes, bool, type(None)))


def write_request(submission: Submission) -> bytes:
    """Return the bytes that a candidate's process reads.

    Raises:
        ValueError: The arguments of a call are not the literal of a tuple.
    """
    calls = tuple(
        (_form(call.args), call.predicates, call.observe_args) for call in submission.calls
    )
    request = (submission.code, submission.entry_point, submission.parameters, calls)
    return marshal.dumps(request, _MARSHAL_VERSION)


def _form(text: str) -> bytes | str:
    return _cached_form(text) if len(text) <= _CACHED_CHARS else _make_form(text)


def _make_form(text: str) -> bytes | str:
    value = parse_literal(text)
    if type(value) is not tuple:
        msg = f"{text[:80]!r} is not the literal of a tuple"
        raise ValueError(msg)
    return marshal.dumps(value, _MARSHAL_VERSION) if _is_plain(value) else text.strip()


_cached_form = functools.lru_cache(maxsize=4096)(_make_form)


def _is_plain(value: Any) -> bool:
    """Tell whether marshal carries a value exactly; the order of a set would be lost."""
    kind = type(value)
    if kind in {list, tuple}:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return kind in _PLAIN
