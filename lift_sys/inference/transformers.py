"""The in-process backend: weights in a folder, generated with transformers under XGrammar's masks.

Owns how a folder is loaded, once per process, and how a chat body becomes a row of the batch that
``generation`` runs. Concurrent requests are generated together. Each has its own settings and its
own random numbers, so an answer depends on its request alone, but for rounding: which rows are
computed together changes the last bits of a logit, and seldom a token.

A model's ``name`` is the folder, as ``save_pretrained`` writes it; adapters are merged before. The
weights run on a GPU in bfloat16 where there is one, else on the CPU in float32. Entries with one
folder share what is loaded for the first of them.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lift_sys.errors import ModelError
from lift_sys.inference.engine import Send
from lift_sys.inference.failures import PromptTooLongError, TimedOutError
from lift_sys.inference.model_info import ModelInfo

if TYPE_CHECKING:
    from lift_sys.inference.batch import Row
    from lift_sys.inference.chat import Answer

EXTRA = ("torch", "transformers", "xgrammar")

# By process as well: threads do not survive a fork.
_loaded: dict[tuple[int, Path], _Weights] = {}
_loading = threading.Lock()


def connect(info: ModelInfo, key: str | None = None) -> Send:  # noqa: ARG001 (every backend's call)
    """Return a backend that answers with the weights of a folder, loading them the first time.

    Args:
        info: ``name`` is the folder; ``concurrency`` is how many rows are generated together.
        key: Not used: nothing is asked over a network.

    Raises:
        ModelError: There is no such folder, packages are missing, or the weights cannot be loaded.
    """
    weights = _weights(info)

    async def send(body: dict[str, Any]) -> Answer:
        row = await asyncio.to_thread(weights.row, body)
        weights.generation.ask(row)
        try:
            async with asyncio.timeout(info.timeout):
                return await asyncio.wrap_future(row.answer)
        except TimeoutError as error:
            msg = f"model {info.id} did not answer within {info.timeout:g} s; raise its timeout"
            raise TimedOutError(msg) from error

    return send


def _weights(info: ModelInfo) -> _Weights:
    folder = Path(info.name).expanduser().resolve()
    with _loading:
        place = os.getpid(), folder
        if place not in _loaded:
            _loaded[place] = _load(folder, info)
        return _loaded[place]


@dataclass(frozen=True)
class _Weights:
    """One loaded folder."""

    tokenizer: Any
    grammars: Any
    generation: Any
    context: int

    def row(self, body: Mapping[str, Any]) -> Row:
        """Return a chat body as a row of the batch.

        Raises:
            PromptTooLongError: The prompt does not fit into the context.
            EngineError: The schema of the answer cannot be enforced.
        """
        from lift_sys.inference.batch import Row  # noqa: PLC0415 - needs torch
        from lift_sys.inference.sampling import Sampling  # noqa: PLC0415 - needs torch

        text = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        prompt = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        room = self.context - len(prompt)
        if room <= 0:
            msg = (
                f"the prompt has {len(prompt)} tokens and the model's context takes {self.context};"
                " shorten the spec or use fewer demos"
            )
            raise PromptTooLongError(msg)
        form = body.get("response_format")
        return Row(
            prompt=prompt,
            limit=min(body["max_tokens"], room),
            sampling=Sampling.of(body),
            stops=tuple(body.get("stop", ())),
            matcher=None if form is None else self.grammars.matcher(form),
        )


def _load(folder: Path, info: ModelInfo) -> _Weights:
    if not (folder / "config.json").is_file():
        msg = (
            f"model {info.id}: {folder} is no folder of weights; make one from a GGUF file with:"
            " python -m lift_sys.inference.convert FILE.gguf FOLDER"
        )
        raise ModelError(msg)
    try:
        return _read(folder, info)
    except ImportError as error:
        msg = (
            f"model {info.id} needs {error.name}; install it with:"
            " pip install 'lift-sys[transformers]'"
        )
        raise ModelError(msg) from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        msg = f"model {info.id}: the weights in {folder} cannot be loaded: {error}"
        raise ModelError(msg) from error


def _read(folder: Path, info: ModelInfo) -> _Weights:
    torch, transformers, _ = map(importlib.import_module, EXTRA)

    from lift_sys.inference import attention  # noqa: PLC0415 - needs torch
    from lift_sys.inference.constraint import Grammars  # noqa: PLC0415 - needs xgrammar
    from lift_sys.inference.generation import Generation  # noqa: PLC0415 - needs torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention.NAME
    )
    model = model.to(device).eval()
    config = model.config.get_text_config()
    ends = _ends(model.generation_config, tokenizer)
    generation = Generation(model, tokenizer, ends, info.concurrency)
    atexit.register(generation.close)
    return _Weights(
        tokenizer=tokenizer,
        grammars=Grammars(tokenizer, config.vocab_size, sorted(ends)),
        generation=generation,
        context=min(info.context, config.max_position_embeddings),
    )


def _ends(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    named = generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])}
    return frozenset(end for end in ends if end is not None)
