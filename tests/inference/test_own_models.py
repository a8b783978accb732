"""The user's own models: what the file may say, and one sentence for each thing it may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.errors import ConfigError, ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.own_models import read_own_models
from lift_sys.inference.usage import CallRecord


@pytest.fixture(autouse=True)
def shipped_again() -> Iterator[None]:
    yield
    catalogue.use(())


def use(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    catalogue.use(read_own_models(path))


def test_no_file_is_no_model(tmp_path: Path) -> None:
    assert read_own_models(tmp_path / "none.toml") == ()


def test_a_table_with_a_shipped_id_changes_what_it_names(tmp_path: Path) -> None:
    use(
        tmp_path,
        """
        ["qwen2.5-coder-7b"]
        urls = ["http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"]
        price = { hour = 0.5, as_of = 2026-11-26 }
        """,
    )

    info = catalogue.get_servable("qwen2.5-coder-7b")

    assert info.name == "Qwen/Qwen2.5-Coder-7B-Instruct"
    assert len(info.urls) == 2
    call = CallRecord(model=info.id, prompt_tokens=1, completion_tokens=1, seconds=36.0, share=7.2)
    assert catalogue.usd(call) == pytest.approx(0.5 * 7.2 / 3600)
    assert len(catalogue.all_models()) == len(catalogue.shipped())


def test_a_new_table_is_a_new_model(tmp_path: Path) -> None:
    use(
        tmp_path, '[mine]\nbackend = "vllm"\nname = "org/model"\nurls = ["http://localhost:1/v1"]\n'
    )

    assert catalogue.get_servable("mine").name == "org/model"
    assert catalogue.identity("mine") != catalogue.identity("qwen2.5-coder-7b")


def test_a_shipped_model_on_another_backend_is_not_its_file(tmp_path: Path) -> None:
    file = catalogue.identity("qwen2.5-coder-0.5b")

    use(tmp_path, '["qwen2.5-coder-0.5b"]\nbackend = "vllm"\nurls = ["http://localhost:1/v1"]\n')

    assert catalogue.get("qwen2.5-coder-0.5b").sha256 == ""
    assert catalogue.identity("qwen2.5-coder-0.5b") != file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mine]\nurls = [", "cannot be read as TOML"),
        ("mine = 3", r"mine must be a table, \[mine\]"),
        ('[qwen2.5-coder-7b]\nurls = ["http://h/v1"]', r"\[qwen2\.….* needs quotes"),
        ('[mine]\nurls = ["http://h/v1"]', r"\[mine\] is no shipped model and needs a backend"),
        ('[mine]\nbackend = "vlm"', r"\[mine\] backend: Input should be"),
        ('[mine]\nbackend = "vllm"\nkee = "K"', r"\[mine\] kee: Extra inputs"),
        ('["qwen2.5-coder-7b"]\nprice = { hour = -1 }', r"price\.hour: Input should be greater"),
        ("[claude]\nprice = { hour = inf }", r"price\.hour: Input should be a finite number"),
        ("[claude]\nprice = { million_output = nan }", r"million_output: Input should be"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        use(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_chain_is_an_id_and_has_its_members_weights() -> None:
    small, large = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"

    assert catalogue.get_servable(f"{small}>{large}").members == (small, large)
    assert catalogue.identity(f"{small}>{large}") != catalogue.identity(f"{large}>{small}")


def test_a_chain_needs_all_its_members() -> None:
    with pytest.raises(ModelError, match="needs a vLLM server"):
        catalogue.get_servable("qwen2.5-coder-0.5b>qwen2.5-coder-7b")
    with pytest.raises(ModelError, match="unknown model 'nobody'"):
        catalogue.get("qwen2.5-coder-0.5b>nobody")


def test_a_provider_of_dspy_needs_no_entry() -> None:
    info = catalogue.get("openai/some-model")

    assert (info.backend, info.price) == ("provider", None)


@pytest.mark.parametrize("key", ["sk-ant-api03-REALKEY", "hf_RealKey", "gsk_abc1", "4711", " A"])
def test_a_key_where_its_variable_belongs_is_refused_without_saying_it(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(ConfigError, match=r"\[claude\] key: write the name of the variable") as why:
        use(tmp_path, f'[claude]\nkey = "{key}"')

    assert key not in str(why.value)
    assert why.value.__cause__ is None
    use(tmp_path, '[claude]\nkey = "_MY_KEY2"')
    assert catalogue.get("claude").key == "_MY_KEY2"
