"""An engine that only waits, for ``await``."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from dspy.lm15 import Request, Response


class ThreadedEngine:
    """Another engine, which answers in a thread with the caller's context.

    Args:
        engine: Answers; all else is its own, too.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as the other engine does."""
        return await asyncio.to_thread(self._engine.complete, request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
