"""The catalogue's data and its answers to wrong ids."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

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


SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


@pytest.fixture
def own() -> Iterator[None]:
    chains = [
        ModelInfo(id="both", backend="chain", name="both", members=(SMALL, LARGE), tries=3),
        ModelInfo(id="empty", backend="chain", name="empty"),
        ModelInfo(id="nested", backend="chain", name="nested", members=(SMALL, "both")),
        ModelInfo(id="self", backend="chain", name="self", members=("self",)),
        ModelInfo(id="lost", backend="chain", name="lost", members=(SMALL, "zzz")),
        ModelInfo(id="deep", backend="chain", name="deep", members=(f"{SMALL}>{LARGE}", SMALL)),
        ModelInfo(id="served", backend="vllm", name="served", members=(SMALL,)),
        ModelInfo(id="capped", backend="anthropic", name="capped", cap=1.0),
    ]
    catalogue.use(chains)
    yield
    catalogue.use(())


def test_a_chain_needs_no_entry() -> None:
    made = catalogue.get(f"{SMALL} > {LARGE}")
    assert (made.backend, made.members, made.price) == ("chain", (SMALL, LARGE), None)
    assert [info.id for info in catalogue.answering(f"{SMALL}>{LARGE}")] == [SMALL, LARGE]
    assert [info.id for info in catalogue.answering(SMALL)] == [SMALL]
    assert catalogue.known(f"{SMALL}>{LARGE}")
    assert not catalogue.known(f"{SMALL}>")
    assert not catalogue.known(3)


def test_the_identity_of_a_chain_is_that_of_its_members_in_order_and_its_tries(own: None) -> None:
    ids = (f"{SMALL}>{LARGE}", f"{LARGE}>{SMALL}", "both", SMALL)
    assert len({catalogue.identity(model_id) for model_id in ids}) == 4
    assert catalogue.identity(ids[0]) == catalogue.identity(f"{SMALL} >{LARGE}")


@pytest.mark.parametrize(
    ("model_id", "why"),
    [
        ("empty", "chain empty has no models"),
        ("nested", "chain nested has the chain both in it"),
        ("self", "chain self has the chain self in it"),
        (f"{SMALL}>both", "has the chain both in it"),
        ("deep", f"chain deep has the chain {SMALL}>{LARGE} in it"),
        ("served", 'served has members and backend = "vllm"; write backend = "chain"'),
        (f"{SMALL}>served", "served has members and backend"),
        ("lost", "unknown model 'zzz'"),
        (f"{SMALL}>zzz", "unknown model 'zzz'"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(own: None, model_id: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        catalogue.get(model_id)


def test_a_cap_needs_a_price(own: None) -> None:
    with pytest.raises(ModelError, match="capped has a cap in USD and no known price"):
        catalogue.get_servable(f"{SMALL}>capped")


def call(model: str, **changes: int | float) -> CallRecord:
    fields = {"prompt_tokens": 2000, "completion_tokens": 100, "seconds": 36.0}
    return CallRecord.model_validate({"model": model, **fields, **changes})


def test_what_a_call_cost() -> None:
    prices = {m.id: m.price for m in catalogue.all_models() if m.price}
    priced, price = next((m, p) for m, p in prices.items() if p.million_input)
    expected = (2000 * price.million_input + 100 * price.million_output) / 1e6
    assert catalogue.usd(call(priced)) == pytest.approx(expected)
    assert catalogue.usd(call("qwen2.5-coder-7b")) == pytest.approx(1.10 / 100)
    assert catalogue.usd(call("qwen2.5-coder-7b", share=3.6)) == pytest.approx(1.10 / 1000)
    assert catalogue.usd(call("qwen2.5-coder-0.5b")) == 0
    assert catalogue.usd(call("someone's own")) is catalogue.usd(call("openai/some")) is None
    assert not price.free
    assert prices["qwen2.5-coder-0.5b"].free
