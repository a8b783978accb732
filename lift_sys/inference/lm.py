"""From a model id to the object that DSPy programs call.

Owns how a backend is put behind ``dspy.LM`` and what can be asked of it there. DSPy's own answer
cache and retries are off: a job keeps its own content-addressed rows, and an embedded model that
failed once fails again. Importing this module is cheap; DSPy and the native code are loaded by
``build_lm``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lift_sys.inference.catalogue import get_servable
from lift_sys.inference.fetch import Progress, ensure_model

if TYPE_CHECKING:
    import dspy

    from lift_sys.inference.replay import Calls

SLOTS = 3
"""Prompts whose computed prefix is kept: one for each stage that alternates in a job."""


def build_lm(
    model_id: str,
    models_dir: Path,
    *,
    context: int = 8192,
    threads: int | None = None,
    progress: Progress | None = None,
    calls: Calls | None = None,
) -> dspy.LM:
    """Return a model, fetched, verified and loaded.

    Args:
        model_id: An id of the catalogue.
        models_dir: Where model files are kept.
        context: Tokens that one prompt and its answer may have together.
        threads: CPU threads; by default all that this process may use.
        progress: Told about a download.
        calls: Where answers are kept and looked up; by default nowhere.

    Raises:
        ModelError: The id is unknown, not servable here, or its file cannot be had.
        ProviderError: The file cannot be loaded.
    """
    info = get_servable(model_id)
    path = ensure_model(model_id, models_dir, progress=progress)

    import dspy  # noqa: PLC0415 - heavy

    from lift_sys.inference.llama_cpp import (  # noqa: PLC0415 - heavy
        AsyncLlamaEngine,
        load_engine,
    )
    from lift_sys.inference.replay import ReplayEngine  # noqa: PLC0415 - heavy

    engine = load_engine(path, threads=threads, context=context, slots=SLOTS, model=info.id)
    replaying = ReplayEngine(engine, info.sha256, calls) if calls is not None else None
    return dspy.LM(
        f"local/{info.id}",
        engine=replaying or engine,
        async_engine=None if replaying else AsyncLlamaEngine(engine),
        temperature=0.0,
        cache=False,
        num_retries=0,
    )


def concurrency_of(lm: dspy.LM | None) -> int:
    """Return how many requests a model answers at the same time, at least 1.

    An engine says it in its attribute ``concurrency``; one that does not takes them in turn.
    """
    return max(1, getattr(getattr(lm, "engine", None), "concurrency", 1))
