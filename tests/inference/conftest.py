"""A server of chat completions, and a loop to ask it in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.inference.chat_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def loop() -> Iterator[Callable[..., Any]]:
    """Run coroutines in one loop, as the product does: litellm keeps its connections with it."""
    with asyncio.Runner() as runner:
        yield runner.run
