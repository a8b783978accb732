"""From a model id to the object that DSPy programs call.

Owns how a backend is put behind ``dspy.LM`` and what can be asked of it there. DSPy's own answer
cache and retries are off: a job keeps its own content-addressed rows, and a backend retries what is
worth it. Importing this module is cheap; DSPy and the native code are loaded by ``build_lm``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lift_sys.errors import ModelError
from lift_sys.inference.catalogue import get, get_servable
from lift_sys.inference.fetch import Progress, ensure_model

if TYPE_CHECKING:
    import dspy

    from lift_sys.inference.engine import Send
    from lift_sys.inference.model_info import ModelInfo
    from lift_sys.inference.replay import Calls

_in_turn: ContextVar[bool] = ContextVar("lift_sys_in_turn", default=False)

SLOTS = 3
"""Prompts whose computed prefix is kept: one for each stage that alternates in a job."""


def build_lm(
    model_id: str,
    models_dir: Path,
    *,
    keys: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    calls: Calls | None = None,
) -> dspy.LM:
    """Return a model: fetched, verified and loaded, or connected to its servers.

    Args:
        model_id: An id that the catalogue knows.
        models_dir: Where model files are kept.
        keys: Keys of servers, by the name that a model's entry gives them.
        progress: Told about a download.
        calls: Where answers are kept and looked up; by default nowhere.

    Raises:
        ModelError: The id is unknown, the model cannot be asked as things are set up, or its file
            cannot be had.
        ProviderError: The file cannot be loaded.
    """
    info = get_servable(model_id, keys or {})
    if info.members:
        build = functools.partial(build_lm, keys=keys, progress=progress, calls=calls)
        return chain_lm(info, [build(member, models_dir) for member in info.members])
    engine, async_engine = _open(info, models_dir, keys or {}, progress)

    from lift_sys.inference.replay import ReplayEngine  # noqa: PLC0415 - heavy

    if calls is not None:
        from lift_sys.inference.threaded import ThreadedEngine  # noqa: PLC0415 - heavy

        replaying = ReplayEngine(engine, info.identity, calls)
        return _lm(info, replaying, ThreadedEngine(replaying))
    return _lm(info, engine, async_engine)


def chain_lm(info: ModelInfo, members: Sequence[dspy.LM]) -> dspy.LM:
    """Return a chain of models.

    Args:
        info: The chain.
        members: The models that it names, in the same order.
    """
    from lift_sys.inference.breaker import breaker_of  # noqa: PLC0415 - heavy
    from lift_sys.inference.chain import ChainEngine  # noqa: PLC0415 - heavy
    from lift_sys.inference.course import PROCESS_CAPS, Member  # noqa: PLC0415 - heavy

    engine = ChainEngine(
        info,
        [
            Member(get(model_id), lm.engine, lm.model, breaker_of(model_id))
            for model_id, lm in zip(info.members, members, strict=True)
        ],
        PROCESS_CAPS,
    )
    return _lm(info, engine, engine.for_await())


def _lm(info: ModelInfo, engine: Any, async_engine: Any) -> dspy.LM:
    from lift_sys.inference.samples import SampledLM  # noqa: PLC0415 - heavy

    return SampledLM(
        f"local/{info.id}",
        engine=engine,
        async_engine=async_engine,
        temperature=0.0,
        cache=False,
        num_retries=0,
    )


def close(lm: dspy.LM) -> None:
    """Close the connections of a model whose answers are not kept; its next call opens new ones."""
    if hasattr(lm.engine, "close"):
        lm.engine.close()


def require_servable(model_id: str, keys: Mapping[str, str]) -> ModelInfo:
    """Return what is known of a model, after asking everything that can be asked for nothing.

    Raises:
        ModelError: There is no such id, or the model cannot be asked as things are set up.
    """
    info = get_servable(model_id, keys)
    for member in (info, *map(get, info.members)):
        if member.backend == "provider":
            from lift_sys.inference import provider  # noqa: PLC0415 - heavy

            provider.refuse_unservable(member, keys.get(member.key))
    return info


def _open(
    info: ModelInfo,
    models_dir: Path,
    keys: Mapping[str, str],
    progress: Progress | None,
) -> tuple[Any, Any]:
    """Return a model's engine, and the one for ``await``."""
    if info.backend == "llama_cpp":
        return _embedded(info, models_dir, progress)
    if info.backend == "transformers":
        from lift_sys.inference import transformers  # noqa: PLC0415 - heavy

        return _concurrent(transformers.connect(info), info)
    key = keys.get(info.key)
    if info.backend == "vllm":
        from lift_sys.inference import vllm  # noqa: PLC0415 - heavy

        return _concurrent(vllm.connect(info, key), info)
    if info.backend == "anthropic":
        from lift_sys.inference import anthropic  # noqa: PLC0415 - heavy

        return _concurrent(anthropic.connect(info, key), info)
    if info.backend == "provider":
        from lift_sys.inference import provider  # noqa: PLC0415 - heavy

        return _concurrent(provider.connect(info, key), info)
    msg = f"model {info.id} needs the {info.backend} backend, which this release does not have"
    raise ModelError(msg)


def _embedded(info: ModelInfo, models_dir: Path, progress: Progress | None) -> tuple[Any, Any]:
    path = ensure_model(info.id, models_dir, progress=progress)

    from lift_sys.inference.llama_cpp import (  # noqa: PLC0415 - heavy
        AsyncLlamaEngine,
        load_engine,
    )

    engine = load_engine(path, slots=SLOTS, model=info.id)
    return engine, AsyncLlamaEngine(engine)


def _concurrent(send: Send, info: ModelInfo) -> tuple[Any, Any]:
    from lift_sys.inference.engine import ChatEngine  # noqa: PLC0415 - heavy

    engine = ChatEngine(send, info.id, concurrency=info.concurrency)
    return engine, engine.for_await()


@contextmanager
def in_turn() -> Iterator[None]:
    """Let a program inside ask one thing after the other, though a model would take more at once.

    Where many tasks keep a model busy, drawing candidates of one task ahead gains nothing and pays
    for those that turn out not to be needed.
    """
    token = _in_turn.set(True)
    try:
        yield
    finally:
        _in_turn.reset(token)


def asks_in_turn() -> bool:
    """Return whether the program that runs here asks one thing after the other."""
    return _in_turn.get()


def concurrency_of(lm: dspy.LM | None) -> int:
    """Return how many requests a model answers at the same time, at least 1.

    An engine says it in its attribute ``concurrency``; one that does not takes them in turn.
    """
    return max(1, getattr(getattr(lm, "engine", None), "concurrency", 1))
