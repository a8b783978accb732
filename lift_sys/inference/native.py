"""The native llama.cpp server inside this process: starting it, asking it, cancelling it.

Owns the loaded weights and the guarantees around them:

- *No way in from outside.* llama.cpp insists on a listener. It gets a UNIX socket in a private
  folder (mode 0700), a random key, no CORS origins and no web pages; no TCP port is opened.
- *An answer depends on its request alone.* One request at a time, computed in blocks of ``BLOCK``
  tokens (``prefix`` has the reason and the rule), in a slot whose content is cut to whole blocks
  first. The server reports how many tokens it reused; if that is not what was planned, the
  request is computed again from nothing, so a mistake costs time and never changes an answer.
  Flash attention is off: it divides sums among threads, so answers depended on the cores.
- *Interruptible.* The server reports progress after each block and each token, and stops there
  when asked. Its own signal handlers are the caller's again after loading. The native log is off.
"""

from __future__ import annotations

import atexit
import http.client
import importlib
import json
import logging
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lift_sys.inference.chat import Answer
from lift_sys.inference.failures import CancelledError, EngineError, PromptTooLongError
from lift_sys.inference.prefix import Plan, PrefixLedger
from lift_sys.inference.process import UnixConnection, callers_signals

# Threads that wait for each other spin before they sleep. By default they spin so long that
# generation stalls as soon as anything else wants a core; sleeping at once costs two fifths of the
# speed on a quiet machine. OpenMP reads this once, when the native module is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
# The native module has no type information.
xllamacpp: Any = importlib.import_module("xllamacpp")

BLOCK = 32
"""Tokens computed at once while a prompt is read."""

SAMPLING = {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.0}
"""Sampling settings where a request says nothing: llama.cpp's usual ones, written down so that
another release's defaults cannot change answers."""

CLOSE_SECONDS = 1.5
"""How long leaving the process waits for a running call to stop, in seconds."""

_SURPRISE = "prefix cache held %d tokens where %d were planned; computing the prompt anew"

logger = logging.getLogger(__name__)


