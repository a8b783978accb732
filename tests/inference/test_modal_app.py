"""The app of a configuration, as Modal's real client builds it without a network."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.modal_app import (
    CONFIGURATIONS,
    Serving,
    build_app,
    configuration,
    fetches,
    serves,
)
from lift_sys.inference.vllm_recipe import STRUCTURED_OUTPUTS


def test_the_plans_three_configurations() -> None:
    told = {serving.model: (serving.hardware, serving.price.hour) for serving in CONFIGURATIONS}

    assert told == {
        "qwen2.5-coder-7b": ("A10G", 1.10),
        "qwen2.5-coder-32b": ("A100-80GB", 3.50),
        "deepseek-coder-v2": ("H100:8", 32.0),
    }


@pytest.mark.parametrize("serving", CONFIGURATIONS, ids=lambda serving: serving.model)
def test_a_configuration_serves_what_the_catalogue_asks_for(serving: Serving) -> None:
    info = catalogue.get(serving.model)
    recipe = serving.recipe

    assert info.backend == "vllm"
    assert (recipe.model, recipe.served_name) == (info.name, info.name)
    assert recipe.context >= info.context
    assert serving.price.as_of == catalogue.PRICES_AS_OF


def test_a_model_without_a_configuration_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"'claude' on Modal; there is one for: qwen2\.5-coder-7b"
    ):
        configuration("claude")


class Recorded:
    """Modal's client; tells what its functions were given."""

    def __init__(self, client: Any, patch: pytest.MonkeyPatch) -> None:
        self.functions: dict[str, dict[str, Any]] = {}
        self.web: list[tuple[int, float]] = []
        self.inputs: list[int] = []
        make, web, concurrent = client.App.function, client.web_server, client.concurrent

        def function(app: Any, **options: Any) -> Any:
            self.functions[options["name"]] = options
            return make(app, **options)

        def web_server(port: int, *, startup_timeout: float) -> Any:
            self.web.append((port, startup_timeout))
            return web(port, startup_timeout=startup_timeout)

        def at_once(*, max_inputs: int) -> Any:
            self.inputs.append(max_inputs)
            return concurrent(max_inputs=max_inputs)

        patch.setattr(client.App, "function", function)
        patch.setattr(client, "web_server", web_server)
        patch.setattr(client, "concurrent", at_once)


@pytest.fixture
def modal() -> Any:
    return pytest.importorskip("modal", reason="Modal's client is not installed; it is optional")


@pytest.mark.parametrize("serving", CONFIGURATIONS, ids=lambda serving: serving.model)
def test_the_client_takes_the_app(
    modal: Any, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Recorded(modal, monkeypatch)
    app = build_app(modal, serving)

    assert isinstance(app, modal.App)
    assert app.name == f"lift-sys-{serving.model}"
    assert set(seen.functions) == {"fetch", "serve"}
    serve, fetch = seen.functions["serve"], seen.functions["fetch"]
    assert serve["gpu"] == serving.hardware
    assert serve["scaledown_window"] == serving.idle_seconds
    assert serve["max_containers"] == fetch["max_containers"] == 1
    assert len(serve["secrets"]) == 1
    assert "gpu" not in fetch
    assert "secrets" not in fetch
    assert list(serve["volumes"]) == list(fetch["volumes"]) == ["/weights"]
    assert seen.web == [(serving.recipe.port, serving.start_seconds)]
    assert seen.inputs == [serving.recipe.concurrency]


BOTH = """
import json, modal, pickle, subprocess, sys
sys.modules["huggingface_hub"] = said = type(sys)("huggingface_hub")
said.snapshot_download = lambda repository: print(json.dumps(repository))
subprocess.Popen = lambda command: print(json.dumps(command))
assert not any(name.startswith("lift_sys") for name in sys.modules)
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        pickle.load(file)()
assert not any(name.startswith("lift_sys") for name in sys.modules)
"""


def test_the_functions_run_where_none_of_our_code_is(modal: Any, tmp_path: Path) -> None:
    serialize = importlib.import_module("modal._serialization").serialize
    serving = CONFIGURATIONS[2]
    files = []
    for name, function in (("f", fetches("owner/name")), ("s", serves(serving.recipe))):
        (tmp_path / name).write_bytes(serialize(function))
        files.append(str(tmp_path / name))
    where = str(Path(modal.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", BOTH, *files],
        cwd=tmp_path,
        env={"PYTHONPATH": where, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    fetched, command = map(json.loads, done.stdout.splitlines())
    assert fetched == "owner/name"
    options = dict(zip(command[3::2], command[4::2], strict=False))
    assert command[:3] == ["python", "-m", "vllm.entrypoints.openai.api_server"]
    assert options["--model"] == options["--served-model-name"] == serving.recipe.model
    assert options["--tensor-parallel-size"] == "8"
    assert json.loads(options["--structured-outputs-config"]) == STRUCTURED_OUTPUTS
    assert options["--host"] == "0.0.0.0"  # noqa: S104
