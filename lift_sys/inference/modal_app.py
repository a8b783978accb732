"""vLLM with XGrammar as an app on Modal: the plan's three configurations, and what Modal is told.

Owns the image, the volume, the functions and their limits. The client is given, so that this module
imports nothing heavy and reaches for nothing. An app has two functions: one without a GPU puts the
weights on a volume, once; the other serves them. No container runs while nobody asks.

What makes a cold start short is the volume: weights, and vLLM's compiled kernels, which the first
start leaves there. A memory snapshot is not taken: it needs vLLM's developer mode, whose paths
answer without a key.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from pydantic import Field

from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import Price
from lift_sys.inference.vllm_recipe import ENTRY_POINT, PRIVATE, VllmRecipe
from lift_sys.record import Record

VLLM = "0.32.0"
"""The release of vLLM: the one whose CPU build the tests run against."""

BASE_IMAGE = "nvidia/cuda:13.0.1-devel-ubuntu24.04"
"""With the compiler that vLLM's kernels are built by at the first start."""

VOLUME = "lift-sys-weights"
WEIGHTS = "/weights"
"""Where the volume is in a container."""

KEY = "VLLM_API_KEY"
"""What vLLM calls the key that it asks for: the only entry of the secret."""

SECRET = "lift-sys-vllm"  # noqa: S105 (a name)
FETCH, SERVE = "fetch", "serve"
"""The functions of an app."""

PORT = 8000
FETCH_SECONDS = 4 * 3600
REQUEST_SECONDS = 900


class Serving(Record):
    """One configuration: a model, the GPUs that serve it, and for how long they wait.

    Attributes:
        model: Id in the catalogue.
        gpu: Modal's name for the kind.
        gpu_hour: What Modal charges for one of them.
        recipe: How vLLM is started.
        idle_seconds: Without a request, after which the container ends.
        start_seconds: Longest cold start.
    """

    model: str
    gpu: str
    gpu_hour: Price
    recipe: VllmRecipe
    idle_seconds: int = Field(default=300, ge=2)
    start_seconds: int = Field(default=900, ge=1)

    @property
    def app(self) -> str:
        """Name of the app."""
        return f"lift-sys-{self.model}"

    @property
    def hardware(self) -> str:
        """The GPUs as Modal is asked for them."""
        return f"{self.gpu}:{self.recipe.gpus}" if self.recipe.gpus > 1 else self.gpu

    @property
    def price(self) -> Price:
        """What the container costs while it is up; memory and CPUs are charged on top."""
        hour = self.gpu_hour.hour * self.recipe.gpus
        return self.gpu_hour.model_copy(update={"hour": hour})


def _serving(model: str, gpu: str, hour: float, concurrency: int, **more: Any) -> Serving:
    name = catalogue.get(model).name
    recipe = VllmRecipe(
        model=name,
        served_name=name,
        host="0.0.0.0",  # noqa: S104 (inside a container that only Modal's proxy reaches)
        port=PORT,
        concurrency=concurrency,
        gpus=more.pop("gpus", 1),
    )
    price = Price(hour=hour, as_of=catalogue.PRICES_AS_OF)
    return Serving(model=model, gpu=gpu, gpu_hour=price, recipe=recipe, **more)


CONFIGURATIONS = (
    _serving("qwen2.5-coder-7b", "A10G", 1.10, 32),
    _serving("qwen2.5-coder-32b", "A100-80GB", 3.50, 16),
    # 236 billion parameters: 472 GB of weights.
    _serving("deepseek-coder-v2", "H100", 4.00, 32, gpus=8, start_seconds=2400),
)


def configuration(model: str) -> Serving:
    """Return the configuration of a model.

    Raises:
        ConfigError: There is none.
    """
    for serving in CONFIGURATIONS:
        if serving.model == model:
            return serving
    known = ", ".join(serving.model for serving in CONFIGURATIONS)
    msg = f"no configuration for {model!r} on Modal; there is one for: {known}"
    raise ConfigError(msg)


def build_app(client: Any, serving: Serving) -> Any:
    """Return the app; nothing is sent before it is deployed.

    Args:
        client: The ``modal`` module.
        serving: What it serves.
    """
    app = client.App(serving.app)
    volume = client.Volume.from_name(VOLUME, create_if_missing=True)
    shared = {
        "volumes": {WEIGHTS: volume},
        "serialized": True,  # a container has none of our code
        "include_source": False,
        "restrict_modal_access": True,
        "max_containers": 1,
    }
    app.function(name=FETCH, image=_image(client, offline=False), timeout=FETCH_SECONDS, **shared)(
        fetches(serving.recipe.model)
    )
    served = client.web_server(PORT, startup_timeout=serving.start_seconds)(serves(serving.recipe))
    app.function(
        name=SERVE,
        image=_image(client, offline=True),
        gpu=serving.hardware,
        secrets=[client.Secret.from_name(SECRET, required_keys=[KEY])],
        scaledown_window=serving.idle_seconds,
        startup_timeout=serving.start_seconds,
        timeout=REQUEST_SECONDS,
        **shared,
    )(client.concurrent(max_inputs=serving.recipe.concurrency)(served))
    return app


def fetches(repository: str) -> Callable[[], None]:
    """Return what puts weights on the volume, for a container without our code."""

    def fetch() -> None:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 (it is in the image)

        snapshot_download(repository)

    return fetch


def serves(recipe: VllmRecipe) -> Callable[[], None]:
    """Return what starts vLLM, for a container without our code."""
    command = ["python", "-m", ENTRY_POINT, *recipe.arguments()]

    def serve() -> None:
        subprocess.Popen(command)  # noqa: S603

    return serve


def _image(client: Any, *, offline: bool) -> Any:
    """Return vLLM, and where it keeps weights and compiled kernels.

    A function that is sent as data runs only under the Python that it was made with.
    """
    python = ".".join(map(str, sys.version_info[:2]))
    image = client.Image.from_registry(BASE_IMAGE, add_python=python).entrypoint([])
    image = image.uv_pip_install(f"vllm=={VLLM}")
    kept = {"HF_HOME": f"{WEIGHTS}/hf", "VLLM_CACHE_ROOT": f"{WEIGHTS}/vllm"}
    return image.env({**PRIVATE, **kept, "HF_HUB_OFFLINE": "1" if offline else "0"})
