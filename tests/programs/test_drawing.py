"""Drawing candidates together: that it happens, and that it changes nothing but the time."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_sys.errors import ProviderError
from lift_sys.inference.lm import in_turn
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import recording
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Case, Task
from metrics.adapters import ExecutionMetric, to_example
from programs.attempts import Attempt
from programs.drawing import Candidate, draw_candidates
from programs.hypers import set_hypers
from programs.presets import make_program

SPEC = "Return the double of x."
GOOD = "```python\ndef double(x):\n    return 2 * x\n```"
BAD = "```python\ndef double(x):\n    return x\n```"
WORSE = "```python\ndef double(x):\n    raise ValueError\n```"
NO_CODE = "```python\n```"
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
TASK = Task(
    id="double", spec=SPEC, entry_point="double", category="mathematical", split="train",
    source="test", hidden=(Case(args="(4,)", expected="8"),),
)  # fmt: skip
WAIT = 120.0
"""Seconds after which a barrier is given up; nothing waits that long where candidates overlap."""


def lm_of(answer: Callable[[Request], str], concurrency: int) -> dspy.LM:
    engine = ScriptedEngine(answer, concurrency=concurrency)
    return dspy.LM("local/scripted", engine=engine, cache=False, num_retries=0)


def by_seed(codes: Sequence[str]) -> Callable[[Request], str]:
    """Answer a request by its seed alone, as a real model does."""

    def answer(request: Request) -> str:
        seed = request.config.seed or 0
        if request.config.response_format:
            return json.dumps({**IR, "summary": f"Doubles x, seed {seed}"})
        return codes[seed % len(codes)]

    return answer


def run(
    sandbox: Sandbox, answer: Callable[[Request], str], concurrency: int, **hypers: Any
) -> tuple[dspy.Prediction, list[Any], int]:
    """Return a prediction, the trace that is left, and the number of calls recorded."""
    program = make_program("self_consistency", sandbox)
    set_hypers(program, hypers)
    trace: list[Any] = []
    with recording() as calls, dspy.context(lm=lm_of(answer, concurrency), trace=trace):
        prediction = program(spec=SPEC, entry_point="double", rollout=hypers.get("n", 0))
    steps = [(inputs, answered.toDict()) for _, inputs, answered in trace]
    return prediction, steps, len(calls)


def test_as_many_candidates_overlap_as_the_engine_says(sandbox: Sandbox) -> None:
    together = threading.Barrier(4, timeout=WAIT)

    def answer(request: Request) -> str:
        together.wait()  # passed only by four requests at the same time
        return json.dumps(IR) if request.config.response_format else BAD

    prediction, _, calls = run(sandbox, answer, 4, n=8, select="assertions")

    assert len(prediction.attempts) == 8
    assert calls == 16


def test_one_model_that_answers_in_turn_holds_all_back(sandbox: Sandbox) -> None:
    threads: set[int] = set()

    def answer(request: Request) -> str:
        threads.add(threading.get_ident())
        return json.dumps(IR) if request.config.response_format else BAD

    program = make_program("self_consistency", sandbox).with_models(lambda _: lm_of(answer, 1))
    set_hypers(program, {"code_generator.model": "qwen2.5-coder-1.5b"})
    with dspy.context(lm=lm_of(answer, 4)):
        program(spec=SPEC, entry_point="double")

    assert threads == {threading.get_ident()}


def test_what_was_drawn_beyond_the_stop_is_paid_for_and_dropped(sandbox: Sandbox) -> None:
    prediction, steps, calls = run(sandbox, by_seed([GOOD]), 4, n=16, select="assertions")

    assert len(prediction.attempts) == 1
    assert len(steps) == 2
    assert calls == 8


def test_where_other_work_fills_the_backend_no_candidate_is_made_ahead(sandbox: Sandbox) -> None:
    with in_turn():
        prediction, _, calls = run(sandbox, by_seed([GOOD]), 4, n=16, select="assertions")

    assert len(prediction.attempts) == 1
    assert calls == 2


@settings(max_examples=40)
@given(
    codes=st.lists(st.sampled_from([GOOD, BAD, WORSE, NO_CODE]), min_size=1, max_size=5),
    select=st.sampled_from(["first", "quality", "assertions", "agreement"]),
    n=st.integers(1, 9),
    concurrency=st.integers(2, 6),
    own=st.sampled_from(
        [{}, {"ir_generator.temperature": 0.0}, {"ir_detail": "none"}, {"temperature": 0.0}]
    ),
)
def test_the_choice_does_not_depend_on_the_concurrency(
    sandbox: Sandbox, codes: list[str], select: str, n: int, concurrency: int, own: dict[str, Any]
) -> None:
    hypers = {"n": n, "select": select} | own
    alone = run(sandbox, by_seed(codes), 1, **hypers)
    together = run(sandbox, by_seed(codes), concurrency, **hypers)

    assert dict(together[0]) == dict(alone[0])
    assert together[1] == alone[1]
    assert together[2] >= alone[2]


def test_only_the_winners_calls_become_demos_when_drawn_together(sandbox: Sandbox) -> None:
    teleprompter = dspy.BootstrapFewShot(
        metric=ExecutionMetric([TASK], sandbox), max_bootstrapped_demos=1, max_labeled_demos=0
    )
    program = make_program("single", sandbox)
    set_hypers(program, {"n": 5, "temperature": 0.5, "select": "assertions"})
    answer = by_seed([GOOD, BAD, BAD])
    with dspy.context(lm=lm_of(answer, 4)):
        compiled = teleprompter.compile(program, trainset=[to_example(TASK)])
    with dspy.context(lm=lm_of(answer, 1)):
        winner = program(spec=SPEC, entry_point="double")

    (ir_demo,) = compiled.ir_generator.predict.demos
    (code_demo,) = compiled.code_generator.predict.demos
    assert ir_demo["summary"] == winner.ir.intent.summary
    assert code_demo["code"] == winner.code == "def double(x):\n    return 2 * x"


def test_a_failing_backend_is_told_only_where_its_candidate_is_needed(sandbox: Sandbox) -> None:
    first = threading.Event()

    def answer(request: Request) -> str:
        if request.config.response_format is None and first.is_set():
            raise RuntimeError("the server is gone")
        first.set()
        return json.dumps(IR)

    with pytest.raises(ProviderError, match="the code stage"):
        run(sandbox, answer, 4)


def numbered(index: int) -> Candidate:
    return Candidate(Attempt(index=index), [index])


def test_an_error_behind_the_stop_is_nobodys() -> None:
    def make(index: int) -> Candidate:
        if index > 1:
            raise ProviderError("gone")
        return numbered(index)

    drawn = draw_candidates(make, lambda attempts: len(attempts) == 2, 4, 4)
    assert [c.attempt.index for c in drawn] == [0, 1]
    with pytest.raises(ProviderError):
        draw_candidates(make, lambda attempts: len(attempts) == 3, 4, 4)


@pytest.mark.parametrize(
    ("n", "concurrency", "sizes"), [(5, 2, [2, 2, 1]), (3, 8, [3]), (1, 4, [1])]
)
def test_batches_are_as_large_as_they_may_be(n: int, concurrency: int, sizes: list[int]) -> None:
    batches: list[list[int]] = []
    made: list[int] = []

    def make(index: int) -> Candidate:
        made.append(index)
        return numbered(index)

    def enough(attempts: Sequence[Attempt]) -> bool:
        if made:
            batches.append(sorted(made))
            made.clear()
        return False

    draw_candidates(make, enough, n, concurrency)
    assert [len(batch) for batch in batches] == sizes
    assert [index for batch in batches for index in batch] == list(range(n))


def test_an_interruption_waits_for_no_call() -> None:
    answering, release = threading.Barrier(2, timeout=WAIT), threading.Event()
    main = threading.main_thread().ident or 0

    def make(index: int) -> Candidate:
        interrupts = answering.wait() == 0
        while interrupts and not release.is_set():
            signal.pthread_kill(main, signal.SIGINT)
            release.wait(WAIT / 10)  # once is not enough if a finaliser runs just then
        release.wait(WAIT)
        return numbered(index)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        draw_candidates(make, lambda _: False, 2, 2)
    release.set()
    assert time.monotonic() - started < WAIT
