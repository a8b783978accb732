"""Which of several samples of one request an answer is.

An engine sees a request alone, and gives equal requests equal answers. Programs and optimizers ask
for several samples in ways that are no part of a request: by ``n``, by a ``rollout_id``, or by
running a task again. Owns how these become seeds, which are part of it. So an answer depends on
what asked for it, and on nothing that happened before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import dspy

from lift_sys.inference.threaded import ThreadedEngine
from lift_sys.inference.usage import joining, open_recordings


@contextmanager
def rollout(number: int) -> Iterator[None]:
    """Let what runs inside draw the samples of one rollout of a task; that of a first run is 0.

    This, and where calls are recorded, are settings of DSPy's, which its own threads take along.
    """
    with dspy.context(lift_sys_rollout=number, lift_sys_recordings=open_recordings()):
        yield


class SampledLM(dspy.LM):
    """A model that gives every sample of a request a seed of its own.

    A seed that the call itself brings holds, as that of a stage of our programs, which derives it
    from the rollout. A greedy request has but one answer.
    """

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Return what DSPy's model does: a list with each sample, or the response to a request."""
        if isinstance(prompt, dspy.lm15.Request):
            return super().__call__(prompt, messages=messages, **kwargs)
        ask, outputs = super().__call__, []
        with joining(dspy.settings.get("lift_sys_recordings", ())):
            for sample in self._samples(kwargs):
                outputs += ask(prompt, messages=messages, **sample)
        return outputs

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """Do what a call does, for ``await``."""
        if isinstance(prompt, dspy.lm15.Request):
            return await super().acall(prompt, messages=messages, **kwargs)
        ask, outputs = super().acall, []
        with joining(dspy.settings.get("lift_sys_recordings", ())):
            for sample in self._samples(kwargs):
                outputs += await ask(prompt, messages=messages, **sample)
        return outputs

    def _samples(self, kwargs: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the settings of each sample that a call asks for."""
        asked = {**self.kwargs, **kwargs}
        number, first = asked.get("n") or 1, dspy.settings.get("lift_sys_rollout", 0)
        if asked.get("temperature") == 0:
            return [kwargs]
        seed = asked.get("seed")
        if "seed" not in kwargs and (first or asked.get("rollout_id") is not None):
            seed = derived_seed(seed, first, asked.get("rollout_id"))
        if number == 1:
            return [kwargs if seed is None else {**kwargs, "seed": seed}]
        return [{**kwargs, "n": 1, "seed": _within((seed or 0) + k)} for k in range(number)]


def sampled(lm: dspy.LM, engine: Any, **settings: Any) -> SampledLM:
    """Return a copy of any model that gives every sample of a request a seed of its own.

    Args:
        lm: Copied.
        engine: Answers, for ``await`` as well.
        settings: Of the copy, where they differ.
    """
    kind = type(lm)
    made = lm.copy(engine=engine, async_engine=ThreadedEngine(engine), **settings)
    # A subclass of the caller's own keeps what it does.
    plain = kind in (dspy.LM, SampledLM)
    made.__class__ = SampledLM if plain else type(kind.__name__, (SampledLM, kind), {})
    return cast("SampledLM", made)


def derived_seed(*parts: object) -> int:
    """Return a seed of 31 bits that follows from the texts of all parts."""
    text = "\0".join(map(str, parts))
    return _within(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]))


def _within(seed: int) -> int:
    return seed & 0x7FFFFFFF
