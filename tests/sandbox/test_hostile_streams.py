"""Whatever bytes come back, the host neither crashes nor hangs nor believes them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lift_sys.sandbox import Execution, Limits, Sandbox, Submission, create_sandbox, judge
from lift_sys.sandbox.answer import read_answer
from lift_sys.sandbox.worker import Reply
from lift_sys.tasks import Case

ANSWER = "the answer that was never sent"
CASES = [Case(args=f"({n},)", expected=repr(ANSWER)) for n in range(3)]

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_tags = st.sampled_from(["l", "t", "d", "s", "fs", "i", "f", "b", "c", "D", "F", "da", "dt", "td"])
_words = st.sampled_from(["def", "ok", "ret", "bad", "exc", "args", "syntax", "raised", "missing"])
_json: st.SearchStrategy[Any] = st.recursive(
    _scalars | _words | _tags,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.builds(lambda tag, rest: [tag, *rest], _tags, st.lists(inner, max_size=5))
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)
_near_lines: st.SearchStrategy[Any] = st.one_of(
    st.just(["def", "ok"]),
    st.builds(lambda i, v: ["ret", i, v, None, [], 0.1], st.integers(-1, 4), _json),
    st.builds(lambda i, v, s: ["ret", i, 1, v, [], s], st.integers(0, 3), _json, _json),
    st.builds(lambda i, v: ["bad", i, v, None, [], 0.1], st.integers(0, 3), _json),
    st.builds(lambda i, v, w: ["exc", i, v, "m", w, None, 0.1], st.integers(0, 3), _json, _json),
    st.builds(lambda i, v: ["args", i, v], st.integers(0, 3), _json),
    _json,
)
_text_lines = _near_lines.map(lambda value: json.dumps(value).encode())
_lines = st.one_of(_text_lines, _text_lines, st.binary(max_size=60))
STREAMS = st.one_of(
    st.binary(max_size=400),
    st.lists(_lines, max_size=6).map(lambda lines: b"\n".join(lines) + b"\n"),
    st.lists(_text_lines, max_size=6).map(lambda s: b'["def","ok"]\n' + b"\n".join(s) + b"\n"),
)


class _Replying:
    """A sandbox whose worker answers with given bytes."""

    description = "a stream"

    def __init__(self, how: int, code: int, output: bytes) -> None:
        self.reply = Reply(how, code, output, 0.1)

    def execute(self, submission: Submission, limits: Limits | None = None) -> Execution:
        return read_answer(self.reply, submission, limits or Limits())

    def close(self) -> None:
        """Nothing to stop."""


@settings(max_examples=300, deadline=10_000)  # milliseconds; a hang, not a slow machine
@given(STREAMS, st.integers(0, 5), st.integers(-70, 255))
def test_random_streams_are_verdicts_and_never_passes(output: bytes, how: int, code: int) -> None:
    verdict = judge(_Replying(how, code, output), "code", "f", CASES)
    assert not verdict.passed
    assert len(verdict.cases) == 3
    assert verdict.model_dump_json()


def test_a_duration_beyond_every_float_is_not_an_error_of_the_host() -> None:
    lines = [f'["ret",{k},1,null,[],1{"0" * 400}]' for k in range(3)]
    output = "\n".join(['["def","ok"]', *lines, ""]).encode()
    verdict = judge(_Replying(0, 0, output), "code", "f", CASES)
    assert not verdict.passed
    assert max(case.seconds for case in verdict.cases) <= 1e6


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = create_sandbox(workers=1)
    yield made
    made.close()


_WRITER = """
import base64, os
stream = base64.b64decode("{stream}")
def f(x):
    for fd in range(3, 64):
        try:
            os.write(fd, stream)
        except OSError:
            pass
    if {leave}:
        os._exit(0)
"""


@settings(
    max_examples=40,
    deadline=10_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stream=STREAMS, leave=st.booleans())
def test_streams_written_by_a_candidate_end_the_same(
    sandbox: Sandbox, stream: bytes, leave: bool
) -> None:
    code = _WRITER.format(stream=base64.b64encode(stream).decode(), leave=leave)
    started = time.monotonic()
    verdict = judge(sandbox, code, "f", CASES, Limits(call_seconds=1.0, total_seconds=2.0))
    assert not verdict.passed
    assert time.monotonic() - started < 12.0  # a starved machine is no fault; what hangs is
    after = judge(sandbox, "def f(x):\n    return x", "f", [Case(args="(1,)", expected="1")])
    assert after.passed
