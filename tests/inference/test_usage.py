"""The ledger: who sees which call, and what calls add up to."""

from __future__ import annotations

import contextvars
import threading

import pytest
from pydantic import ValidationError

from lift_sys.inference.usage import CallRecord, Usage, current_stage, note, recording, stage


def call(prompt: int = 10, cached: int = 4, completion: int = 5) -> CallRecord:
    return CallRecord(
        model="m",
        stage=current_stage(),
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        seconds=0.5,
    )


def test_nested_recordings_both_see_the_inner_call() -> None:
    with recording() as outer:
        note(call(prompt=1))
        with recording() as inner:
            note(call(prompt=2))
        note(call(prompt=3))
    note(call(prompt=4))
    assert [r.prompt_tokens for r in outer] == [1, 2, 3]
    assert [r.prompt_tokens for r in inner] == [2]


def test_a_recording_closes_when_its_block_raises() -> None:
    with pytest.raises(RuntimeError, match="inside"), recording() as rows:
        raise RuntimeError("inside")
    note(call())
    assert rows == []


def test_the_innermost_stage_labels_the_call() -> None:
    with recording() as rows, stage("ir"):
        note(call())
        with stage("critic"):
            note(call())
        note(call())
    assert [r.stage for r in rows] == ["ir", "critic", "ir"]
    assert current_stage() == ""


def test_parallel_work_keeps_its_own_ledger_unless_given_the_context() -> None:
    with recording() as rows:
        plain = threading.Thread(target=note, args=(call(prompt=1),))
        given = threading.Thread(target=contextvars.copy_context().run, args=(note, call(prompt=2)))
        for thread in (plain, given):
            thread.start()
            thread.join()
    assert [r.prompt_tokens for r in rows] == [2]


def test_totals_add_up() -> None:
    rows = [call(), call(prompt=7, cached=0, completion=1)]
    total = Usage.of(rows)
    assert total == Usage(
        calls=2, prompt_tokens=17, cached_tokens=4, completion_tokens=6, seconds=1.0
    )
    assert Usage.of(rows[:1]) + Usage.of(rows[1:]) == total
    assert total.total_tokens == 23
    assert Usage.of([]) == Usage()
    assert sum((Usage.of([r]) for r in rows), Usage()) == total


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValidationError, match="prompt_tokens"):
        call(prompt=-1)
