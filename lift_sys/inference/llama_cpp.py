"""The embedded backend: a DSPy engine over llama.cpp in this process.

Owns the path of one call: translate the request, let the native server answer in a thread of its
own while the caller waits interruptibly, translate back, and note what it cost. One model file is
loaded once per process, however many programs use it. What the native server guarantees, and how,
is told in ``native``; why an answer does not depend on the prefix cache, in ``prefix``.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from dspy.lm15 import Request, Response

from lift_sys.inference.chat import SUPPORTED_PARAMS, Answer, chat_body, to_response
from lift_sys.inference.deadline import left
from lift_sys.inference.failures import EngineError, TimedOutError
from lift_sys.inference.usage import CallRecord, current_stage, note

Send = Callable[[dict[str, Any], Callable[[], bool]], Answer]
"""Answers a chat request; the second argument tells whether the caller has given up."""

LATE = "the embedded model did not answer in the time that it was given"

# By process as well: the native threads do not survive a fork.
_loaded: dict[tuple[int, Path], tuple[LlamaEngine, tuple[int, int, int]]] = {}
_loading = threading.Lock()


class LlamaEngine:
    """A DSPy engine that answers with one loaded model.

    Calls from several threads are answered one after the other, which ``concurrency`` tells: on a
    CPU, parallel generation gains nothing and makes an answer depend on its neighbours.

    Args:
        send: What answers a chat request; a test's way to see what the model receives.
        model: Id under which calls are recorded.
        path: The model's file, where there is one.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS
    concurrency = 1

    def __init__(self, send: Send, model: str, path: Path | None = None) -> None:
        self._send = send
        self.model = model
        self.path = path

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            PromptTooLongError: The prompt does not fit into the context.
            TimedOutError: There was no answer ``within`` the time that the caller gave.
            EngineError: The engine could not answer.
        """
        call = _Call(self._send, chat_body(request))
        try:
            call.start()
            call.wait()
        except BaseException:
            call.given_up.set()
            raise
        return self._finish(request, call)

    def for_await(self) -> AsyncLlamaEngine:
        """Return the same engine as DSPy takes it for ``await``."""
        return AsyncLlamaEngine(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).load_state, (self.dump_state(),))

    def dump_state(self) -> dict[str, Any]:
        """Return what ``load_state`` needs: the path of the model's file."""
        return {"path": str(self.path) if self.path else None}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> LlamaEngine:
        """Return the engine of a saved state, loading its model if it is not loaded yet.

        Raises:
            EngineError: The state names no file, or the file cannot be loaded.
        """
        if not state.get("path"):
            msg = "this engine was saved without a model file; build it again"
            raise EngineError(msg)
        return load_engine(Path(state["path"]))

    def _finish(self, request: Request, call: _Call) -> Response:
        if call.error is not None:
            raise call.error
        if call.answer is None:
            msg = "the model was unloaded while it was answering; load it again"
            raise EngineError(msg)
        note(_record(self.model, call.answer, call.seconds))
        return to_response(request, call.answer)


class AsyncLlamaEngine:
    """The same engine for ``await``; a cancelled task stops its generation."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, engine: LlamaEngine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as ``LlamaEngine.complete`` does."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        call = _Call(self._engine._send, chat_body(request))
        try:
            call.start(lambda: _wake(loop, done))
            await asyncio.wait_for(done.wait(), left())
        except TimeoutError as error:
            call.given_up.set()
            raise TimedOutError(LATE) from error
        except BaseException:
            call.given_up.set()
            raise
        return self._engine._finish(request, call)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._engine,))

    def dump_state(self) -> dict[str, Any]:
        """Return the wrapped engine's state."""
        return self._engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Return the engine of a saved state, as ``LlamaEngine.load_state`` does."""
        return cls(LlamaEngine.load_state(state))


def load_engine(
    path: Path,
    *,
    threads: int | None = None,
    context: int = 8192,
    slots: int = 1,
    model: str | None = None,
) -> LlamaEngine:
    """Return the engine of a model file, loading it the first time.

    Args:
        path: A GGUF file.
        threads: CPU threads; by default all that this process may use.
        context: Tokens that one prompt and its answer may have together.
        slots: Prompts whose computed prefix is kept.
        model: Id under which calls are recorded; by default the file's name.

    Raises:
        EngineError: The file cannot be loaded, or is loaded with other settings.
    """
    path = path.resolve()
    settings = (threads or _usable_cpus(), context, slots)
    with _loading:
        key = os.getpid(), path
        if key in _loaded:
            engine, had = _loaded[key]
            if had != settings:
                msg = (
                    f"{path} is loaded with (threads, context, slots) = {had};"
                    f" use these instead of {settings}, or another process"
                )
                raise EngineError(msg)
            return engine
        engine = _load(path, settings, model or path.stem)
        _loaded[key] = engine, settings
        return engine


def _load(path: Path, settings: tuple[int, int, int], model: str) -> LlamaEngine:
    from lift_sys.inference.native import NativeServer  # noqa: PLC0415 - 34 MB of native code

    threads, context, slots = settings
    if not path.is_file():
        msg = f"no model file at {path}; fetch it with: lift models pull"
        raise EngineError(msg)
    server = NativeServer(path, threads=threads, context=context, slots=slots)
    return LlamaEngine(server.chat, model, path)


class _Call:
    """One call in a thread that the process does not wait for when it ends."""

    def __init__(self, send: Send, body: dict[str, Any]) -> None:
        self.done = threading.Event()
        self.given_up = threading.Event()
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.seconds = 0.0
        self._send = send
        self._body = body

    def start(self, wake: Callable[[], None] | None = None) -> None:
        threading.Thread(target=self._run, args=(wake,), name="llama", daemon=True).start()

    def wait(self) -> None:
        if not self.done.wait(left()):
            raise TimedOutError(LATE)

    def _run(self, wake: Callable[[], None] | None) -> None:
        began = time.perf_counter()
        try:
            self.answer = self._send(self._body, self.given_up.is_set)
        except Exception as error:  # noqa: BLE001 - raised again where the caller waits
            self.error = error
        finally:
            self.seconds = time.perf_counter() - began
            self.done.set()
            if wake is not None:
                wake()


def _record(model: str, answer: Answer, seconds: float) -> CallRecord:
    return CallRecord(
        model=model,
        stage=current_stage(),
        prompt_tokens=answer.prompt_tokens,
        cached_tokens=answer.cached_tokens,
        completion_tokens=answer.completion_tokens,
        seconds=seconds,
        prompt_seconds=answer.prompt_seconds,
        generation_seconds=answer.generation_seconds,
        finish_reason=answer.finish_reason,
    )


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done.set)


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
