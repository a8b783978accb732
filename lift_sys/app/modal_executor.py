"""Containers on Modal: an app of one function, an image with this code, a volume with the models.

Owns everything that Modal is told. ``modal`` is imported only when containers are asked for; it is
not a dependency. A container has no network, no secrets and no access to Modal; it may read the
volume and not write to it. The app exists while a job runs and is made when the first task is
sent, so a finished job is shown without it.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lift_sys.app import environment
from lift_sys.errors import ConfigError, InfrastructureError, LiftError
from lift_sys.inference import catalogue
from lift_sys.inference.fetch import ensure_model

APP = "lift-sys"
VOLUME = "lift-sys-models"
CODE = "/opt/lift-sys"
"""Where our packages are in a container."""

MODELS = "/models"
"""Where the volume is in a container."""

CPUS = 2.0
MEMORY_MB = 4096
TASK_SECONDS = 3600
"""Longest time of one task, in seconds."""

PACKAGES = ("lift_sys", "programs", "metrics", "optimizers")
NOT_SENT = ("**/__pycache__", "**/datasets")

_log = logging.getLogger(__name__)


class ModalContainers:
    """Sends jobs to containers of an app that is made when the first one comes.

    Args:
        client: The ``modal`` module.
        containers: Most of them at the same time.
        model_ids: Of the models that they need.
    """

    def __init__(self, client: Any, containers: int, model_ids: Iterable[str]) -> None:
        self._client = client
        self._containers = containers
        self._model_ids = tuple(model_ids)
        self._starting = threading.Lock()
        self._function: Any = None
        self._running = ExitStack()

    def send(self, job: str) -> str:
        """Have a container execute a job, and return its answer.

        Raises:
            InfrastructureError: Modal failed, or the container was lost.
            ModelError: A model that is to be uploaded cannot be had.
        """
        try:
            with self._starting:
                self._function = self._function or self._start()
            return str(self._function.remote(job))
        except LiftError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            msg = f"a task in a Modal container failed ({what}); what was done is kept, run again"
            raise InfrastructureError(msg) from error

    def close(self) -> None:
        """End the app and its containers; idempotent."""
        try:
            self._running.close()
        except Exception:  # noqa: BLE001  # it may be gone already, in any of Modal's ways
            _log.info("the Modal app could not be ended", exc_info=True)

    def _start(self) -> Any:
        from lift_sys.app.container import execute  # noqa: PLC0415  # it imports what imports this

        volume = self._client.Volume.from_name(VOLUME, create_if_missing=True)
        _upload(volume, self._model_ids)
        app = self._client.App(APP)
        function = app.function(
            image=_image(self._client),
            volumes={MODELS: volume.with_mount_options(read_only=True)},
            cpu=CPUS,
            memory=MEMORY_MB,
            timeout=TASK_SECONDS,
            max_containers=self._containers,
            block_network=True,
            restrict_modal_access=True,
            include_source=False,
        )(execute)
        self._running.enter_context(app.run())
        return function


@contextmanager
def opened_modal(containers: int, model_ids: Iterable[str]) -> Iterator[Any]:
    """Give what sends jobs to containers; they end with the context.

    Raises:
        ConfigError: The client of Modal is not installed.
    """
    try:
        client = importlib.import_module("modal")
    except ImportError as error:
        msg = "the modal executor needs the modal package: pip install modal; modal setup"
        raise ConfigError(msg) from error
    modal = ModalContainers(client, containers, model_ids)
    try:
        yield modal.send
    finally:
        modal.close()


def _image(client: Any) -> Any:
    """Return an image with the locked dependencies, this Python version, and this code."""
    root = environment.source_root()
    image = client.Image.debian_slim(python_version=".".join(map(str, sys.version_info[:2])))
    image = image.apt_install("bubblewrap")
    image = image.pip_install_from_requirements(str(environment.lock_file()))
    image = image.env({"PYTHONPATH": CODE, "LIFT_MODELS": MODELS})
    for package in PACKAGES:
        image = image.add_local_dir(root / package, f"{CODE}/{package}", ignore=[*NOT_SENT])
    return image


def _upload(volume: Any, model_ids: Iterable[str]) -> None:
    """Put those model files on the volume that are not there; their hash is checked there."""
    there = {entry.path.lstrip("/"): entry.size for entry in volume.listdir("/")}
    needed = [info for model_id in model_ids for info in catalogue.answering(model_id)]
    missing = [info for info in needed if there.get(info.filename) != info.bytes]
    if not missing:
        return
    with volume.batch_upload(force=True) as batch:
        for info in missing:
            batch.put_file(ensure_model(info.id, environment.models_dir()), f"/{info.filename}")
