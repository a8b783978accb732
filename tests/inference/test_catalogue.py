"""The catalogue's data and its answers to wrong ids."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lift_sys.errors import ModelError
from lift_sys.inference import catalogue


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'qwen2.5-coder-05b'; did you mean 'qwen2.5-coder-0.5b'"):
        catalogue.get("qwen2.5-coder-05b")


def test_an_id_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"known are: qwen2.5-coder-0.5b, "):
        catalogue.get("zzz")


def test_a_model_of_another_backend_is_known_but_not_servable() -> None:
    assert catalogue.get("qwen2.5-coder-7b").price.hour == 1.10
    with pytest.raises(ModelError, match="needs the vllm backend"):
        catalogue.get_servable("qwen2.5-coder-7b")


@pytest.mark.parametrize("info", [m for m in catalogue.all_models() if m.servable])
def test_an_embedded_model_is_pinned_by_its_bytes(info: catalogue.ModelInfo) -> None:
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
