"""The backends that keep the contract. Another one is a line in ``BACKENDS``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from dspy.lm15 import Request

from lift_sys.inference import anthropic, provider, transformers, vllm
from lift_sys.inference.breaker import Breaker
from lift_sys.inference.chain import ChainEngine
from lift_sys.inference.course import Member
from lift_sys.inference.engine import AsyncChatEngine, ChatEngine
from lift_sys.inference.failures import PromptTooLongError
from lift_sys.inference.llama_cpp import AsyncLlamaEngine, load_engine
from lift_sys.inference.lm import SLOTS
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.inference.scripted import ScriptedEngine
from tests.contracts.dialects import ANTHROPIC
from tests.contracts.fake_server import Behaviour, FakeServer
from tests.contracts.vllm_sources import CONCURRENCY, real

KEY = "sk-contract-secret"
QUICK = Retries(tries=3, first=0.02, most=0.3)
"""Retries that a test can wait for."""


@dataclass
class Rig:
    """A backend that is ready to answer.

    Attributes:
        engine: For callers that wait.
        async_engine: For ``await``.
        weights: What identifies its model in the record.
        server: The fake server behind it; ``None`` where there is a real model.
        again: Returns another engine to the same server, whose entry differs in these fields.
        cap: Most calls in flight.
    """

    engine: Any
    async_engine: Any
    weights: str
    server: FakeServer | None = None
    again: Callable[..., Any] | None = None
    cap: int = 1


@dataclass(frozen=True)
class Backend:
    """One line of the table.

    Attributes:
        name: Shown by pytest.
        open: Makes it ready, from what the test may ask for.
        marks: Of its tests.
        fake: Whether a fake server is behind it, whose faults a test chooses.
        seeded: Whether the seed decides what is drawn.
        ours: Whether every byte of HTTP is ours, and not a library's that follows redirects and has
            words of its own.
        caching: Whether it keeps the prefix of a prompt.
    """

    name: str
    open: Callable[[pytest.FixtureRequest], Any]
    marks: tuple[pytest.MarkDecorator, ...] = ()
    fake: bool = True
    seeded: bool = True
    ours: bool = True
    caching: bool = True


def info_of(server: FakeServer, **fields: Any) -> ModelInfo:
    """Return the entry of the model that a fake server serves."""
    named = {"id": "m", "backend": "vllm", "name": "small", "key": "M_KEY", "timeout": 20}
    return ModelInfo.model_validate({**named, "urls": (server.url,), "concurrency": 4, **fields})


def rig_of(server: FakeServer, connect: Callable[..., Any], **fields: Any) -> Rig:
    """Return a rig with an engine that asks a fake server."""

    def again(key: str = KEY, **changed: Any) -> ChatEngine:
        info = info_of(server, **{**fields, **changed})
        send = connect(info, key, retries=QUICK)
        return ChatEngine(send, info.id, concurrency=info.concurrency)

    engine = again()
    return Rig(engine, AsyncChatEngine(engine), "fake", server, again, engine.concurrency)


@contextmanager
def open_vllm(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with FakeServer(Behaviour(key=KEY)) as server:
        yield rig_of(server, vllm.connect)


@contextmanager
def open_vllm_in_words(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with FakeServer(Behaviour(key=KEY, structured=False)) as server:
        yield rig_of(server, vllm.connect, structured="words")


@contextmanager
def open_anthropic(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with FakeServer(Behaviour(ANTHROPIC, key=KEY)) as server:
        yield rig_of(server, anthropic.connect, backend="anthropic")


@contextmanager
def open_anthropic_in_words(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with FakeServer(Behaviour(ANTHROPIC, key=KEY, structured=False)) as server:
        yield rig_of(server, anthropic.connect, backend="anthropic", structured="words")


@contextmanager
def open_provider(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with FakeServer(Behaviour(key=KEY)) as server:
        yield rig_of(server, provider.connect, backend="provider", name="openai/small")


@contextmanager
def open_chain(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Give a chain whose first model is too small for every prompt."""

    def refuse(_: Request) -> str:
        msg = "the prompt does not fit"
        raise PromptTooLongError(msg)

    small = ScriptedEngine(refuse, concurrency=4)
    with FakeServer(Behaviour(key=KEY)) as server:
        large = rig_of(server, vllm.connect)
        info = ModelInfo(id="chain", backend="chain", name="chain")
        engines = {"small": small, "m": large.engine}
        members = [
            Member(info_of(server, id=name), engine, f"local/{name}", Breaker())
            for name, engine in engines.items()
        ]
        chain = ChainEngine(info, members)
        yield Rig(chain, chain.for_await(), "fake", server, cap=large.cap)


@contextmanager
def open_llama_cpp(request: pytest.FixtureRequest) -> Iterator[Rig]:
    path = request.getfixturevalue("model_path")
    engine = load_engine(path, slots=SLOTS, model="qwen2.5-coder-0.5b")
    yield Rig(engine, AsyncLlamaEngine(engine), "embedded")


@contextmanager
def open_real_vllm(request: pytest.FixtureRequest) -> Iterator[Rig]:
    engine = real().engine()
    yield Rig(engine, AsyncChatEngine(engine), "served", cap=CONCURRENCY)


@contextmanager
def open_transformers(request: pytest.FixtureRequest) -> Iterator[Rig]:
    weights = request.getfixturevalue("tiny_weights")
    info = ModelInfo(id="m", backend="transformers", name=str(weights), concurrency=4)
    engine = ChatEngine(transformers.connect(info), info.id, concurrency=info.concurrency)
    yield Rig(engine, AsyncChatEngine(engine), "tiny", cap=info.concurrency)


BACKENDS = (
    Backend("vllm", open_vllm),
    Backend("vllm in words", open_vllm_in_words),
    Backend("anthropic", open_anthropic, seeded=False),
    Backend("anthropic in words", open_anthropic_in_words, seeded=False),
    Backend("provider", open_provider, ours=False),
    Backend("chain", open_chain, fake=False),
    Backend("real vllm", open_real_vllm, (pytest.mark.vllm,), fake=False),
    Backend("llama_cpp", open_llama_cpp, (pytest.mark.model,), fake=False),
    Backend(
        "transformers",
        open_transformers,
        (pytest.mark.transformers,),
        fake=False,
        caching=False,
    ),
)


def params(*, fake: bool = False, seeded: bool = False, caching: bool = False) -> list[Any]:
    """Return the backends for ``pytest.mark.parametrize``: all, or those with these properties."""
    return [
        pytest.param(backend, id=backend.name, marks=backend.marks)
        for backend in BACKENDS
        if backend.fake >= fake and backend.seeded >= seeded and backend.caching >= caching
    ]
