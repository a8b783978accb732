"""The catalogue's data and its answers to wrong ids."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lift_sys.errors import ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.usage import CallRecord


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'qwen2.5-coder-05b'; did you mean 'qwen2.5-coder-0.5b'"):
        catalogue.get("qwen2.5-coder-05b")


def test_an_id_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"known are: qwen2.5-coder-0.5b, "):
        catalogue.get("zzz")


def test_a_model_of_another_backend_is_known_but_not_servable_without_a_server() -> None:
    price = catalogue.get("qwen2.5-coder-7b").price
    assert price
    assert price.hour == 1.10
    with pytest.raises(ModelError, match="needs a vLLM server"):
        catalogue.get_servable("qwen2.5-coder-7b")


@pytest.mark.parametrize("info", [m for m in catalogue.all_models() if m.embedded])
def test_an_embedded_model_is_pinned_by_its_bytes(info: ModelInfo) -> None:
    assert len(bytes.fromhex(info.sha256)) == 32
    assert info.bytes > 0
    assert info.hub is not None
    assert info.parts
    assert len({p.project for p in info.parts}) == len(info.parts)


def test_ids_are_unique() -> None:
    ids = [m.id for m in catalogue.all_models()]
    assert len(ids) == len(set(ids))


def test_the_light_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, lift_sys.inference, lift_sys.inference.catalogue, lift_sys.inference.lm;"
        "heavy = {'dspy', 'xllamacpp', 'httpx', 'huggingface_hub', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def call(model: str, **changes: int | float) -> CallRecord:
    fields = {"prompt_tokens": 2000, "completion_tokens": 100, "seconds": 36.0}
    return CallRecord.model_validate({"model": model, **fields, **changes})


def test_what_a_call_cost() -> None:
    prices = {m.id: m.price for m in catalogue.all_models() if m.price}
    priced, price = next((m, p) for m, p in prices.items() if p.million_input)
    expected = (2000 * price.million_input + 100 * price.million_output) / 1e6
    assert catalogue.usd(call(priced)) == pytest.approx(expected)
    assert catalogue.usd(call("qwen2.5-coder-7b")) == pytest.approx(1.10 / 100)
    assert catalogue.usd(call("qwen2.5-coder-0.5b")) == catalogue.usd(call("someone's own")) == 0
    assert not price.free
    assert prices["qwen2.5-coder-0.5b"].free
