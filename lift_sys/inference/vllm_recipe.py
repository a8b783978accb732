"""How a vLLM server is started: its command line and its environment, as data.

Owns what must hold wherever the server runs, on this machine's CPU or on a GPU in the cloud:
XGrammar is the pinned backend of structured outputs (left to itself, vLLM falls back to another
one without a word for a schema that XGrammar refuses), and what a request leaves open is not filled
in from the model's own sampling settings. Starts nothing and imports nothing heavy.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from lift_sys.record import Record

ENTRY_POINT = "vllm.entrypoints.openai.api_server"
"""Module that serves the OpenAI-compatible API; ``python -m`` starts it."""

STRUCTURED_OUTPUTS = {"backend": "xgrammar", "disable_any_whitespace": True}
"""What decodes under a schema; compact JSON, since whitespace costs tokens and says nothing."""

PRIVATE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""Environment of a server that tells nobody about itself and fetches nothing."""


class VllmRecipe(Record):
    """One server.

    Attributes:
        model: A folder of weights, or a repository on Hugging Face.
        served_name: What requests call the model.
        host: Address to listen on; by default only this machine reaches it.
        port: To listen on.
        dtype: Of the weights in memory; ``auto`` takes the model's own.
        context: Most tokens of a prompt and its answer together.
        concurrency: Most requests that are computed at once; others wait.
        eager: Whether to leave out compilation: a quicker start, slower answers on a GPU.
        gpus: Over which the weights are split; ignored on a CPU.
        adapters: Folders of LoRA adapters, by the name that requests give them.
        adapter_rank: Largest rank of an adapter.
    """

    model: str
    served_name: str
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    context: int = Field(default=8192, ge=1)
    concurrency: int = Field(default=64, ge=1)
    eager: bool = False
    gpus: int = Field(default=1, ge=1)
    adapters: dict[str, str] = Field(default_factory=dict)
    adapter_rank: int = Field(default=16, ge=1)

    def arguments(self) -> list[str]:
        """Return the arguments of ``ENTRY_POINT``. A key goes into VLLM_API_KEY, never here."""
        options = {
            "--host": self.host,
            "--port": self.port,
            "--model": self.model,
            "--served-model-name": self.served_name,
            "--dtype": self.dtype,
            "--max-model-len": self.context,
            "--max-num-seqs": self.concurrency,
            "--structured-outputs-config": json.dumps(STRUCTURED_OUTPUTS),
            # Qwen's own settings have a repetition penalty, which would bend greedy answers too.
            "--generation-config": "vllm",
        }
        if self.gpus > 1:
            options["--tensor-parallel-size"] = self.gpus
        words = [str(word) for option in options.items() for word in option]
        # Without it a server does not tell how much of a prompt it had in its cache.
        words.append("--enable-prompt-tokens-details")
        if self.eager:
            words.append("--enforce-eager")
        return words + self._adapter_arguments()

    def _adapter_arguments(self) -> list[str]:
        if not self.adapters:
            return []
        named = [f"{name}={folder}" for name, folder in self.adapters.items()]
        rank = str(self.adapter_rank)
        return ["--enable-lora", "--max-lora-rank", rank, "--lora-modules", *named]


def cpu_environment(threads: int, cache_gib: int = 1) -> dict[str, str]:
    """Return the environment of a server on this machine's CPU, listening on loopback only.

    Args:
        threads: Of the arithmetic, at least 1.
        cache_gib: Memory for keys and values of prompts, in GiB.
    """
    return {
        **PRIVATE,
        "VLLM_CPU_KVCACHE_SPACE": str(cache_gib),
        "VLLM_HOST_IP": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
        # vLLM's own binding keeps one core idle.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads),
    }