class NativeServer:
    """One model file, loaded.

    Args:
        path: A GGUF file.
        threads: CPU threads.
        context: Tokens that one prompt and its answer may have together.
        slots: Prompts kept in the prefix cache.

    Raises:
        EngineError: The file cannot be loaded.
    """

    def __init__(self, path: Path, *, threads: int, context: int, slots: int) -> None:
        self.path = path
        self._context = context
        self._key = secrets.token_urlsafe(32)
        self._folder = Path(tempfile.mkdtemp(prefix="lift-"))
        self._socket = self._folder / "llm.sock"
        self._ledger = PrefixLedger(slots, BLOCK)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process = os.getpid()
        atexit.register(self.close)
        try:
            with callers_signals():
                self._server: Any = xllamacpp.Server(self._params(threads, slots))
        except (RuntimeError, ValueError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            msg = f"llama.cpp cannot load {path}; check the file with: lift models check"
            raise EngineError(msg) from error

    def chat(self, body: dict[str, Any], cancelled: Callable[[], bool]) -> Answer:
        """Answer one chat request; calls from several threads wait for each other.

        Args:
            body: An OpenAI-style chat request.
            cancelled: Asked after every block and token; true ends the call.

        Raises:
            PromptTooLongError: The prompt does not fit into the context.
            EngineError: The server refused the request or failed.
            CancelledError: ``cancelled`` said so.
        """
        body = {**SAMPLING, **body, "reasoning_format": "none"}

        def stop() -> bool:
            return self._closing.is_set() or cancelled()

        with self._lock:
            if stop():
                msg = "the call was given up"
                raise CancelledError(msg)
            tokens = self._tokens(body)
            if len(tokens) >= self._context:
                raise PromptTooLongError(_too_long(len(tokens), self._context))
            plan, spent = self._prepare(self._ledger.plan(tokens), tokens)
            answer = self._run(body, tokens, plan, stop)
            if answer.cached_tokens != plan.keep:
                logger.warning(_SURPRISE, answer.cached_tokens, plan.keep)
                answer = self._run(body, tokens, Plan(plan.slot, 0), stop)
        return replace(answer, prompt_seconds=(answer.prompt_seconds or 0.0) + spent)

    def close(self) -> None:
        """Stop a running call and unload the model; idempotent, without effect in a fork."""
        if os.getpid() != self._process:
            return
        self._closing.set()
        if self._lock.acquire(timeout=CLOSE_SECONDS):
            try:
                self._server = None
            finally:
                self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _params(self, threads: int, slots: int) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(self.path)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_parallel = slots
        params.n_ctx = self._context * slots
        params.n_batch = params.n_ubatch = BLOCK
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # Anything that would move or reuse cached tokens on the server's own account is off.
        params.cache_ram_mib = 0
        params.n_ctx_checkpoints = 0
        params.n_cache_reuse = 0
        params.ctx_shift = False
        params.kv_unified = False
        params.fit_params = False
        params.warmup = False
        params.hostnames = [str(self._socket)]
        params.api_keys = [self._key]
        params.cors_origins = ""
        params.ui = False
        params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
        params.verbosity = -1
        return params

    def _tokens(self, body: dict[str, Any]) -> list[int]:
        prompt = self._post("/apply-template", body)["prompt"]
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        tokens: list[int] = self._post("/tokenize", asked)["tokens"]
        return tokens

    def _prepare(self, plan: Plan, tokens: list[int]) -> tuple[Plan, float]:
        """Cut a slot's content to the planned length.

        Returns:
            The plan to follow, which keeps nothing where the slot did not hold what was thought,
            and the seconds it took.
        """
        if plan.cut is None:
            return plan, 0.0
        given = self._server.handle_completions(
            {
                "prompt": [*tokens[: plan.keep], plan.cut],
                "max_tokens": 0,
                "id_slot": plan.slot,
                "cache_prompt": True,
                "temperature": 0.0,
            }
        )
        timings = given.get("timings", {})
        spent = (timings.get("prompt_ms", 0.0) + timings.get("predicted_ms", 0.0)) / 1e3
        if timings.get("cache_n") != plan.keep:
            logger.warning(_SURPRISE, timings.get("cache_n", 0), plan.keep)
            plan = Plan(plan.slot, 0)
        return plan, spent

    def _run(
        self, body: dict[str, Any], tokens: list[int], plan: Plan, stop: Callable[[], bool]
    ) -> Answer:
        sent = {
            **body,
            "id_slot": plan.slot,
            "cache_prompt": plan.keep > 0,
            "stream": True,
            "return_progress": True,
            "stream_options": {"include_usage": True},
        }
        chunks = _Chunks(stop)
        self._ledger.forget(plan.slot)
        try:
            self._server.handle_chat_completions(sent, chunks)
        except (RuntimeError, ValueError) as error:
            msg = f"llama.cpp refused the request: {error}"
            raise EngineError(msg) from error
        if chunks.stopped:
            msg = "the call was given up"
            raise CancelledError(msg)
        answer = chunks.answer(len(tokens))
        if not chunks.misread:
            self._ledger.ran(plan.slot, tokens)
        return answer

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = UnixConnection(self._socket)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            given = connection.getresponse()
            data: dict[str, Any] = json.loads(given.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            msg = f"the llama.cpp server in this process does not answer ({error}); start again"
            raise EngineError(msg) from error
        finally:
            connection.close()
        if given.status != 200:
            raise EngineError(_refusal(data))
        return data


_MISREAD = "does not match the expected"
"""What llama.cpp says of an answer under a schema that it could not read to its end."""


class _Chunks:
    """Collects a streamed answer; called by the server with every chunk, true stops it."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stopped = False
        self._stop = stop
        self._text: list[str] = []
        self._logprobs: list[float] = []
        self._last: dict[str, Any] = {}
        self._finish = ""
        self._error: dict[str, Any] | None = None

    def __call__(self, chunk: dict[str, Any]) -> bool:
        if "error" in chunk:
            self._error = chunk
            return True
        for choice in chunk.get("choices", ()):
            self._text.append(choice.get("delta", {}).get("content") or "")
            scored = (choice.get("logprobs") or {}).get("content") or ()
            self._logprobs += [float(token["logprob"]) for token in scored]
            self._finish = choice.get("finish_reason") or self._finish
        if "usage" in chunk:
            self._last = chunk
        self.stopped = self._stop()
        return self.stopped

    @property
    def misread(self) -> bool:
        """Whether the model did answer and the server could not read it, as broken UTF-8."""
        message = str((self._error or {}).get("error", {}).get("message"))
        return _MISREAD in message and any(self._text)

    def answer(self, prompt_tokens: int) -> Answer:
        if self.misread:  # its tokens are as many as its chunks
            return Answer("".join(self._text), "stop", prompt_tokens, 0, sum(map(bool, self._text)))
        if self._error is not None:
            raise EngineError(_refusal(self._error))
        if not self._last or not self._finish:
            msg = "the llama.cpp server ended an answer without saying why; start again"
            raise EngineError(msg)
        usage, timings = self._last["usage"], self._last["timings"]
        return Answer(
            text="".join(self._text),
            finish_reason=self._finish,
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=timings["cache_n"],
            completion_tokens=usage["completion_tokens"],
            prompt_seconds=timings["prompt_ms"] / 1e3,
            generation_seconds=timings["predicted_ms"] / 1e3,
            logprobs=tuple(self._logprobs),
        )


def _refusal(data: dict[str, Any]) -> str:
    error = data.get("error", {})
    return f"llama.cpp refused the request: {error.get('message', data)}"


def _too_long(tokens: int, context: int) -> str:
    return (
        f"the prompt has {tokens} tokens and the model's context takes {context};"
        " shorten the spec or use fewer demos"
    )
