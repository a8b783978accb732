import json

from lift_sys.inference.vllm_recipe import VllmRecipe, cpu_environment


def _value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_xgrammar_is_pinned_and_the_server_listens_on_loopback() -> None:
    words = VllmRecipe(model="weights", served_name="q05").arguments()
    assert json.loads(_value(words, "--structured-outputs-config"))["backend"] == "xgrammar"
    assert _value(words, "--generation-config") == "vllm"
    assert _value(words, "--host") == "127.0.0.1"
    assert _value(words, "--model") == "weights"
    assert _value(words, "--served-model-name") == "q05"
    assert not {"--enforce-eager", "--enable-lora", "--tensor-parallel-size"} & set(words)


def test_what_a_server_needs_more_is_asked_for() -> None:
    recipe = VllmRecipe(
        model="m", served_name="m", eager=True, gpus=2, adapters={"ir": "a/b", "code": "c"}
    )
    words = recipe.arguments()
    assert "--enforce-eager" in words
    assert _value(words, "--tensor-parallel-size") == "2"
    assert _value(words, "--max-lora-rank") == "16"
    assert words[words.index("--lora-modules") + 1 :] == ["ir=a/b", "code=c"]


def test_a_server_on_the_cpu_stays_on_loopback_and_reports_nothing() -> None:
    environment = cpu_environment(threads=2)
    assert environment["VLLM_HOST_IP"] == "127.0.0.1"
    assert environment["GLOO_SOCKET_IFNAME"] == "lo"
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["OMP_NUM_THREADS"] == "2"
