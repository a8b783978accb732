"""The batch and its thread: rows join and leave, and each answer is that of its request alone."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra transformers")
transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
generation: Any = pytest.importorskip("lift_sys.inference.generation")

from lift_sys.inference.attention import NAME  # noqa: E402
from lift_sys.inference.batch import Row  # noqa: E402
from lift_sys.inference.failures import CancelledError, EngineError  # noqa: E402
from lift_sys.inference.sampling import Sampling  # noqa: E402

pytestmark = pytest.mark.transformers

NO_END: frozenset[int] = frozenset()


@pytest.fixture(scope="module")
def parts(tiny_weights: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_weights, attn_implementation=NAME
    )
    return model.eval(), transformers.AutoTokenizer.from_pretrained(tiny_weights)


def rows_of(count: int) -> list[Row]:
    """Return rows of many lengths and settings."""
    return [
        Row(
            prompt=list(range(5, 8 + 7 * (i % 5))),
            limit=3 + 11 * (i % 3),
            sampling=Sampling(temperature=0.5 * (i % 3), seed=i, presence_penalty=0.2 * (i % 2)),
        )
        for i in range(count)
    ]


def answered(parts: tuple[Any, Any], rows: list[Row], most: int = 4, **more: Any) -> list[Any]:
    running = generation.Generation(*parts, more.get("ends", NO_END), most)
    for row in rows:
        running.ask(row)
    given = [row.answer.result(60) for row in rows]
    running.close()
    return given


def test_rows_that_join_and_leave_are_answered_as_if_alone(parts: tuple[Any, Any]) -> None:
    together, alone = rows_of(12), rows_of(12)
    answered(parts, together)
    for row in alone:
        answered(parts, [row])
    assert [row.tokens for row in together] == [row.tokens for row in alone]
    assert {len(row.tokens) for row in together} == {3, 14, 25}


def test_greedy_tokens_are_those_of_transformers(parts: tuple[Any, Any]) -> None:
    model, _ = parts
    row = Row(prompt=[5, 6, 7, 8], limit=12, sampling=Sampling())
    (given,) = answered(parts, [row])
    theirs = model.generate(
        torch.tensor([row.prompt]),
        attention_mask=torch.ones(1, 4, dtype=torch.long),
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert row.tokens == theirs[0, 4:].tolist()
    assert (given.prompt_tokens, given.completion_tokens, given.finish_reason) == (4, 12, "length")


def test_a_token_that_ends_is_counted_and_not_shown(parts: tuple[Any, Any]) -> None:
    whole = Row(prompt=[5, 6], limit=6, sampling=Sampling())
    answered(parts, [whole])
    end = whole.tokens[3]
    first = whole.tokens.index(end)
    row = Row(prompt=[5, 6], limit=6, sampling=Sampling())
    (given,) = answered(parts, [row], ends=frozenset({end}))
    assert given.finish_reason == "stop"
    assert given.completion_tokens == first + 1
    assert given.text == parts[1].decode(whole.tokens[:first])


def test_a_stop_text_ends_an_answer_and_is_not_part_of_it(parts: tuple[Any, Any]) -> None:
    (whole,) = answered(parts, [Row(prompt=[9, 8], limit=40, sampling=Sampling())])
    stop = whole.text[5:8]
    row = Row(prompt=[9, 8], limit=40, sampling=Sampling(), stops=("never there", stop))
    (given,) = answered(parts, [row])
    assert given.text == whole.text[: whole.text.index(stop)]
    assert given.finish_reason == "stop"
    assert given.completion_tokens < 40


def test_never_more_rows_at_once_than_allowed(parts: tuple[Any, Any]) -> None:
    seen = []

    class Watched(generation.Batch):
        def draw(self) -> list[int]:
            seen.append(len(self.rows))
            drawn: list[int] = super().draw()
            return drawn

    running = generation.Generation(*parts, NO_END, 3)
    running._batch = Watched(parts[0])
    rows = rows_of(9)
    for row in rows:
        running.ask(row)
    for row in rows:
        row.answer.result(60)
    running.close()
    assert max(seen) == 3


def test_a_row_that_nobody_waits_for_leaves(parts: tuple[Any, Any]) -> None:
    running = generation.Generation(*parts, NO_END, 1)
    long = Row(prompt=[5], limit=8000, sampling=Sampling())
    running.ask(long)
    while not long.tokens:
        time.sleep(0.001)
    assert long.answer.cancel()
    short = Row(prompt=[5], limit=2, sampling=Sampling())
    running.ask(short)
    assert short.answer.result(10).completion_tokens == 2
    assert len(long.tokens) < 4000
    running.close()


def test_a_failure_of_the_model_fails_its_rows_and_no_others(parts: tuple[Any, Any]) -> None:
    running = generation.Generation(*parts, NO_END, 2)
    beyond = Row(prompt=[10**6], limit=2, sampling=Sampling())
    running.ask(beyond)
    with pytest.raises(EngineError, match="the model failed"):
        beyond.answer.result(10)
    good = Row(prompt=[5], limit=2, sampling=Sampling())
    running.ask(good)
    assert good.answer.result(10).completion_tokens == 2
    running.close()


def test_closing_fails_what_is_not_answered(parts: tuple[Any, Any]) -> None:
    running = generation.Generation(*parts, NO_END, 1)
    rows = [Row(prompt=[5], limit=8000, sampling=Sampling()) for _ in range(2)]
    for row in rows:
        running.ask(row)
    running.close()
    for row in rows:
        with pytest.raises(CancelledError):
            row.answer.result(10)
    with pytest.raises(CancelledError):
        running.ask(rows[0])
    assert running._thread not in threading.enumerate()
