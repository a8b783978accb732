"""From a model id to the object that DSPy programs call.

Owns how a backend is put behind ``dspy.LM`` and what can be asked of it there. DSPy's own answer
cache and retries are off: a job keeps its own content-addressed rows, and a backend retries what is
worth it. Importing this module is cheap; DSPy and the native code are loaded by ``build_lm``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lift_sys.errors import ModelError
from lift_sys.inference.catalogue import get_servable
from lift_sys.inference.fetch import Progress, ensure_model

if TYPE_CHECKING:
    import dspy

    from lift_sys.inference.engine import Send
    from lift_sys.inference.model_info import ModelInfo
    from lift_sys.inference.replay import Calls

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
    info = get_servable(model_id)
    engine, async_engine = _open(info, models_dir, keys or {}, progress)

    import dspy  # noqa: PLC0415 - heavy

    from lift_sys.inference.replay import ReplayEngine  # noqa: PLC0415 - heavy

    replaying = ReplayEngine(engine, info.identity, calls) if calls is not None else None
    return dspy.LM(
        f"local/{info.id}",
        engine=replaying or engine,
        async_engine=None if replaying else async_engine,
        temperature=0.0,
        cache=False,
        num_retries=0,
    )


def _open(
    info: ModelInfo,
    models_dir: Path,
    keys: Mapping[str, str],
    progress: Progress | None,
) -> tuple[Any, Any]:
    """Return a model's engine, and the one for ``await``."""
    if info.backend == "llama_cpp":
        return _embedded(info, models_dir, progress)
    key = keys.get(info.key)
    if info.backend == "vllm":
        from lift_sys.inference import vllm  # noqa: PLC0415 - heavy

        return _concurrent(info, vllm.connect(info, key))
    if info.backend == "transformers":
        from lift_sys.inference import transformers  # noqa: PLC0415 - heavy

        return _concurrent(info, transformers.connect(info, key))
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


def _concurrent(info: ModelInfo, send: Send) -> tuple[Any, Any]:
    from lift_sys.inference.engine import AsyncChatEngine, ChatEngine  # noqa: PLC0415 - heavy

    engine = ChatEngine(send, info.id, concurrency=info.concurrency)
    return engine, AsyncChatEngine(engine)


def concurrency_of(lm: dspy.LM | None) -> int:
    """Return how many requests a model answers at the same time, at least 1.

    An engine says it in its attribute ``concurrency``; one that does not takes them in turn.
    """
    return max(1, getattr(getattr(lm, "engine", None), "concurrency", 1))
