"""The thread that answers requests on loaded weights, many at a time.

Owns when a row joins the batch, when it leaves and how it ends: at a token that ends answers, at a
stop text, at its limit, or because nobody waits for it any more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import Any

import torch

from lift_sys.inference.batch import Batch, Row
from lift_sys.inference.chat import Answer
from lift_sys.inference.failures import CancelledError, EngineError

CLOSE_SECONDS = 5.0
"""How long leaving the process waits for the token that is being computed, in seconds."""


class Generation:
    """Answers rows in a thread of its own, started with the first.

    Args:
        model: A causal language model of transformers, on its device.
        tokenizer: Its tokenizer.
        ends: Tokens that end an answer.
        most: Most rows at once; more wait for their turn.
    """

    def __init__(self, model: Any, tokenizer: Any, ends: frozenset[int], most: int) -> None:
        self._batch = Batch(model)
        self._tokenizer = tokenizer
        self._ends = ends
        self._most = most
        self._waiting: deque[Row] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)

    def ask(self, row: Row) -> None:
        """Let a row be answered; its ``answer`` may be cancelled at any time."""
        with self._changed:
            if self._closed:
                msg = "the call was given up: the process is ending"
                raise CancelledError(msg)
            if not self._thread.is_alive():
                self._thread.start()
            self._waiting.append(row)
            self._changed.notify()

    def close(self) -> None:
        """Stop generating; rows that are not answered fail. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                joining = self._next()
                if self._closed:
                    return self._fail(joining, CancelledError("the call was given up"))
                try:
                    self._step(joining)
                except Exception as error:  # noqa: BLE001 - raised again where answers are awaited
                    self._fail(joining, EngineError(_reason(error)))

    def _next(self) -> list[Row]:
        """Return the rows whose turn it is, waiting for one where there is nothing to do."""
        with self._changed:
            while not (self._waiting or self._batch.rows or self._closed):
                self._changed.wait()
            count = min(len(self._waiting), self._most - len(self._batch.rows))
            return [self._waiting.popleft() for _ in range(count)]

    def _step(self, joining: list[Row]) -> None:
        if rows := [row for row in joining if not row.answer.cancelled()]:
            began = time.perf_counter()
            self._batch.join(rows)
            for row in rows:
                row.began = time.perf_counter()
                row.prompt_seconds = row.began - began
        if not self._batch.rows:
            return
        drawn = self._batch.draw()
        rows = self._batch.rows
        kept = [i for i, token in enumerate(drawn) if not self._ended(rows[i], token)]
        # The token drawn last is not in the cache yet.
        longest = max((len(rows[i].prompt) + len(rows[i].tokens) - 1 for i in kept), default=0)
        self._batch.keep(kept, longest)
        if kept:
            self._batch.advance()

    def _ended(self, row: Row, token: int) -> bool:
        """Take a row's token; return whether the row has left."""
        if row.answer.cancelled():
            return True
        row.tokens.append(token)
        if row.matcher is not None and not row.matcher.accept_token(token):
            _fail(row, EngineError("XGrammar left a row without a token to go on with"))
            return True
        if token in self._ends:
            self._answer(row, self._text(row.tokens[:-1]), "stop")
            return True
        if (text := self._stopped(row)) is not None:
            self._answer(row, text, "stop")
            return True
        if len(row.tokens) >= row.limit:
            self._answer(row, self._text(row.tokens), "length")
            return True
        return False

    def _stopped(self, row: Row) -> str | None:
        """Return the text before the first stop text, once there is one."""
        if not row.stops:
            return None
        # Each token has a byte at least; a few more, for the characters that the first cuts.
        tail = self._text(row.tokens[-max(len(stop.encode()) for stop in row.stops) - 4 :])
        if not any(stop in tail for stop in row.stops):
            return None
        text = self._text(row.tokens)
        return text[: min(text.find(stop) for stop in row.stops if stop in text)]

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _answer(self, row: Row, text: str, finish_reason: str) -> None:
        answer = Answer(
            text=text,
            finish_reason=finish_reason,
            prompt_tokens=len(row.prompt),
            cached_tokens=0,
            completion_tokens=len(row.tokens),
            prompt_seconds=row.prompt_seconds,
            generation_seconds=time.perf_counter() - row.began,
        )
        with suppress(InvalidStateError):  # It may have been cancelled meanwhile.
            row.answer.set_result(answer)

    def _fail(self, joining: list[Row], error: EngineError) -> None:
        """Let every row that is held fail, so that the next ones start from nothing."""
        for row in (*self._batch.rows, *joining):
            _fail(row, error)
        self._batch.clear()
        if self._closed:
            while self._waiting:
                _fail(self._waiting.popleft(), error)


def _fail(row: Row, error: EngineError) -> None:
    with suppress(InvalidStateError):  # It may have been cancelled or answered meanwhile.
        row.answer.set_exception(error)


def _reason(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "the device has too little memory for these requests; lower the model's concurrency"
    return f"the model failed: {type(error).__name__}: {error}"
