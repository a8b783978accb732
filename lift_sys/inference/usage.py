"""What calls of a model cost: one record a call, and the total of many.

Owns the ledger. An engine calls ``note`` once for each call it made; whoever wants to know opens
``recording`` around the work. The ledger follows the context (``contextvars``), so parallel
evaluations never see each other's calls. A thread starts with an empty context: run its work
through ``contextvars.copy_context`` to keep the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

from pydantic import Field

from lift_sys.record import Record

_ledgers: ContextVar[tuple[list[CallRecord], ...]] = ContextVar("lift_sys_ledgers", default=())
_stage: ContextVar[str] = ContextVar("lift_sys_stage", default="")


class CallRecord(Record):
    """One call of a model.

    Attributes:
        model: Id of the model that answered.
        stage: What the call was for, as named by ``stage``; empty where nobody said.
        prompt_tokens: Tokens of the whole prompt, those found in the prefix cache included.
        cached_tokens: Prompt tokens that were found in the prefix cache.
        completion_tokens: Tokens generated.
        seconds: Wall time that the caller waited, in seconds.
        share: Its part of the time in which the backend was busy, in seconds: while k calls are in
            flight, each gets 1/k of it. ``None`` where calls are made one after the other, which
            have all of it.
        prompt_seconds: Time spent computing the prompt, in seconds; ``None`` where unknown.
        generation_seconds: Time spent generating, in seconds; ``None`` where unknown.
        finish_reason: Why generation ended: ``stop``, ``length`` when the answer was cut off, or
            ``refusal`` when the model would not answer.
        key: Content address of the request, where answers are stored; empty elsewhere.
        reused: Whether a stored answer was used; tokens and seconds are those of the generation.
        asked: Id of the chain that was asked and let ``model`` answer; empty where there is none.
        passed_on: Why members of the chain did not answer, in order, each ``MEMBER: REASON``; where
            ``model`` is among them, nobody did and this is the last unusable answer.
        rejected: Why the chain did not take this answer and asked again; empty where it did.
    """

    model: str
    stage: str = ""
    prompt_tokens: int = Field(ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(ge=0)
    seconds: float = Field(ge=0)
    share: float | None = Field(default=None, ge=0)
    prompt_seconds: float | None = None
    generation_seconds: float | None = None
    finish_reason: str = "stop"
    key: str = ""
    reused: bool = False
    asked: str = ""
    passed_on: tuple[str, ...] = ()
    rejected: str = ""

    @property
    def machine_seconds(self) -> float:
        """What the machine spent on this call, in seconds."""
        return self.seconds if self.share is None else self.share


class Usage(Record):
    """The cost of several calls.

    Attributes:
        calls: How many calls were made.
        prompt_tokens: Tokens of all prompts, cached ones included.
        cached_tokens: Prompt tokens found in the prefix cache.
        completion_tokens: Tokens generated.
        seconds: Sum of the calls' wall times, in seconds; calls that overlap count twice.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, records: Iterable[CallRecord]) -> Self:
        """Return the total of some records."""
        rows = list(records)
        return cls(
            calls=len(rows),
            prompt_tokens=sum(r.prompt_tokens for r in rows),
            cached_tokens=sum(r.cached_tokens for r in rows),
            completion_tokens=sum(r.completion_tokens for r in rows),
            seconds=sum(r.seconds for r in rows),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            seconds=self.seconds + other.seconds,
        )

    @property
    def total_tokens(self) -> int:
        """Prompt and generated tokens together."""
        return self.prompt_tokens + self.completion_tokens


@contextmanager
def recording(*, detached: bool = False) -> Iterator[list[CallRecord]]:
    """Collect the record of every call made inside, in the order in which the calls ended.

    Recordings nest: a call inside two of them is in both lists.

    Args:
        detached: Keep the records from the recordings around this one.
    """
    rows: list[CallRecord] = []
    token = _ledgers.set((rows,) if detached else (*_ledgers.get(), rows))
    try:
        yield rows
    finally:
        _ledgers.reset(token)


def open_recordings() -> tuple[list[CallRecord], ...]:
    """Return what is recorded into here, for ``joining`` in another thread."""
    return _ledgers.get()


@contextmanager
def joining(recordings: tuple[list[CallRecord], ...]) -> Iterator[None]:
    """Let calls made inside be in these recordings, unless others are open here."""
    token = _ledgers.set(_ledgers.get() or recordings)
    try:
        yield
    finally:
        _ledgers.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Label the calls made inside; the innermost label wins."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)


def current_stage() -> str:
    """Return the label that calls made here get."""
    return _stage.get()


def note(record: CallRecord) -> None:
    """Append a record to every open recording of this context; engines call it once a call."""
    for rows in _ledgers.get():
        rows.append(record)
